r"""What a learner may believe of a block: spikes and missing values are set aside, loud rows tamed.

The paper's contrast weighs a row by the cube of its length, so one spike outweighs a thousand
readings. An entry that lies farther out than ten deviations of its channel counts as missing, where
that is asked for, and a row much longer than usual is shortened. This acts on what is learned,
never on what is coded.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from oodl.schedule import RowMemory

__all__ = ["Admitted", "Guard", "impute"]

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

REACH = 12.5  # mean magnitudes: ten deviations of a Gaussian channel
QUIET = 0.1  # of the average channel's magnitude, at least: a channel at rest may wake
LONGEST = 9.0  # times the mean square length: what a row adds to it at most
FIRST = 0.9  # quantile of the first block's magnitudes, taken for every channel's at first
LOUDER, DOUBT = 1.5, 8.0  # a block of B rows LOUDER + DOUBT / sqrt(B) times as loud: a new scale
MEMORY = RowMemory(2)
LATEST = 32  # rows, in units of N, that the memory counts at most
ROUNDS = 3  # of imputing and coding
TINY = 1e-30


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
    length : float
        Running mean of ``||y||^2``, cut off at nine times itself.
    rows : int
        Rows that the memory counts; 0 before anything was seen.

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
    length: float = 0.0
    rows: int = 0

    @classmethod
    def start(cls, n: int, *, dtype: npt.DTypeLike = np.float64) -> "Guard":
        """Nothing seen yet."""
        return cls(np.zeros(n, dtype))

    @property
    def limit(self) -> Array:
        """Magnitude beyond which an entry is a spike, shape (N,)."""
        least = self.magnitude.dtype.type(QUIET) * self.magnitude.mean()
        limit: Array = self.magnitude.dtype.type(REACH) * np.maximum(self.magnitude, least)
        return limit

    def admit(
        self, Y: Array, longest: float = 2.0, *, spikes: bool = True
    ) -> tuple["Guard", Admitted]:
        """Judge a block (B, N), B >= 1, then learn from it.

        Parameters
        ----------
        Y : ndarray, shape (B, N)
            NaN or infinite where missing.
        longest : float
            Rows longer than so many times the usual length are shortened to it, > 0.
        spikes : bool
            Whether an entry beyond the limit counts as missing.
        """
        size, missing = np.abs(Y), None
        limit = self.limit
        if not (size <= limit).all():
            missing = ~np.isfinite(Y)
            if not self.magnitude.any():
                self = self._begun(size[~missing])
                limit = self.limit
            size = np.where(missing, self.magnitude, np.minimum(size, limit))
        lengths = np.einsum("ij,ij->i", size, size)
        usual = self.length if self.rows else float(lengths.mean())
        shown = float(np.minimum(lengths, LONGEST * usual).mean())
        if shown > (LOUDER + DOUBT / sqrt(len(Y))) * usual:
            return Guard(np.zeros_like(self.magnitude)).admit(Y, longest, spikes=spikes)
        learned = self._learned(size.mean(axis=0), shown, usual, Y.shape)
        rows = Y
        if missing is not None:
            if spikes:
                missing |= np.abs(Y) > limit
            rows = np.where(missing, 0, Y)
            lengths = np.einsum("ij,ij->i", rows, rows)
        return learned, Admitted(_shortened(rows, lengths, usual * longest**2), missing)

    def _begun(self, sizes: Array) -> "Guard":
        """Take one magnitude for all channels, from what is loud in a block but not loudest."""
        sizes = sizes[sizes > 0]
        usual = np.quantile(sizes, FIRST) if sizes.size else 0
        return Guard(np.full_like(self.magnitude, usual))

    def _learned(self, size: Array, shown: float, usual: float, shape: tuple[int, ...]) -> "Guard":
        B, N = shape
        rho = MEMORY(0, self.rows, B)
        magnitude = self.magnitude + size.dtype.type(rho) * (size - self.magnitude)
        return Guard(magnitude, usual + rho * (shown - usual), min(self.rows + B, LATEST * N))


def _shortened(rows: Array, lengths: Array, most: float) -> Array:
    if lengths.max() <= most:
        return rows
    short = np.sqrt(most / np.maximum(lengths, max(most, TINY)))
    shortened: Array = rows * short.astype(rows.dtype)[:, None]
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
