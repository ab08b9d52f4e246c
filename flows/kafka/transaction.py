"""One transaction after another under a name, by a client that is replaced when it hangs.

librdkafka can lose sight of a broker that was restarted, and waits for ever for a coordinator that
has left, whatever time limit it was given (2.16.0; its issues 5456 and 5511). A new client finds
them at once. So every step has its time here, after which it ends in `HangingError`; whoever has
the outputs starts the client anew, and sends them again.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from threading import Thread
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Raw

from flows.kafka.connection import Connection, librdkafka, options
from flows.kafka.dispatch import (
    CLIENT_ERRORS,
    WAITING,
    DeliveryError,
    Dispatch,
    Limits,
    Output,
    Together,
    error_of,
)
from flows.kafka.rights import Right
from oodl.errors import OodlError

__all__ = ["HangingError", "TransactionClient", "Transactional"]

HANGING = 2.5, 10.0  # seconds without progress after which a client is given up: first, and at most
ABORT_PATIENCE = 0.2  # seconds; what is not aborted then, the next start of the same name aborts
RETRIED = frozenset({  # said of a request that is not part of a transaction
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
})  # fmt: skip
MOVED = frozenset({  # said by who was the coordinator: a new client asks who is
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
})  # fmt: skip

Answered = Callable[[Output, KafkaError | None, Raw], None]


class HangingError(Exception):
    """The client makes no progress: it has to be started anew."""


@dataclass(frozen=True, slots=True)
class Transactional:
    """Who writes in transactions, of outputs for which readings.

    Parameters
    ----------
    name : str
        Of the transactions. One process at a time has it: a second one takes it over, and the first
        ends with `FencedError`.
    group : str
        The consumer group that has how far they reach.
    topic : str
        Where the readings come from.
    partitions : int
        How many it has.
    seconds : float
        After which the broker aborts an open transaction of a process that is not heard of.
    """

    name: str
    group: str
    topic: str
    partitions: int
    seconds: float


class TransactionClient:
    """The client of a name, started under it.

    Parameters
    ----------
    connection : Connection
    transactional : Transactional
    together : Together
        Whom it stands and falls with.
    limits : Limits
    answered : callable
        As for `Dispatch`.

    Attributes
    ----------
    dispatch : Dispatch
        From the first `start` on.
    """

    dispatch: Dispatch

    def __init__(
        self,
        connection: Connection,
        *,
        transactional: Transactional,
        together: Together,
        limits: Limits,
        answered: Answered,
    ) -> None:
        self._connection, self._limits = connection, limits
        self._transactional = transactional
        self._together, self._answered = together, answered
        self._known_group = b""
        self._begun = False
        self._patience = HANGING[0]

    @property
    def begun(self) -> bool:
        """Whether a transaction is open."""
        return self._begun

    def start(self, until: float, *, alone: bool = False) -> None:
        """Take over the name with a new client; what was open under it is aborted.

        Parameters
        ----------
        until : float
            When to give up (monotonic).
        alone : bool
            Whether each output is a batch of its own.

        Raises
        ------
        DeliveryError
            When the broker does not let this client write in transactions, or does not answer.
        """
        started = False
        while not started:
            self._leave()
            self.dispatch = self._client({"batch.num.messages": 1} if alone else {})
            self._together.add(self.dispatch)
            with suppress(HangingError):
                self._try(self.dispatch.client.init_transactions, until)
                started = True

    def committed(self, until: float) -> dict[int, int]:
        """Ask how far the committed outputs reach: the next offset by partition.

        Raises
        ------
        DeliveryError
            When the broker does not tell, or does not answer.
        """
        topic, count = self._transactional.topic, self._transactional.partitions
        parts = [TopicPartition(topic, number) for number in range(count)]
        found: list[TopicPartition] = []
        while not found:
            asker = self._consumer()
            ask = partial(_ask, asker, parts, found)
            try:
                with suppress(HangingError):
                    self._try(ask, until)
            finally:
                asker.close()
        for part in found:
            if part.error is not None:
                raise self._failure(KafkaException(part.error))
        return {part.partition: part.offset for part in found if part.offset >= 0}

    def begin(self) -> None:
        """Open a transaction.

        Raises
        ------
        FencedError
            When another process has the name.
        """
        try:
            self.dispatch.client.begin_transaction()
        except CLIENT_ERRORS as problem:
            raise self._failure(problem) from problem
        self._begun = True

    def settle(self) -> None:
        """Wait until every output of the transaction is answered.

        Raises
        ------
        HangingError
        DeliveryError, FencedError
            When an output failed.
        """
        if not self.dispatch.wait(self._patience):
            raise self._hanging()

    def commit(self, reached: Mapping[int, int], until: float) -> None:
        """Commit, and with the outputs how far they reach: the next offset by partition.

        Raises
        ------
        HangingError
            It may or may not be committed then; `committed` tells after a new start.
        DeliveryError, FencedError
            When the transaction cannot be committed.
        """
        positions = [TopicPartition(self._transactional.topic, *place) for place in reached.items()]
        client = self.dispatch.client
        send = partial(client.send_offsets_to_transaction, positions, self._group())
        self._try(partial(self._in_time, send), until)
        self._try(client.commit_transaction, until)
        self._begun = False
        self._patience = HANGING[0]

    def abort(self, until: float) -> None:
        """Undo the open transaction.

        Raises
        ------
        HangingError
        DeliveryError, FencedError
            When it cannot be aborted.
        """
        self._try(self.dispatch.client.abort_transaction, until)
        self._begun = False

    def close(self) -> None:
        """Abort what is open, so that readers need not wait for the broker to do it."""
        if self._begun:
            with suppress(*CLIENT_ERRORS):  # the next start of this name aborts it as well
                self.dispatch.client.abort_transaction(ABORT_PATIENCE)
            self._begun = False

    def _leave(self) -> None:
        self._begun = False
        if hasattr(self, "dispatch"):
            self._together.discard(self.dispatch)

    def _client(self, more: Mapping[str, str | int]) -> Dispatch:
        return Dispatch(
            self._connection,
            together=self._together,
            answered=self._answered,
            limits=self._limits,
            more={
                "transactional.id": self._transactional.name,
                "transaction.timeout.ms": int(self._transactional.seconds * 1000),
                "metadata.recovery.strategy": "none",  # else it hangs after nearly every restart
                **more,
            },
        )

    def _consumer(self) -> Consumer:
        named = {"group.id": self._transactional.group, "log_level": 0}
        return Consumer({**options(self._connection), **named}, logger=librdkafka)

    def _group(self) -> bytes:
        if not self._known_group:
            with closing(self._consumer()) as asker:
                self._known_group = asker.consumer_group_metadata()
        return self._known_group

    def _try(self, call: Callable[[float], object], until: float) -> None:
        """Call a function of the client until it succeeds, hangs, or the time is over."""
        hanging = monotonic() + self._patience
        while True:
            try:
                call(WAITING)
            except CLIENT_ERRORS as problem:
                error, over = error_of(problem), monotonic() > until
                moved = error.code() in MOVED and not error.fatal()
                if over or not (moved or error.retriable() or error.code() in RETRIED):
                    raise self._failure(problem) from problem
                self._together.watch()
                if moved or monotonic() > hanging:
                    raise self._hanging() from problem
            else:
                self._together.answered()
                return

    def _in_time(self, call: Callable[[float], object], seconds: float) -> None:
        """Call a function that does not keep to its time."""
        answer: Future[object] = Future()
        Thread(target=_answer, args=(answer, call, seconds), daemon=True).start()
        hanging = monotonic() + self._patience
        while not wait([answer], WAITING).done:
            self._together.watch()
            if monotonic() > hanging:
                raise self._hanging()
        answer.result()

    def _hanging(self) -> HangingError:
        """Have more patience with the next client, until one commits: the broker may be slow."""
        self._patience = min(2 * self._patience, HANGING[1])
        return HangingError()

    def _failure(self, problem: BaseException) -> OodlError:
        error = error_of(problem)
        if denied := self._denied(error):
            self.close()
            return DeliveryError(f"{denied}; nothing is lost: start again from the last snapshot")
        if error.fatal():
            return self.dispatch.fatal(problem)
        if error.txn_requires_abort():
            self.close()
        return DeliveryError(
            f"transaction {self._transactional.name}: expected the broker to complete it, got "
            f"{error.str()}; nothing is lost: start again from the last snapshot"
        )

    def _denied(self, error: KafkaError) -> str:
        """Name the right that is missing; "" when that is not what the broker says."""
        group, topic = self._transactional.group, self._transactional.topic
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return Right("Read", "group", group, "kafka.group").denied()
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return (
                f"topics: expected the right to Read {topic}, and to Write topics.codes and "
                "topics.dead_letters, got not each of them; let an administrator grant it: the "
                "next start names it"
            )
        return self.dispatch.denied(error)


def _ask(
    asker: Consumer, parts: list[TopicPartition], found: list[TopicPartition], seconds: float
) -> None:
    found += asker.committed(parts, timeout=seconds)


def _answer(answer: Future[object], call: Callable[[float], object], seconds: float) -> None:
    try:
        answer.set_result(call(seconds))
    except CLIENT_ERRORS as problem:
        answer.set_exception(problem)
