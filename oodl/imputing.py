"""What missing channels would have been: the others' largest atoms tell.

A row is coded with one atom, its missing entries are filled from what that atom rebuilds, then with
more atoms, up to twice the usual number: each time the filled entries come nearer to what the
present ones have in common. Filled with zeros instead, a row takes more atoms to say so.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from oodl.loops import fill_rows

__all__ = ["filled", "rounds"]

Array = npt.NDArray[np.floating]

ROUNDS = 5
REACH = 2  # times the usual number of atoms at last: half of all rows take more than the usual


def filled(U: Array, absent: npt.NDArray[np.bool_], D: Array, usual: int) -> Array:
    """Rows with their missing entries as a few atoms rebuild them from the others.

    Each row for itself, in a number of rounds that is always the same: what becomes of it does not
    depend on its company.

    Parameters
    ----------
    U : ndarray, shape (B, N)
        Standardised readings, 0 where missing.
    absent : ndarray of bool, shape (B, N)
    D : ndarray, shape (N, N)
        Orthogonal.
    usual : int
        How many atoms a row usually takes.

    Examples
    --------
    Three channels that move together: two of them tell the third.

    >>> together = np.linalg.qr(np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 0.0, 1.0]]))[0]
    >>> filled(np.array([[1.0, 1.1, 0.0]]), np.array([[False, False, True]]), together, 1).round(1)
    array([[1. , 1.1, 0.9]])
    """
    return fill_rows(U, absent, np.array(D.T, order="C"), rounds(len(D), usual))


@lru_cache
def rounds(n: int, usual: int) -> npt.NDArray[np.int64]:
    """Return by how many of n atoms rows are filled in each round."""
    most = min(max(REACH * usual, 1), n)
    return np.linspace(1, most, ROUNDS).round().astype(np.int64)
