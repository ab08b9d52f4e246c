"""Frames: consecutive readings of a group that are coded together.

A frame is closed by count, or early by a gap in time; what it lacks then is missing. Which readings
stand together follows from the readings in their order alone, however they were cut into blocks,
and each of them is in one frame.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from oodl.block import Block, Ragged, joined

__all__ = ["MAX_GAP", "Frames", "close", "frames"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_GAP = 7200.0  # seconds; readings that come hourly, and not to the second, are no gap


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """What a block of readings has completed, and what waits.

    Parameters
    ----------
    block : Block
        A row a frame: the values of its readings one after another, NaN where there are none; the
        position is that of the reading that closed it. Empty where no frame is complete.
    rows : list of int
        Which row of the readings' block that is.
    unfinished : Block or None
        Readings of the frame that is not full.
    early : int
        How many were closed by a gap.
    """

    block: Block
    rows: list[int]
    unfinished: Block | None
    early: int


def frames(
    unfinished: Block | None,
    block: Block,
    before: Iterable[float | None],
    *,
    window: int,
    max_gap: float = MAX_GAP,
) -> Frames:
    """Make frames from a block of readings and those that wait.

    A gap is a step of more than `max_gap` beyond both the reading before and the group's event
    time: so neither one wrong stamp nor one that comes late makes two.

    Parameters
    ----------
    unfinished : Block or None
        What the call before has left.
    block : Block
        Readings, of the same channels.
    before : iterable of float or None
        The group's event time before each of them.
    window : int
        Readings of a frame, at least 1.
    max_gap : float
        Seconds.

    Examples
    --------
    The second frame is closed by the reading after the gap, at offset 5.

    >>> times = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 9000.0])
    >>> readings = Block(("flow",), True, times[:, None], times, np.arange(6))
    >>> made = frames(None, readings, [None, *times[:-1]], window=3)
    >>> made.block.values.tolist(), made.block.origins.lists(), made.block.offsets.tolist()
    ([[0.0, 1.0, 2.0], [3.0, 4.0, nan]], [[0, 1, 2], [3, 4]], [2, 5])
    >>> made.unfinished.offsets.tolist(), made.early
    ([5], 1)
    """
    open_, last = (0, -inf) if unfinished is None else (len(unfinished), unfinished.times.item(-1))
    count, ends, rows, early = open_, [], [], 0
    for row, (time, now) in enumerate(zip(block.times.tolist(), before, strict=True)):
        if count and time - (last if now is None else max(last, now)) > max_gap:
            ends.append(open_ + row)
            rows.append(row)
            count, early = 0, early + 1
        count += 1
        if count == window:
            ends.append(open_ + row + 1)
            rows.append(row)
            count = 0
        last = time
    together = block if unfinished is None else joined(unfinished, block)
    if not ends:
        return Frames(block.part(0, 0), rows, together, early)
    full, rest = ends[-1], None
    if full < len(together):
        rest = _own(together.part(full, len(together)))
    return Frames(_laid(together, ends, block.offsets[rows], window), rows, rest, early)


def close(unfinished: Block, window: int, offset: int | None = None) -> Block:
    """Return the frame of the readings that wait, closed before it is full.

    Parameters
    ----------
    unfinished : Block
    window : int
        Readings of a frame.
    offset : int, optional
        Position of what closes it; by default of its last reading.

    Examples
    --------
    >>> reading = Block(("flow",), True, np.ones((1, 1)), np.zeros(1), np.arange(1))
    >>> close(reading, window=3).values
    array([[ 1., nan, nan]])
    """
    place = unfinished.offsets.item(-1) if offset is None else offset
    return _laid(unfinished, [len(unfinished)], np.array([place], np.int64), window)


def _laid(readings: Block, ends: list[int], offsets: Ints, window: int) -> Block:
    """Lay readings out, a row a frame."""
    count, channels = ends[-1], len(readings.channels)
    edges = np.array([0, *ends])
    sizes, times = np.diff(edges), readings.times[:count]
    places = np.arange(count) + np.repeat(np.arange(len(ends)) * window - edges[:-1], sizes)
    values = np.full((len(ends) * window, channels), np.nan)
    values[places] = readings.values[:count]
    origins = Ragged(edges[1:], readings.offsets[:count])
    if readings.origins is not None:
        of_frames = readings.origins.part(0, count)
        origins = Ragged(of_frames.ends[edges[1:] - 1], of_frames.flat)
    return Block(
        readings.channels, readings.settled, values.reshape(len(ends), window * channels),
        times[edges[1:] - 1], offsets, origins, Ragged(edges[1:], times),
        None if readings.places is None else readings.places[edges[:-1]],
    )  # fmt: skip


def _own(block: Block) -> Block:
    """Copy a few readings, so that they hold no larger block in memory."""
    origins = block.origins and Ragged(block.origins.ends.copy(), block.origins.flat.copy())
    return Block(
        block.channels, block.settled, block.values.copy(), block.times.copy(),
        block.offsets.copy(), origins, places=None if block.places is None else block.places.copy(),
    )  # fmt: skip
