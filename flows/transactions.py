"""Outputs exactly once: a transaction an epoch and part of the sink; no engine.

A commit tells with the outputs how far they reach in each partition. After a restart the engine
makes again what came after its last snapshot; what the part had committed by then is left out.
Dictionaries stay outside: they are named by their content, and must be there before a code is.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

from msgspec import structs

from flows import access, events
from flows.events import Tally
from flows.items import Encoded
from flows.kafka import (
    FencedError,
    Limits,
    Output,
    Refused,
    StopFlag,
    Together,
    Transactional,
    TransactionalProducer,
)
from flows.manifest import Manifest
from flows.outbox import Outbox, Receipts, letter_of, returned
from flows.settings import Settings
from flows.wire import Rejected, codes_from

__all__ = ["PartTransactions", "Reach", "Transactions"]

T = TypeVar("T")

LONGEST = 900.0  # seconds: brokers allow a transaction no longer (transaction.max.timeout.ms)


class Reach:
    """How far the outputs of a part reach: the next offset by partition.

    Parameters
    ----------
    committed : dict of int to int
        As the broker has it at the start; what stands for readings below it was sent.

    Examples
    --------
    >>> reach = Reach({0: 10})
    >>> reach.known(0, 9), reach.known(0, 10), reach.known(1, 0)
    (True, False, False)
    >>> reach.passed(0, 12)
    >>> reach.offsets
    {0: 13}
    """

    def __init__(self, committed: dict[int, int]) -> None:
        self.committed = committed
        self.offsets: dict[int, int] = {}

    def known(self, partition: int, last: int) -> bool:
        """Whether all up to an offset was sent before the start."""
        return last < self.committed.get(partition, 0)

    def passed(self, partition: int, last: int) -> None:
        """Note that an output for this offset was written."""
        self.offsets[partition] = max(self.offsets.get(partition, 0), last + 1)


class Transactions:
    """The parts of one process, each with transactions of its own.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    stop : StopFlag
    manifest : Manifest
        Of the recovery folder: it names the pipeline, and fixes the parts.
    """

    def __init__(
        self, settings: Settings, tally: Tally, stop: StopFlag, manifest: Manifest
    ) -> None:
        self.settings, self.tally = settings, tally
        self._together, self._manifest = Together(stop, settings.kafka.delivery_seconds), manifest
        self.dictionaries = Outbox(settings, tally, self._together)
        self._parts: dict[int, list[PartTransactions]] = {}  # by the thread that serves them
        self._pool = ThreadPoolExecutor(manifest.sink_parts, thread_name_prefix="part")

    def open(self, part: str) -> "PartTransactions":
        """Take a part over, in the background: its first output waits for it."""
        made = PartTransactions(self, self._pool.submit(self._take_over, part))
        self._parts.setdefault(threading.get_ident(), []).append(made)
        return made

    def hear(self) -> None:
        """Hear what the broker has answered since; never waits.

        Raises
        ------
        DeliveryError, FencedError
            When an output failed.
        """
        self.dictionaries.hear()

    def commit(self) -> None:
        """Commit the parts of this thread, all at once: the engine asks when an epoch is complete.

        Raises
        ------
        DeliveryError, FencedError
            When a transaction cannot be committed.
        """
        began = monotonic()
        waiting = [part for part in self._parts[threading.get_ident()] if part.unconfirmed]
        if not waiting:
            return
        while waiting:
            refusals = self._at_once([part.commit for part in waiting])
            waiting = [
                part
                for part, refused in zip(waiting, refusals, strict=True)
                if not part.settled(refused)
            ]
        events.snapshot_taken(self.tally, seconds=monotonic() - began)

    def close(self) -> None:
        """Abort what is open, so that readers need not wait for the broker to do it."""
        parts = [part for parts in self._parts.values() for part in parts]
        self._at_once([part.close for part in parts])
        self._pool.shutdown(cancel_futures=True)

    def _take_over(self, part: str) -> tuple[TransactionalProducer, Reach]:
        settings, manifest = self.settings, self._manifest
        kafka = settings.kafka
        transactional = Transactional(
            access.transactions_of_part(settings, part, manifest.sink_parts),
            access.group_of_part(settings.kafka.group, part, manifest.sink_parts),
            settings.topics.source,
            manifest.partitions,
            min(LONGEST, manifest.epoch_seconds + kafka.delivery_seconds),
        )
        producer = TransactionalProducer(
            kafka,
            transactional=transactional,
            together=self._together,
            limits=Limits(kafka.max_message_bytes, kafka.delivery_seconds),
        )
        return producer, Reach(producer.open())

    def _at_once(self, calls: list[Callable[[], T]]) -> list[T]:
        """Call all at once, wait for all, and raise what ends the process for good before others.

        A transaction takes 20 ms, nearly all of it waiting: eight in turn take 150, together 65.
        """
        futures = [self._pool.submit(call) for call in calls]
        failures = [problem for future in futures if (problem := future.exception())]
        for problem in sorted(failures, key=lambda one: not isinstance(one, FencedError)):
            raise problem
        return [future.result() for future in futures]


class PartTransactions:
    """What one part writes.

    Parameters
    ----------
    shared : Transactions
    opening : Future of (TransactionalProducer, Reach)
    """

    def __init__(
        self, shared: Transactions, opening: Future[tuple[TransactionalProducer, Reach]]
    ) -> None:
        self._shared, self._opening = shared, opening
        self._receipts = Receipts(shared.settings, shared.tally)

    @property
    def unconfirmed(self) -> int:
        """Outputs that are not committed."""
        return self._opening.result()[0].unconfirmed

    def publish(self, batch: list[Encoded]) -> None:
        """Send dictionaries, and return when they are confirmed.

        Raises
        ------
        DeliveryError
            When an output failed.
        """
        self._shared.dictionaries.publish(batch)

    def send(self, outputs: list[Output]) -> None:
        """Add codes to the transaction, but for those that were committed before the start.

        Raises
        ------
        DeliveryError, FencedError
            When an earlier output failed.
        """
        producer, reach = self._opening.result()
        for output in outputs:
            if reach.known(output.partition, output.last):
                continue
            producer.write(_rest(output, reach.committed.get(output.partition, 0)))
            reach.passed(output.partition, output.last)
        self._shared.hear()

    def bury(self, letters: list[Rejected]) -> None:
        """Add dead letters to the transaction.

        Raises
        ------
        DeliveryError, FencedError
            When an earlier output failed.
        """
        self.send([letter_of(self._shared.settings, rejected) for rejected in letters])

    def snapshot(self) -> None:
        """Commit; the first part that is asked commits all.

        Raises
        ------
        DeliveryError, FencedError
            When a transaction cannot be committed.
        """
        self._shared.commit()

    def commit(self) -> list[Refused]:
        """Commit what was written, unless the broker refuses some of it; in any thread."""
        producer, reach = self._opening.result()
        committed, refusals = producer.commit(reach.offsets)
        if not refusals:
            reach.offsets.clear()
        for output in committed:
            self._receipts.count(output)
        return refusals

    def settled(self, refusals: list[Refused]) -> bool:
        """Tell what was committed, or write dead letters for what was refused: commit again."""
        shared, producer = self._shared, self._opening.result()[0]
        for refusal in refusals:
            rejected = returned(shared.settings, shared.tally, refusal)
            producer.write(letter_of(shared.settings, rejected))
        self._receipts.tell()
        return not refusals

    def close(self) -> None:
        """Abort what is open."""
        if self._opening.done() and not self._opening.exception():
            self._opening.result()[0].close()


def _rest(output: Output, first: int) -> Output:
    """Leave out of a block what stands for readings below `first`."""
    if output.first >= first:
        return output
    value, readings = codes_from(output.value or b"", first)
    return structs.replace(output, value=value, readings=readings, first=first)
