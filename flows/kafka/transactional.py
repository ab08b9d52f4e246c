"""Outputs in transactions: readers see all that was written since the last commit, or none of it.

With the outputs goes how far they reach in the topic that they come from. So whoever goes on knows
what was sent, whenever the process before it was ended.
"""

from collections.abc import Mapping
from time import monotonic

from confluent_kafka import KafkaError
from confluent_kafka import Message as Raw

from flows.kafka.connection import Connection
from flows.kafka.dispatch import REFUSALS, Limits, Output, Refused, Together
from flows.kafka.transaction import HangingError, Transactional, TransactionClient

__all__ = ["TransactionalProducer"]

BROKEN = frozenset({  # answers to outputs of a transaction that has to be aborted
    KafkaError._STATE,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
})  # fmt: skip


class TransactionalProducer:
    """A producer whose outputs become visible together, with how far they reach.

    Parameters
    ----------
    connection, transactional, together, limits
        As for `TransactionClient`.

    Notes
    -----
    Outputs are held until the commit: they are sent again when the client hangs, and when the
    broker refuses one of them. Then nothing of the transaction counts, and all are sent again one a
    batch, to see which of them it refuses, since it judges batches; and by a new client, since the
    numbers of the old one no longer fit the broker's.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        transactional: Transactional,
        together: Together,
        limits: Limits,
    ) -> None:
        self._seconds, self._together = limits.delivery_seconds, together
        self._held: list[Output] = []
        self._alone = False
        self._suspects: list[Refused] = []
        self._refused: list[Refused] = []
        self._client = TransactionClient(
            connection,
            transactional=transactional,
            together=together,
            limits=limits,
            answered=self._answered,
        )

    def open(self) -> dict[int, int]:
        """Take over the name, and return how far its outputs reach: the next offset by partition.

        A transaction that the process before left open is aborted.

        Raises
        ------
        DeliveryError
            When the broker does not let this client write in transactions, or does not answer.
        """
        until = monotonic() + self._seconds
        self._client.start(until)
        return self._client.committed(until)

    @property
    def unconfirmed(self) -> int:
        """Outputs that are not committed."""
        return len(self._held) + len(self._refused)

    def write(self, output: Output) -> None:
        """Add an output to the transaction; the first one after a commit begins it.

        Raises
        ------
        DeliveryError, FencedError
            When an earlier output failed, or this one can neither be taken nor refused.
        """
        if self._held and not self._client.begun:  # undone: `commit` sends all of them again
            self._held.append(output)
            return
        if not self._client.begun:
            self._begin()
        self._send(output)

    def commit(self, reached: Mapping[int, int]) -> tuple[list[Output], list[Refused]]:
        """Make visible what was written, and with it how far it reaches: next offset by partition.

        Returns
        -------
        committed : list of Output
        refused : list of Refused
            What is refused for itself. Then nothing is committed yet: write what takes the place of
            these, and commit again.

        Raises
        ------
        DeliveryError, FencedError
            When the transaction cannot be committed.
        """
        until = monotonic() + self._seconds
        while self._held and not self._refused:
            if self._committed(reached, until):
                committed, self._held = self._held, []
                return committed, []
            if monotonic() > until and not self._refused:
                raise self._together.overdue(self._seconds, "in which no commit came about")
        refused, self._refused = self._refused, []
        return [], refused

    def close(self) -> None:
        """Abort what is open, so that readers need not wait for the broker to do it."""
        self._client.close()

    def _committed(self, reached: Mapping[int, int], until: float) -> bool:
        """Try to commit; what hangs may have been committed, the offsets tell."""
        try:
            if not self._client.begun:
                self._send_again()
            self._client.settle()
            if self._suspects:
                self._undo(until)
                return False
            self._client.commit(reached, until)
        except HangingError:
            self._start_anew(until, alone=self._alone)
            found = self._client.committed(until)
            return all(found.get(number, 0) >= offset for number, offset in reached.items())
        return True

    def _begin(self) -> None:
        if self._alone and not self._held:
            self._start_anew(monotonic() + self._seconds, alone=False)
        self._client.begin()

    def _send_again(self) -> None:
        self._begin()
        held, self._held = self._held, []
        for output in held:
            self._send(output)

    def _send(self, output: Output) -> None:
        dispatch = self._client.dispatch
        error = dispatch.write(output)
        if error is None or error.code() in BROKEN:
            self._held.append(output)
        elif error.code() in REFUSALS:
            self._refused.append(_refused(output, error))
        else:
            dispatch.serve()
            dispatch.fail(output, error)
            dispatch.check()

    def _undo(self, until: float) -> None:
        """Abort; when the outputs were sent one a batch, the refused are known."""
        suspects, self._suspects = self._suspects, []
        self._client.abort(until)
        if self._alone:
            self._refused = _refused_likewise(self._held, suspects)
            gone = {id(each.output) for each in self._refused}
            self._held = [output for output in self._held if id(output) not in gone]
        self._start_anew(until, alone=True)

    def _start_anew(self, until: float, *, alone: bool) -> None:
        self._alone, self._suspects = alone, []
        self._client.start(until, alone=alone)

    def _answered(self, output: Output, error: KafkaError | None, _raw: Raw | None = None) -> None:
        self._client.dispatch.answers += 1
        if error is None or error.code() in BROKEN:
            return
        if error.code() in REFUSALS:
            self._suspects.append(_refused(output, error))
        else:
            self._client.dispatch.fail(output, error)


def _refused(output: Output, error: KafkaError) -> Refused:
    too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    return Refused(output, error.str(), too_large=too_large)


def _refused_likewise(outputs: list[Output], refused: list[Refused]) -> list[Refused]:
    """Return what is refused, and with a message that is too large all that are no smaller."""
    known = {id(each.output): each for each in refused}
    smallest: dict[str, Refused] = {}
    for each in refused:
        least = smallest.get(each.output.topic, each)
        if each.too_large and each.output.size <= least.output.size:
            smallest[each.output.topic] = each
    found = []
    for output in outputs:
        like = known.get(id(output)) or smallest.get(output.topic)
        if like is not None and (id(output) in known or output.size >= like.output.size):
            found.append(Refused(output, like.detail, too_large=like.too_large))
    return found
