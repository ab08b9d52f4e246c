"""What every sink of the flow keeps."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from flows.items import Encoded, GroupBlock
from flows.kafka import DeliveryError
from flows.sink import SinkPart
from flows.wire import Message, Rejected, decode_codes, decode_dictionary
from oodl.stream import Block
from tests.traffic import Record, position_of_letter

PATIENCE = 30.0


class SinkCase(Protocol):
    """A sink, and the broker that it writes to."""

    def open(self) -> SinkPart:
        """Return a part of the sink; an output has a few seconds to be confirmed."""

    def encode(self, block: GroupBlock) -> Encoded:
        """Take a block through the group step."""

    def codes(self) -> list[Record]:
        """Return what the codes topic holds."""

    def dictionaries(self) -> list[Record]:
        """Return what the dictionaries topic holds."""

    def dead_letters(self) -> list[Record]:
        """Return what the topic of dead letters holds."""

    def counted(self) -> tuple[int, int]:
        """Return how many codes and dead letters were counted as sent."""

    def lose_broker(self) -> None:
        """End the broker."""


def check_a_snapshot_returns_only_when_everything_is_confirmed(case: SinkCase) -> None:
    part = case.open()
    part.write_batch([case.encode(block("press-0", range(50))), rejected(50)])

    part.snapshot()

    assert len(case.codes()) == 50
    assert len(case.dead_letters()) == 1
    assert case.counted() == (50, 1)


def check_nothing_is_counted_before_it_is_confirmed(case: SinkCase) -> None:
    part = case.open()
    part.snapshot()
    case.lose_broker()

    part.write_batch([rejected(0)])

    assert case.counted() == (0, 0)


def check_a_failed_delivery_is_raised_by_a_snapshot(case: SinkCase) -> None:
    part = case.open()
    part.snapshot()
    case.lose_broker()
    part.write_batch([rejected(0)])

    with pytest.raises(DeliveryError):
        part.snapshot()


def check_a_failed_delivery_is_raised_by_a_later_write_and_ever_after(case: SinkCase) -> None:
    part = case.open()
    part.snapshot()
    case.lose_broker()

    with pytest.raises(DeliveryError):
        write_until_it_fails(part)

    with pytest.raises(DeliveryError):
        part.write_batch([rejected(0)])
    with pytest.raises(DeliveryError):
        part.snapshot()


def check_outputs_of_a_key_keep_their_order(case: SinkCase) -> None:
    part = case.open()
    for first in range(0, 200, 10):
        rows = range(first, first + 10)
        part.write_batch([case.encode(block(group, rows)) for group in ("press-0", "press-1")])

    part.snapshot()

    for key in (b"press-0", b"press-1"):
        own = [record.value or b"" for record in case.codes() if record.key == key]
        assert [code.offset for value in own for code in decode_codes(value)] == list(range(200))


def check_every_output_has_the_position_it_comes_from(case: SinkCase) -> None:
    part = case.open()
    part.write_batch([case.encode(block("press-0", range(7, 9), partition=3)), rejected(9)])

    part.snapshot()

    codes = [code for record in case.codes() for code in decode_codes(record.value or b"")]
    assert [(code.partition, code.offset) for code in codes] == [(3, 7), (3, 8)]
    assert [position_of_letter(letter) for letter in case.dead_letters()] == [(3, 9)]
    [dictionary] = [decode_dictionary(record.value or b"") for record in case.dictionaries()]
    assert (dictionary.partition, dictionary.offset) == (3, 7)


def check_a_dictionary_is_there_before_the_first_code_that_names_it(case: SinkCase) -> None:
    part = case.open()
    encoded = case.encode(block("press-0", range(300)))
    named = {code.id for output in encoded.codes for code in decode_codes(output.value or b"")}
    only_dictionaries = Encoded(encoded.group, encoded.partition, encoded.published, [])

    part.write_batch([only_dictionaries])

    found = [decode_dictionary(record.value or b"").id for record in case.dictionaries()]
    assert len(found) > 1
    assert named <= set(found)


CHECKS: list[Callable[[SinkCase], None]] = [
    check_a_snapshot_returns_only_when_everything_is_confirmed,
    check_nothing_is_counted_before_it_is_confirmed,
    check_a_failed_delivery_is_raised_by_a_snapshot,
    check_a_failed_delivery_is_raised_by_a_later_write_and_ever_after,
    check_outputs_of_a_key_keep_their_order,
    check_every_output_has_the_position_it_comes_from,
    check_a_dictionary_is_there_before_the_first_code_that_names_it,
]


def block(group: str, rows: range, *, channels: int = 4, partition: int = 0) -> GroupBlock:
    """Rows of a group with settled channels, at offsets as given."""
    values = np.random.default_rng(rows.start).standard_normal((len(rows), channels))
    offsets = np.array(rows, dtype=np.int64)
    names = tuple(f"channel-{number}" for number in range(channels))
    times = offsets.astype(np.float64)
    rows_of_group = Block(names, settled=True, values=values, times=times, offsets=offsets)
    return GroupBlock(group, partition, rows_of_group, [-1.0] * len(rows))


def rejected(offset: int) -> Rejected:
    message = Message("sensors.readings", 3, offset, b"press-0", b"{", [], 0.0)
    return Rejected(message, "json", "Input data was truncated")


def write_until_it_fails(part: SinkPart) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        part.write_batch([rejected(0)])
        time.sleep(0.05)
