r"""How long rows usually are, and what each may weigh in the paper's contrast.

The contrast weighs a row by the cube of its length: one spike outweighs a thousand readings. With a
weight that does not depend on D it is still the paper's contrast, and the same oracle answers. Here
a row weighs by its energy, as it counts in the error, and one much longer than usual by less.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from oodl.schedule import RowMemory

__all__ = ["Loudness", "weights"]

Array = npt.NDArray[np.floating]

LONG, SHORT = 1.4, 0.1  # times the usual length: where a row's weight stops to grow, and to fall
LONGEST = 9.0  # times the mean square length: what a row adds to it at most
LOUDER, DOUBT = 1.5, 8.0  # a block of B rows LOUDER + DOUBT / sqrt(B) times as loud: a new scale
MEMORY = RowMemory(2)
LATEST = 32  # rows, in units of N, that the memory counts at most
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Loudness:
    """Running mean of the square length of rows.

    Parameters
    ----------
    square : float
        Mean of ``||y||^2``, cut off at nine times itself; 0 before anything was heard.
    rows : int
        Rows that the memory counts.

    Examples
    --------
    One loud row moves little, a block of loud ones is a new scale.

    >>> quiet = Loudness().update(np.full(50, 4.0), 2)[0]
    >>> after, usual = quiet.update(np.r_[np.full(49, 4.0), 1e6], 2)
    >>> usual, round(after.square, 1)
    (4.0, 4.5)
    >>> quiet.update(np.full(50, 400.0), 2)[0].square
    400.0
    """

    square: float = 0.0
    rows: int = 0

    def update(self, squares: Array, n: int) -> tuple["Loudness", float]:
        """Take in the square lengths of B >= 1 rows of n numbers.

        Returns
        -------
        after : Loudness
        usual : float
            The mean square length that these rows are to be judged by: that of the past, or their
            own where they are the first, or much louder.
        """
        B = len(squares)
        usual = self.square or float(squares.sum()) / B
        shown = float(np.minimum(squares, LONGEST * usual).sum()) / B
        if shown > (LOUDER + DOUBT / sqrt(B)) * usual:
            return Loudness().update(squares, n)
        rho = MEMORY(0, self.rows, B)
        return Loudness(usual + rho * (shown - usual), min(self.rows + B, LATEST * n)), usual


def weights(squares: Array, usual: float) -> Array:
    """Return what rows of these square lengths weigh, shape (B,).

    ``1 / l`` for a row of length l, so that it pulls by ``l^2``, not ``l^3``; beyond 1.4 times the
    usual length what the row shortened to that would pull. In units of the block's RMS length.

    Examples
    --------
    Half as long as usual, as usual, and three times as long.

    >>> weights(np.array([1.0, 4.0, 36.0]), 4.0).round(2)
    array([2.07, 1.03, 0.08])
    """
    if usual < TINY:
        return np.ones_like(squares)
    squares = np.maximum(squares, SHORT**2 * usual)
    shortened = np.minimum(squares, LONG**2 * usual)
    mean: float = shortened.sum() / len(shortened)
    weight: Array = sqrt(mean) * shortened / (squares * np.sqrt(squares))
    return weight
