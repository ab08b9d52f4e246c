r"""What a learner may believe of a block: spikes and missing values are set aside, loud rows tamed.

An entry that lies farther out than ten deviations of its channel counts as missing, and a row much
longer than usual is shortened. This acts on what is learned, never on what is coded.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from oodl.loops import heard
from oodl.loudness import LATEST, MEMORY, TINY, Loudness

__all__ = ["Admitted", "Guard", "impute", "largest"]

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

REACH = 12.5  # mean magnitudes: ten deviations of a Gaussian channel
QUIET = 0.1  # of the average channel's magnitude, at least: a channel at rest may wake
FIRST = 0.9  # quantile of the first block's magnitudes, taken for every channel's at first
ROUNDS = 3  # of imputing and coding
NOTHING_HEARD = Loudness()


def largest(kind: np.dtype[np.floating]) -> float:
    """Return the magnitude from which on a value counts as missing: its fourth power overflows."""
    return sqrt(sqrt(np.finfo(kind).max))


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A block as it may be learned from.

    Parameters
    ----------
    rows : ndarray, shape (B, N)
        Finite; 0 where missing.
    missing : ndarray of bool, shape (B, N), or None
        What is missing or was taken for a spike; None where nothing is.
    """

    rows: Array
    missing: Mask | None


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """How loud each channel usually is, and how long a row.

    Parameters
    ----------
    magnitude : ndarray, shape (N,)
        Running mean of ``|y|``, with spikes cut off at their limit.
    loudness : Loudness
    rows : int
        Rows that the memory of magnitudes counts; 0 before anything was seen.

    Examples
    --------
    A spike is set aside and the rest of its row kept.

    >>> rng = np.random.default_rng(0)
    >>> guard, _ = Guard.start(3).admit(rng.standard_normal((50, 3)))
    >>> _, admitted = guard.admit(np.array([[0.5, 900.0, -0.5], [np.nan, 1.0, 0.0]]))
    >>> admitted.rows
    array([[ 0.5,  0. , -0.5],
           [ 0. ,  1. ,  0. ]])
    """

    magnitude: Array
    loudness: Loudness = NOTHING_HEARD
    rows: int = 0

    @classmethod
    def start(
        cls, n: int, loudness: Loudness = NOTHING_HEARD, *, dtype: npt.DTypeLike = np.float64
    ) -> "Guard":
        """No magnitude seen yet."""
        return cls(np.zeros(n, dtype), loudness)

    @property
    def limit(self) -> Array:
        """Magnitude beyond which an entry is a spike, shape (N,)."""
        least = QUIET * float(self.magnitude.sum()) / len(self.magnitude)
        limit: Array = REACH * np.maximum(self.magnitude, least)
        return limit

    def admit(self, Y: Array, longest: float = 2.0) -> tuple["Guard", Admitted]:
        """Judge a block (B, N), B >= 1, then learn from it.

        Parameters
        ----------
        Y : ndarray, shape (B, N)
            NaN or infinite where missing.
        longest : float
            Rows longer than so many times the usual length are shortened to it, > 0.
        """
        B, n = Y.shape
        limit, missing = self.limit, None
        within, loud = heard(Y, limit)
        if within:
            squares = np.vecdot(Y, Y)
        else:
            sizes = np.abs(Y)
            missing = ~(sizes < largest(Y.dtype))  # true also where it is no number
            if not self.magnitude.any():
                self = self._begun(sizes[~missing])
                limit = self.limit
            sizes = np.where(missing, self.magnitude, np.minimum(sizes, limit))
            squares, loud = np.vecdot(sizes, sizes), sizes.sum(axis=0)
        loudness, usual = self.loudness.update(squares, n)
        if usual > self.loudness.square > 0:  # a scale of its own
            return Guard.start(n, dtype=Y.dtype).admit(Y, longest)
        rho = MEMORY(0, self.rows, B)
        magnitude = (1 - rho) * self.magnitude + (rho / B) * loud.astype(Y.dtype)
        after = Guard(magnitude, loudness, min(self.rows + B, LATEST * n))
        rows = Y
        if missing is not None:
            missing |= np.abs(Y) > limit
            rows = np.where(missing, 0, Y)
            squares = np.vecdot(rows, rows)
        return after, Admitted(_shortened(rows, squares, usual * longest**2), missing)

    def _begun(self, sizes: Array) -> "Guard":
        """Take one magnitude for all channels, from what is loud in a block but not loudest."""
        sizes = sizes[sizes > 0]
        usual = np.quantile(sizes, FIRST) if sizes.size else 0
        return Guard(np.full_like(self.magnitude, usual), self.loudness)


def _shortened(rows: Array, squares: Array, most: float) -> Array:
    if squares.max() <= most:
        return rows
    short = np.sqrt(most / np.maximum(squares, max(most, TINY)))
    shortened: Array = rows * short[:, None]
    return shortened


def impute(rows: Array, missing: Mask, D: Array, level: float | Array) -> Array:
    """Return rows (B, N) with what is missing filled from the codes of what is there.

    Codes are the projections ``rows @ D`` above `level`; filled and coded again a few times, the
    missing entries come to agree with them.

    Examples
    --------
    The atom (.6, .8) explains both channels, so what is there, 4, tells of a 3 beside it.

    >>> D = np.array([[0.6, -0.8], [0.8, 0.6]])
    >>> impute(np.array([[0.0, 4.0]]), np.array([[True, False]]), D, 3.0).round(1)
    array([[2.9, 4. ]])
    """
    gaps = np.flatnonzero(missing.any(axis=1))
    filled, unknown = rows[gaps], missing[gaps]
    for _ in range(ROUNDS):
        Z = filled @ D
        guess = np.where(np.abs(Z) > level, Z, 0) @ D.T
        filled = np.where(unknown, guess, filled)
    whole = rows.copy()
    whole[gaps] = filled
    return whole
