"""Rows of one group: readings, or frames of several; and what each row is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "Ragged", "joined", "ragged"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALONE = -1  # in the place of a reading in its message: it has no other


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Lists of different lengths, one after another.

    Parameters
    ----------
    ends : ndarray of int64, shape (B,)
        Where each list ends.
    flat : ndarray, shape (R,) or (R, 2)
        Their entries.

    Examples
    --------
    >>> ragged = Ragged(np.array([2, 2, 3]), np.array([7, 8, 9]))
    >>> ragged.lists(), ragged.part(1, 3).lists()
    ([[7, 8], [], [9]], [[], [9]])
    """

    ends: Ints
    flat: npt.NDArray[Any]

    def part(self, start: int, stop: int) -> "Ragged":
        """Return lists `start` to `stop`."""
        first = int(self.ends[start - 1]) if start else 0
        ends = self.ends[start:stop]
        last = int(ends[-1]) if len(ends) else first
        return Ragged(ends - first, self.flat[first:last])

    def lists(self) -> list[list[Any]]:
        """Return them as lists."""
        flat, start, lists = self.flat.tolist(), 0, []
        for end in self.ends.tolist():
            lists.append(flat[start:end])
            start = end
        return lists

    def counts(self) -> Ints:
        """Return how long each one is."""
        counts: Ints = np.diff(self.ends, prepend=0)
        return counts


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive readings of one group, with the same channels; or frames of several each.

    Parameters
    ----------
    channels : tuple of str
    settled : bool
        Whether these are the group's channels for good; else nothing is learned.
    values : ndarray of float64, shape (B, C), of frames (B, window x C)
        NaN or infinite where missing.
    times : ndarray of float64, shape (B,)
        Seconds; of a frame, that of its last reading.
    offsets : ndarray of int64, shape (B,)
        Positions in the partition; of a frame, that of the reading that closed it.
    origins : Ragged, optional
        Positions of the messages that each row is made of; None where that is its own alone.
    moments : Ragged, optional
        Times of the readings of each frame; None where rows are readings.
    places : ndarray of int64, shape (B,), optional
        Which reading of its message each row is, or the first one of a frame, -1 where that has no
        other; None where none has.
    """

    channels: tuple[str, ...]
    settled: bool
    values: Floats
    times: Floats
    offsets: Ints
    origins: Ragged | None = None
    moments: Ragged | None = None
    places: Ints | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, start: int, stop: int) -> "Block":
        """Return rows `start` to `stop`."""
        rows = slice(start, stop)
        return Block(
            self.channels, self.settled, self.values[rows], self.times[rows], self.offsets[rows],
            self.origins and self.origins.part(start, stop),
            self.moments and self.moments.part(start, stop),
            None if self.places is None else self.places[rows],
        )  # fmt: skip


def ragged(lists: Sequence[Sequence[Any]]) -> Ragged:
    """Lay lists out one after another.

    Examples
    --------
    >>> ragged([[7, 8], [], [9]]).lists()
    [[7, 8], [], [9]]
    """
    ends = np.cumsum([len(each) for each in lists], dtype=np.int64)
    return Ragged(ends, np.array([entry for each in lists for entry in each], dtype=np.int64))


def joined(first: Block, second: Block) -> Block:
    """Return the readings of two blocks of the same channels as one.

    Examples
    --------
    >>> rows = [Block(("flow",), True, np.ones((1, 1)), np.zeros(1), np.arange(1))] * 2
    >>> joined(*rows).values.tolist()
    [[1.0], [1.0]]
    """
    return Block(
        first.channels,
        first.settled,
        np.concatenate((first.values, second.values)),
        np.concatenate((first.times, second.times)),
        np.concatenate((first.offsets, second.offsets)),
        _origins(first, second),
        places=_places(first, second),
    )


def _origins(first: Block, second: Block) -> Ragged | None:
    if first.origins is None and second.origins is None:
        return None
    one, other = (
        Ragged(np.arange(1, len(each) + 1), each.offsets) if each.origins is None else each.origins
        for each in (first, second)
    )
    return Ragged(
        np.concatenate((one.ends, other.ends + len(one.flat))),
        np.concatenate((one.flat, other.flat)),
    )


def _places(first: Block, second: Block) -> Ints | None:
    if first.places is None and second.places is None:
        return None
    return np.concatenate(
        [
            np.full(len(each), ALONE) if each.places is None else each.places
            for each in (first, second)
        ]
    )
