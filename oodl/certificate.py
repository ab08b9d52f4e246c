r"""Whether the l3 contrast has found its maximum: a second-order test for every pair of atoms.

Turning atoms i and j by a small angle changes ``E|z_i|^3 + E|z_j|^3`` by a multiple of
``R_ij - 1``, with

    R_ij = 2 (E|z_i| z_j^2 + E|z_j| z_i^2) / (E|z_i|^3 + E|z_j|^3).

R < 1 for all pairs is a local maximum, Gaussian data have R = 1, and a pair with R > 1 at a
standstill is stuck halfway between two atoms.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Certificate"]

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """Moments of pairs of coefficients over a window of rows.

    Parameters
    ----------
    crossed : ndarray, shape (N, N)
        Sums of ``|z_i| z_j^2``.
    cubes : ndarray, shape (N,)
        Sums of ``|z_i|^3``.
    rows : int

    Examples
    --------
    Sparse codes pass at their own atoms, and fail when two atoms are mixed.

    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((5000, 3)) * (rng.random((5000, 3)) < 0.1)
    >>> mixed = Z.copy()
    >>> mixed[:, :2] = Z[:, :2] @ np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    >>> Certificate.start(3).update(Z).worst < 0.5 < 1 < Certificate.start(3).update(mixed).worst
    True
    """

    crossed: Array
    cubes: Array
    rows: int = 0

    @classmethod
    def start(cls, n: int, *, dtype: npt.DTypeLike = np.float64) -> "Certificate":
        """Nothing seen yet."""
        return cls(np.zeros((n, n), dtype), np.zeros(n, dtype))

    @property
    def worst(self) -> float:
        """The largest R of any pair; 0 for a single atom."""
        sums = self.cubes[:, None] + self.cubes
        ratio = 2 * (self.crossed + self.crossed.T) / np.maximum(sums, np.finfo(sums.dtype).tiny)
        np.fill_diagonal(ratio, 0)
        return float(ratio.max())

    def update(self, Z: Array) -> "Certificate":
        """Take rows of coefficients (B, N) in; the receiver stays as it was."""
        size, squares = np.abs(Z), Z * Z
        return Certificate(
            self.crossed + size.T @ squares,
            self.cubes + (size * squares).sum(axis=0),
            self.rows + len(Z),
        )
