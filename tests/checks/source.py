"""What every source of readings keeps."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

import pytest

from flows.items import Arrived, GroupBlock
from flows.source import KafkaSource, PartitionReader, Resume
from flows.wire import Rejected

PATIENCE = 30.0
TURNS = 20_000  # a turn that waits for even 10 ms would take the test past its timeout

Position = tuple[int, int]


class SourceCase(Protocol):
    """A source, and the broker that it reads from."""

    def send(self, partition: int, count: int) -> None:
        """Send readings to a partition."""

    def open(self) -> KafkaSource:
        """Return the source as a new process has it."""

    def forget(self, partition: int) -> None:
        """Let the broker lose what the partition holds now."""

    def lose_broker(self) -> None:
        """End the broker."""

    def stop(self) -> None:
        """Ask the process to end."""

    def expired(self) -> int:
        """How many expired offsets were said."""


def check_a_turn_with_nothing_to_read_does_not_wait(case: SourceCase) -> None:
    case.send(0, 3)
    part = opened(case, 0)
    take(part, 3)

    assert not any(part.next_batch() for _ in range(TURNS))


def check_a_turn_does_not_wait_for_a_broker_that_is_away(case: SourceCase) -> None:
    case.send(0, 3)
    part = opened(case, 0)
    take(part, 3)

    case.lose_broker()

    assert not any(part.next_batch() for _ in range(TURNS))


def check_every_reading_comes_once_and_in_order(case: SourceCase) -> None:
    case.send(0, 500)

    found = take(opened(case, 0), 500)

    assert found == [(0, offset) for offset in range(500)]


def check_partitions_are_disjoint_and_hold_everything_together(case: SourceCase) -> None:
    source = case.open()
    names = source.list_parts()
    for partition in range(len(names)):
        case.send(partition, 20)

    parts = [source.build_part("readings", name, None) for name in names]
    found = take_from(parts, 20 * len(names))

    assert names == sorted(names)
    assert sorted(found) == [(p, offset) for p in range(len(names)) for offset in range(20)]


def check_a_restart_goes_on_behind_the_last_reading(case: SourceCase) -> None:
    case.send(0, 30)
    part = opened(case, 0)
    before = take(part, 30)
    state = part.snapshot()
    case.send(0, 12)

    after = take(opened(case, 0, state), 12)

    assert before + after == [(0, offset) for offset in range(42)]


def check_a_snapshot_before_any_reading_starts_at_the_first(case: SourceCase) -> None:
    state = opened(case, 0).snapshot()
    case.send(0, 5)

    assert take(opened(case, 0, state), 5) == [(0, offset) for offset in range(5)]


def check_an_expired_offset_is_said_and_what_is_left_is_read(case: SourceCase) -> None:
    case.send(0, 30)
    part = opened(case, 0)
    take(part, 30)
    state = part.snapshot()
    case.send(0, 10)
    case.forget(0)
    case.send(0, 5)

    part = opened(case, 0, state)
    first, *others = sorted(take(part, 5))

    assert case.expired() == 1
    assert first > (0, 30)
    assert others == [(0, first[1] + later) for later in range(1, len(others) + 1)]


def check_the_stop_flag_ends_every_partition(case: SourceCase) -> None:
    source = case.open()
    parts = [source.build_part("readings", name, None) for name in source.list_parts()]

    case.stop()

    for part in parts:
        with pytest.raises(StopIteration):
            part.next_batch()


CHECKS: list[Callable[[SourceCase], None]] = [
    check_a_turn_with_nothing_to_read_does_not_wait,
    check_a_turn_does_not_wait_for_a_broker_that_is_away,
    check_every_reading_comes_once_and_in_order,
    check_partitions_are_disjoint_and_hold_everything_together,
    check_a_restart_goes_on_behind_the_last_reading,
    check_a_snapshot_before_any_reading_starts_at_the_first,
    check_an_expired_offset_is_said_and_what_is_left_is_read,
    check_the_stop_flag_ends_every_partition,
]


def opened(case: SourceCase, partition: int, state: Resume | None = None) -> PartitionReader:
    """Return one partition of the source, as a new process has it."""
    source = case.open()
    return source.build_part("readings", source.list_parts()[partition], state)


def take(part: PartitionReader, count: int) -> list[Position]:
    """Read until so many readings have come."""
    return take_from([part], count)


def take_from(parts: list[PartitionReader], count: int) -> list[Position]:
    """Read from several partitions until so many readings have come."""
    return wait_for(
        lambda: [position for part in parts for position in take_what_is_there(part)],
        lambda found: len(found) >= count,
    )


def take_what_is_there(part: PartitionReader) -> list[Position]:
    return positions(part.next_batch())


def positions(items: Iterable[Arrived]) -> list[Position]:
    """Where the readings of some items came from."""
    found: list[Position] = []
    for _, item in items:
        if isinstance(item, GroupBlock):
            found += [(item.partition, offset) for offset in item.block.offsets.tolist()]
        elif isinstance(item, Rejected):
            found.append((item.message.partition, item.message.offset))
    return found


def wait_for(
    turn: Callable[[], list[Position]], enough: Callable[[list[Position]], bool]
) -> list[Position]:
    """Take turn after turn until there is enough."""
    found: list[Position] = []
    deadline = time.monotonic() + PATIENCE
    while not enough(found):
        assert time.monotonic() < deadline, f"only {len(found)} readings came"
        found += turn()
    return found
