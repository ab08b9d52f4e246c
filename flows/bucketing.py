"""Readings bucketed by group: what a look at a partition brings, as blocks.

Rows stay the bytes that they were laid out as until their block is made, once for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from flows.items import ALONE, Arrived, Expiry, GroupBlock
from flows.lanes import Lane
from flows.wire import Message, Rejected
from oodl.block import ragged
from oodl.channels import Row
from oodl.packed import Kind
from oodl.stream import Block

__all__ = ["Bucket"]


@dataclass(slots=True, eq=False)
class _Rows:
    """Rows of a group that were laid out alike, on their way to a block."""

    group: str
    channels: tuple[str, ...]
    settled: bool
    kind: Kind
    packed: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    origins: list[Sequence[int | tuple[int, int]]] = field(default_factory=list)
    lane: Lane | None = None

    def take(
        self, packed: bytes, times: list[float], offset: int, stamp: float, numbers: range
    ) -> None:
        """Take rows that came together, and are laid out one after another."""
        if not self.numbers:
            self.numbers = [ALONE] * len(self.offsets)
        self.numbers += numbers
        self.packed.append(packed)
        self.times += times
        self.offsets += [offset] * len(times)
        self.stamps += [stamp] * len(times)

    def block(self, partition: int) -> GroupBlock:
        """Make the block of all rows."""
        values = np.frombuffer(bytearray().join(self.packed), dtype=self.kind)
        block = Block(
            self.channels,
            self.settled,
            values.reshape(len(self.offsets), -1).astype(np.float64, copy=False),
            np.array(self.times),
            np.array(self.offsets, dtype=np.int64),
            ragged(self.origins) if self.origins else None,
        )
        return GroupBlock(self.group, partition, block, self.stamps, self.numbers)


class Bucket:
    """What a turn brings, item by item: those of a group in order, and what is rejected last.

    Parameters
    ----------
    partition : int

    Examples
    --------
    >>> bucket = Bucket(0)
    >>> bucket.add("press-7", Row(("flow",), bytes(8), settled=True), 1.5, offset=40, stamp=-1.0)
    >>> bucket.add_many("press-7", [Row(("flow",), bytes(16), settled=True)], [2.0, 2.5], 41, -1.0)
    >>> (_, item), = bucket.items()
    >>> item.block.offsets.tolist(), item.rows, bucket.more
    ([40, 41, 41], [-1, 0, 1], 1)

    Attributes
    ----------
    more : int
        Readings beyond one a message.
    assembled : int
        Messages that became part of a row.
    growing : dict
        The block that grows of each group.
    """

    def __init__(self, partition: int) -> None:
        self.more = self.assembled = 0
        self._partition = partition
        self.growing: dict[str, _Rows] = {}
        self._items: list[_Rows | Expiry] = []
        self._rejected: list[Arrived] = []

    def add(self, group: str, row: Row, time: float, offset: int, stamp: float) -> None:
        """Take the row of a message that has no other; a block ends where channels change."""
        rows = self.growing.get(group)
        if (
            rows is None
            or rows.channels is not row.channels
            or rows.settled is not row.settled
            or rows.kind != row.kind
            or rows.origins
        ):
            rows = self._rows(group, row)
        rows.packed.append(row.packed)
        rows.times.append(time)
        rows.offsets.append(offset)
        rows.stamps.append(stamp)
        if rows.numbers:
            rows.numbers.append(ALONE)

    def add_many(
        self,
        group: str,
        laid: list[Row],
        times: list[float],
        offset: int,
        stamp: float,
        origin: tuple[int, int] | None = None,
    ) -> None:
        """Take the rows of a message that may have several, and was at `origin` before."""
        if len(times) == 1 and origin is None:
            self.add(group, laid[0], times[0], offset, stamp)
            return
        first = 0
        for row in laid:
            rows = self._rows(group, row, assembled=origin is not None)
            last = first + row.count
            rows.take(row.packed, times[first:last], offset, stamp, range(first, last))
            if origin is not None:
                rows.origins += [[origin]] * row.count
            first = last
        self.more += first - 1

    def add_assembled(
        self,
        group: str,
        row: Row,
        at: tuple[float, int, float],
        offsets: Sequence[int | tuple[int, int]],
    ) -> None:
        """Take a row made of the messages at `offsets`.

        `at` is its time, and the offset and the stamp of the message that has caused it.
        """
        self.assembled += len(offsets)
        time, offset, stamp = at
        if offsets == [offset]:
            self.add(group, row, time, offset, stamp)
            return
        rows = self._rows(group, row, assembled=True)
        rows.packed.append(row.packed)
        rows.times.append(time)
        rows.offsets.append(offset)
        rows.stamps.append(stamp)
        rows.origins.append(offsets)
        if rows.numbers:
            rows.numbers.append(ALONE)

    def open(self, lane: Lane, kind: Kind) -> _Rows:
        """Return the block that rows of a lane belong to, and let it be known by that."""
        rows = self._rows(lane.group, Row(lane.channels, b"", settled=True, kind=kind))
        rows.lane = lane
        return rows

    def number(
        self, rows: _Rows, packed: bytes, ts: float | list[float], offset: int, stamp: float
    ) -> None:
        """Take the rows of a message into a block where they have numbers, or will have."""
        if isinstance(ts, list) and len(ts) > 1:
            rows.take(packed, ts, offset, stamp, range(len(ts)))
            self.more += len(ts) - 1
            return
        rows.packed.append(packed)
        rows.times.append(ts[0] if isinstance(ts, list) else ts)
        rows.offsets.append(offset)
        rows.stamps.append(stamp)
        if rows.numbers:
            rows.numbers.append(ALONE)

    def expire(self, expiry: Expiry) -> None:
        """Forget a group, after what has come of it so far."""
        self.growing.pop(expiry.group, None)
        self._items.append(expiry)

    def reject(self, rejected: Rejected) -> None:
        """Take what goes round the group step."""
        self._rejected.append((_name(rejected.message), rejected))

    def items(self) -> list[Arrived]:
        """Return everything, each with the key that leads it through the flow."""
        blocks: list[Arrived] = [
            (each.group, each if isinstance(each, Expiry) else each.block(self._partition))
            for each in self._items
        ]
        return blocks + self._rejected

    def _rows(self, group: str, row: Row, *, assembled: bool = False) -> _Rows:
        """Return the block that a row belongs to, a new one where it fits none."""
        rows = self.growing.get(group)
        like = row.channels, row.settled, row.kind
        if (
            rows is None
            or (rows.channels, rows.settled, rows.kind) != like
            or bool(rows.origins) is not assembled
        ):
            rows = self.growing[group] = _Rows(group, *like)
            self._items.append(rows)
        return rows


def _name(message: Message) -> str:
    """Return what routes a rejected message: its key, else its partition."""
    key = message.key
    return key.decode(errors="replace") if key else f"partition {message.partition}"
