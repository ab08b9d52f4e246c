r"""Have atoms become mixed? Told by how often two of them are active in the same rows.

A threshold can leave two mixed atoms as they are: what leaks from one into the other is loud enough
to count as a code. Then both are active whenever either of their codes is, which they were not
before. A mean over all atoms does not see two or four of them; a pair does.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Together"]

Array = npt.NDArray[np.floating]

WINDOW = 16  # rows of a window, in units of N, and at least
SEEN = 32  # times that an atom is active in it on average
DOUBT = 8  # rows apart that every pair is given: a few together prove nothing
MIXED = 0.5  # of the way from a pair's normal share to 1; in steady streams it stays below .3
LEARNING = 0.25  # weight of a window in what is normal


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Counts of the window that fills, and what is normal.

    Parameters
    ----------
    both : ndarray, shape (N, N)
        Rows in which two atoms were active; on the diagonal those in which one was.
    rows : int
        Rows in the window.
    normal : ndarray, shape (N, N)
        Share of the rarer atom's active rows in which the other was active too; NaN before the
        first window.
    mixed : bool
        Whether the last window had a pair that was together far more often than normal.

    Examples
    --------
    Two atoms turned by a fifth of a radian are active together.

    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((400, 3)) * (rng.random((400, 3)) < 0.1)
    >>> c, s = np.cos(0.2), np.sin(0.2)
    >>> turned = Z @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    >>> together = Together.start(3).update(np.abs(Z) > 0.05).update(np.abs(Z) > 0.05)
    >>> together.mixed, together.update(np.abs(turned) > 0.05).mixed
    (False, True)
    """

    both: Array
    rows: int
    normal: Array
    mixed: bool = False

    @classmethod
    def start(cls, n: int) -> "Together":
        """Nothing seen yet."""
        return cls(np.zeros((n, n), np.float32), 0, np.full((n, n), np.nan, np.float32))

    def update(self, active: npt.ArrayLike) -> "Together":
        """Take rows in, (B, N), 1 where a code counts, else 0; judge when the window is full."""
        counted = np.asarray(active, np.float32)
        both = self.both + counted.T.dot(counted)
        rows, n = self.rows + len(counted), counted.shape[1]
        if rows < WINDOW * n or both.trace() < SEEN * n:
            return Together(both, rows, self.normal)
        alone = both.diagonal()
        share = both / (np.minimum.outer(alone, alone) + DOUBT)
        np.fill_diagonal(share, 0)
        start = Together.start(n)
        if np.isnan(self.normal).any():
            return Together(start.both, 0, share)
        excess = share - self.normal
        mixed = bool((excess > MIXED * (1 - self.normal)).any())
        return Together(start.both, 0, self.normal + np.float32(LEARNING) * excess, mixed)
