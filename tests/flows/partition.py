"""A partition of the source without a broker: messages as the client hands them on, by turns."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import NamedTuple, cast

from flows.events import Tally
from flows.groups import Groups
from flows.kafka import Health, SharedConsumer, StopFlag
from flows.settings import Settings
from flows.source import PartitionReader, Resume, Shared

__all__ = ["Opened", "Queue", "Raw", "opened"]


class Raw(NamedTuple):
    """A message as the client hands it on."""

    at: int
    name: bytes | None
    body: bytes

    def topic(self) -> str:
        return "readings"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes:
        return self.body

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000


class Queue:
    """What arrives of a partition: a batch a turn; and what is committed of it."""

    def __init__(self, batches: Iterable[list[Raw]]) -> None:
        self._batches = iter(batches)
        self.committed: list[int | None] = []

    def take(self, _most: int) -> list[Raw]:
        return next(self._batches)

    def take_expired(self) -> None:
        return None

    def behind(self, _offset: int | None) -> int:
        return 0

    def snapped(self, offset: int | None) -> None:
        self.committed.append(offset)


class Opened(NamedTuple):
    """A partition, and what it is seen by."""

    part: PartitionReader
    queue: Queue
    tally: Tally
    groups: Groups


def opened(
    settings: Settings, batches: Iterable[list[Raw]], state: Resume = (None, b"", b"")
) -> Opened:
    """Open a partition at a snapshot, with so many messages a turn."""
    queue, tally = Queue(batches), Tally()
    consumer = SimpleNamespace(
        health=Health(),
        open=lambda _part, _offset: queue,
        others=lambda: {},
        leads=lambda _queue: True,
    )
    shared = Shared(settings, tally, StopFlag(), cast(SharedConsumer, consumer), 1)
    offset, known, samples = state
    groups = Groups(settings, known)
    return Opened(PartitionReader(shared, 0, offset, groups, samples), queue, tally, groups)
