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
        Sums of ``|z_i| z_j^2``; on the diagonal ``|z_i|^3``.
    rows : int

    Examples
    --------
    Sparse codes pass at their own atoms, and fail when two atoms are mixed.

    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((5000, 3)) * (rng.random((5000, 3)) < 0.1)
    >>> mixed = Z.copy()
    >>> mixed[:, :2] = Z[:, :2] @ np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    >>> def worst(Z):
    ...     return Certificate.start(3).update(np.abs(Z), Z * Z).worst
    >>> worst(Z) < 0.5 < 1 < worst(mixed)
    True
    """

    crossed: Array
    rows: int = 0

    @classmethod
    def start(cls, n: int, *, dtype: npt.DTypeLike = np.float64) -> "Certificate":
        """Nothing seen yet."""
        return cls(np.zeros((n, n), dtype))

    @property
    def worst(self) -> float:
        """The largest R of any pair; 0 for a single atom."""
        cubes = self.crossed.diagonal()
        sums = cubes[:, None] + cubes
        ratio = 2 * (self.crossed + self.crossed.T) / np.maximum(sums, np.finfo(sums.dtype).tiny)
        np.fill_diagonal(ratio, 0)
        return float(ratio.max())

    def update(self, sizes: Array, squares: Array) -> "Certificate":
        """Take rows in, (B, N): ``|z|``, and ``z^2`` by the weight of its row."""
        return Certificate(self.crossed + sizes.T.dot(squares), self.rows + len(sizes))
