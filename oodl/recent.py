"""What is usual for a group lately: how many atoms its frames take, and what these leave.

A histogram that forgets, no frame is kept: for each number of atoms that may be called usual, of
the error that it leaves. Frames enter coded by a dictionary that has not learned from them yet;
otherwise the limit would be too narrow for the next ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oodl.loops import compiled

__all__ = ["Recent"]

Array = npt.NDArray[np.floating]

USUAL_SHARE = (
    3  # at most a third of the atoms are usual: what more would leave is noise, and tells nothing
)
LEAST_LIMIT = 0.1  # deviations; what stays within the default tolerance is never unusual
QUANTILE = 0.95  # of the errors left by the usual number of atoms: the limit
MEMORY = 2048  # frames; enough for the .95 quantile to rest on a hundred
FADING = 2  # exponent of the weights until then: the first frames, coded by a guess, fade
EDGES = np.geomspace(LEAST_LIMIT, 50.0, 64)  # of the error histogram, 10 % apart
SQUARES = EDGES**2
BINS = len(EDGES) + 1  # the first for errors up to the first edge, the last beyond the last one


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """A histogram over the last two thousand frames or so.

    Parameters
    ----------
    seen : int
        Frames so far.
    errors : ndarray of float32, shape (most + 1, bins)
        Share of frames by the error that 0..most atoms leave; `most` is a third of N, at least 1.

    Examples
    --------
    >>> left = np.array([[1.0, 0.04, 0.0]] * 50)  # mean squares: one atom leaves .2
    >>> recent = Recent.start(2).update(left)
    >>> recent.usual, round(recent.limit(1), 1)
    (1, 0.2)
    """

    seen: int
    errors: npt.NDArray[np.float32]

    @classmethod
    def start(cls, n: int) -> "Recent":
        """Nothing seen yet, for frames of `n` numbers."""
        most = max(1, n // USUAL_SHARE)
        return cls(0, np.zeros((most + 1, BINS), np.float32))

    def update(self, left: Array) -> "Recent":
        """Count frames by what 0..N atoms leave of them (mean squares, shape (B, N + 1))."""
        rows = len(left)
        share = max(1 - (self.seen / (self.seen + rows)) ** FADING, min(1.0, rows / MEMORY))
        kept = (1 - share) / share * rows  # in frames: those that come weigh one each
        errors = _counted(left, SQUARES, self.errors, kept, share / rows)
        return Recent(self.seen + rows, errors)

    @property
    def usual(self) -> int:
        """The median number of atoms within `LEAST_LIMIT`, at most a third of all."""
        within = self.errors[:, 0]  # rises with the number of atoms
        half = 0.5 * float(self.errors[0].sum())
        return min(int(np.count_nonzero(within < half)), len(self.errors) - 1)

    def limit(self, atoms: int) -> float:
        """Return the .95 quantile of the error left by so many atoms, no less than .1.

        Parameters
        ----------
        atoms : int
            At most a third of all, see `usual`.
        """
        shares = np.cumsum(self.errors[atoms], dtype=np.float64)
        wanted = QUANTILE * shares[-1]
        cell = int(np.searchsorted(shares, wanted))
        if cell == 0:
            return LEAST_LIMIT
        if cell == len(EDGES):
            return float(EDGES[-1])
        below = shares[cell - 1]
        part = (wanted - below) / max(shares[cell] - below, np.finfo(np.float64).tiny)
        low, high = np.log(EDGES[cell - 1]), np.log(EDGES[cell])
        return round(float(np.exp(low + part * (high - low))), 6)


@compiled
def _counted(left: Array, squares: Array, before: Array, kept: float, weight: float) -> Array:
    """Count frames by the cell that they fall into: a search from where the last number stood.

    Parameters
    ----------
    before : ndarray
        Shares so far.
    kept : float
        Frames that these are worth.
    weight : float
        What a frame weighs.
    """
    counts = before * np.float32(kept)
    for frame in range(len(left)):
        cell = len(squares)
        for number in range(len(counts)):
            while cell > 0 and left[frame, number] <= squares[cell - 1]:
                cell -= 1
            while cell < len(squares) and left[frame, number] > squares[cell]:
                cell += 1
            counts[number, cell] += 1
    return counts * np.float32(weight)
