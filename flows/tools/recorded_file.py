"""The rows of a CSV file as messages of readings: JSON, keyed by group."""

import math
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from flows.tables import BadRow, Batch, Table
from flows.tools.bounds import Bound
from flows.tools.progress import Tell, untold
from flows.tools.recorded import Recorded

__all__ = ["FileRecording"]


class FileRecording:
    """Rows as messages, those that cannot be read left out.

    Order: that of the times, where rows of one time stay as they are; the file's own if asked for.
    In the file's own order it is read as it goes, else a file whose times go back is held whole.

    Parameters
    ----------
    table : Table
    since, until : Bound or None
        From this row or time on, and up to that one, which is not meant any more.
    by_time : bool
    tell : callable
        Called with how many rows were looked at.

    Attributes
    ----------
    bad : list of BadRow
        Rows that are meant and could not be read; of no known time those are of every time.
    """

    def __init__(
        self,
        table: Table,
        since: Bound | None = None,
        until: Bound | None = None,
        *,
        by_time: bool = True,
        tell: Tell = untold,
    ) -> None:
        self._table, self._since, self._until = table, since, until
        self.bad: list[BadRow] = []
        self._count, ordered = self._survey(tell)
        self._sort = by_time and not ordered
        self._encode = msgspec.json.Encoder().encode

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Recorded]:
        rows = self._rows()
        if self._sort:
            rows = iter(sorted(rows, key=lambda row: row.time))  # stable
        return rows

    def _survey(self, tell: Tell) -> tuple[int, bool]:
        """Count what is meant, and see whether its times never go back."""
        count, ordered, last = 0, True, -math.inf
        rows, done = sum(each.rows for each in self._table.groups.values()), 0
        for batch in self._table.batches():
            done += len(batch.groups)
            tell(done, rows)
            self.bad += [row for row in batch.bad if self._meant_row(row.offset)]
            times = [
                time
                for time, offset in zip(batch.times.tolist(), batch.offsets.tolist(), strict=True)
                if self._meant(time, offset)
            ]
            count += len(times)
            ordered = ordered and all(a <= b for a, b in pairwise([last, *times]))
            last = times[-1] if times else last
        return count, ordered

    def _rows(self) -> Iterator[Recorded]:
        for batch in self._table.batches():
            yield from self._of_batch(batch)

    def _of_batch(self, batch: Batch) -> Iterator[Recorded]:
        channels, groups = self._table.channels, self._table.groups
        columns = (batch.groups, batch.offsets.tolist(), batch.times.tolist())
        for group, offset, time, values in zip(*columns, batch.values.tolist(), strict=True):
            if self._meant(time, offset):
                named = {channels[place]: values[place] for place in groups[group].channels}
                value = self._encode({"group": group, "ts": time, "values": named})
                place = f"{self._table.path.name}/{offset}"
                yield Recorded(time, place, group.encode(), value, [])

    def _meant(self, time: float, offset: int) -> bool:
        after = self._since is None or self._since.passed(time, offset)
        return after and not (self._until is not None and self._until.passed(time, offset))

    def _meant_row(self, offset: int) -> bool:
        ends = (self._since, self._until)
        if any(each is not None and each.offset is None for each in ends):
            return True
        return self._meant(0.0, offset)
