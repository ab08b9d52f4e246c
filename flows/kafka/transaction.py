"""Outputs in transactions: readers see all that was written since the last commit, or none of it.

With the outputs goes how far they reach in the topic that they come from, as offsets of a consumer
group of the transaction's own name. So whoever goes on knows what was sent, whenever the process
before it was ended.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Raw

from flows.kafka.connection import Connection, librdkafka, options
from flows.kafka.dispatch import (
    CLIENT_ERRORS,
    REFUSALS,
    WAITING,
    DeliveryError,
    Dispatch,
    Limits,
    Output,
    Refused,
    error_of,
)
from flows.kafka.stopping import StopFlag
from oodl.errors import OodlError

__all__ = ["TransactionalProducer"]

ABORT_PATIENCE = 0.5  # seconds; what is not aborted then, the next start of the same name aborts
BROKEN = frozenset({  # answers to outputs of a transaction that has to be aborted
    KafkaError._STATE,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
})  # fmt: skip
RETRIED = frozenset({  # said of a request that is not part of a transaction
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
})  # fmt: skip


class TransactionalProducer:
    """A producer whose outputs become visible together, with how far they reach.

    Parameters
    ----------
    connection : Connection
    name : str
        Of the transactions and of the consumer group. One process at a time has it: a second one
        takes it over, and the first ends with `FencedError`.
    stop : StopFlag
        Once set, outputs have `STOP_GRACE` seconds more.
    limits : Limits
    seconds : float
        After which the broker aborts an open transaction of a process that is not heard of.

    Notes
    -----
    Outputs are held until the commit. When the broker refuses one of them nothing of the
    transaction counts, and all are sent again, one a batch, to see which of them it refuses: it
    judges batches, and the client, whose numbers no longer fit the broker's after a refusal, has to
    be started anew.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        name: str,
        stop: StopFlag,
        limits: Limits,
        seconds: float,
    ) -> None:
        self._connection, self._stop, self._limits = connection, stop, limits
        self._more: dict[str, str | int] = {
            "transactional.id": name,
            "transaction.timeout.ms": int(seconds * 1000),
        }
        self._name = name
        self._topic = ""
        self._group = b""
        self._held: list[Output] = []
        self._begun = False
        self._alone = False
        self._suspects: list[Refused] = []
        self._refused: list[Refused] = []
        self._dispatch = self._client()

    def open(self, topic: str, partitions: int) -> dict[int, int]:
        """Take over the name, and return how far its outputs reach: the next offset by partition.

        A transaction that the process before left open is aborted.

        Raises
        ------
        DeliveryError
            When the broker does not let this client write in transactions, or does not answer.
        """
        self._topic = topic
        self._try(self._dispatch.client.init_transactions)
        asker = Consumer({**options(self._connection), "group.id": self._name}, logger=librdkafka)
        try:
            self._group = asker.consumer_group_metadata()
            asked = [TopicPartition(topic, number) for number in range(partitions)]
            found: list[TopicPartition] = []
            self._try(lambda seconds: found.extend(asker.committed(asked, timeout=seconds)))
        finally:
            asker.close()
        for part in found:
            if part.error is not None:
                raise self._failure(KafkaException(part.error))
        return {part.partition: part.offset for part in found if part.offset >= 0}

    @property
    def unconfirmed(self) -> int:
        """Outputs that are not committed."""
        return len(self._held)

    def write(self, output: Output) -> None:
        """Add an output to the transaction, the first one after a commit begins it.

        Raises
        ------
        DeliveryError, FencedError
            When an earlier output failed, or this one can neither be taken nor refused.
        """
        if self._held and not self._begun:  # aborted: `commit` sends all of them again
            self._held.append(output)
            return
        if not self._begun:
            self._begin()
        error = self._dispatch.write(output)
        if error is None or error.code() in BROKEN:
            self._held.append(output)
        elif error.code() in REFUSALS:
            self._refused.append(_refused(output, error))
        else:
            self._dispatch.serve()
            self._dispatch.fail(output, error)
            self._dispatch.check()

    def serve(self) -> None:
        """Hear what the broker has answered; never waits.

        Raises
        ------
        DeliveryError, FencedError
            When an output failed.
        """
        self._dispatch.serve()

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
            When the transaction cannot be committed; it is aborted.
        """
        until = monotonic() + self._limits.delivery_seconds
        while not self._refused and self._held:
            if not self._begun:
                self._send_again()
            self._dispatch.wait()
            if not self._suspects:
                return self._end(reached, until), []
            self._abort_refused()
        refused, self._refused = self._refused, []
        return [], refused

    def close(self) -> None:
        """Abort what is open, so that readers need not wait for the broker to do it."""
        if self._begun:
            with suppress(*CLIENT_ERRORS):  # the next start of this name aborts it as well
                self._dispatch.client.abort_transaction(ABORT_PATIENCE)
            self._begun = False

    def _client(self) -> Dispatch:
        alone = {"batch.num.messages": 1} if self._alone else {}
        return Dispatch(
            self._connection,
            stop=self._stop,
            answered=self._answered,
            limits=self._limits,
            more=self._more | alone,
        )

    def _begin(self) -> None:
        if self._alone and not self._held:
            self._start_anew(alone=False)
        try:
            self._dispatch.client.begin_transaction()
        except CLIENT_ERRORS as problem:
            raise self._dispatch.fatal(problem) from problem
        self._begun = True

    def _send_again(self) -> None:
        self._begin()
        held, self._held = self._held, []
        for output in held:
            self.write(output)

    def _end(self, reached: Mapping[int, int], until: float) -> list[Output]:
        positions = [TopicPartition(self._topic, *place) for place in reached.items()]
        client = self._dispatch.client
        self._try(partial(client.send_offsets_to_transaction, positions, self._group), until)
        self._try(client.commit_transaction, until)
        committed, self._held, self._begun = self._held, [], False
        return committed

    def _abort_refused(self) -> None:
        """Undo the transaction; when its outputs were sent one a batch, the refused are known."""
        suspects, self._suspects = self._suspects, []
        self._try(self._dispatch.client.abort_transaction)
        if self._alone:
            refused = _refused_likewise(self._held, suspects)
            self._refused += refused
            gone = {id(each.output) for each in refused}
            self._held = [output for output in self._held if id(output) not in gone]
        self._start_anew(alone=True)

    def _start_anew(self, *, alone: bool) -> None:
        self._begun, self._alone = False, alone
        self._dispatch = self._client()
        self._try(self._dispatch.client.init_transactions)

    def _try(self, call: Callable[[float], object], until: float | None = None) -> None:
        """Call a function of the client until it succeeds, for the seconds an output may take."""
        until = until or monotonic() + self._limits.delivery_seconds
        while True:
            try:
                call(WAITING)
            except CLIENT_ERRORS as problem:
                error = error_of(problem)
                if monotonic() > until or not (error.retriable() or error.code() in RETRIED):
                    raise self._failure(problem) from problem
                self._dispatch.check_stop()
            else:
                return

    def _failure(self, problem: BaseException) -> OodlError:
        error = error_of(problem)
        if error.fatal():
            return self._dispatch.fatal(problem)
        if error.txn_requires_abort():
            self.close()
        return DeliveryError(
            f"transaction {self._name}: expected the broker to complete it, got {error.str()}; "
            "nothing is lost: start again from the last snapshot"
        )

    def _answered(self, output: Output, error: KafkaError | None, _raw: Raw | None = None) -> None:
        if error is None or error.code() in BROKEN:
            return
        if error.code() in REFUSALS:
            self._suspects.append(_refused(output, error))
        else:
            self._dispatch.fail(output, error)


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
