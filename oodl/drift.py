r"""Is it still the same dictionary? Told by how peaked each atom's coefficients are.

``K = E|z|^3 / (E z^2)^(3/2)`` is 1.6 for Gaussian coefficients, larger the sparser they are, and
does not depend on their scale. When the dictionary no longer fits, coefficients become sums of many
codes and K falls towards 1.6: of all atoms at once after a jump, of a few when only these have
changed. Louder noise lowers it a little, another gain not at all. It costs two sums a row.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Verdict", "Watch"]

Array = npt.NDArray[np.floating]
Verdict = Literal["steady", "jump", "mixed"]

GAUSSIAN = float(np.sqrt(8 / np.pi))  # K of Gaussian coefficients
SETTLING = 8  # rows, in units of N, before the first window is believed
WINDOW = 4  # rows of a window, in units of N
JUMPED = 0.6  # share of the excess over 1.6 that is left on average: below it, a jump
LONG = 4  # windows that make a long one, for single atoms
MIXED = 0.6  # share of its excess that is left of a single atom
TWICE = 2  # long windows in a row, and atoms, before a few are called mixed
LEARNING = 0.25  # weight of a long window in what is normal
UNUSED = 1e-6  # of the loudest atom's amplitude: below it, as of a constant channel, K says nothing
LEAST = 0.05  # excess below which an atom tells nothing


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Peakedness of each atom: of the window that fills, of the long one, and what is normal.

    Parameters
    ----------
    cubes, squares : ndarray, shape (N,)
        Sums over the window of ``|z|^3`` and ``z^2``.
    rows : int
        Rows in the window.
    long : ndarray, shape (N,)
        Sum of K over the windows of the long one.
    windows : int
        Windows so far.
    normal : ndarray, shape (N,)
        K while all was well; NaN before the first long window.
    fallen : ndarray of int, shape (N,)
        Long windows in a row in which an atom was mixed.
    """

    cubes: Array
    squares: Array
    rows: int
    long: Array
    windows: int
    normal: Array
    fallen: npt.NDArray[np.int64]

    @classmethod
    def start(cls, n: int) -> "Watch":
        """Nothing seen yet."""
        zeros = np.zeros(n)
        return cls(zeros, zeros, 0, zeros, 0, np.full(n, np.nan), np.zeros(n, np.int64))

    def update(self, Z: Array) -> tuple["Watch", Verdict]:
        """Take rows of coefficients (B, N) in, and judge when a window is full."""
        squares = Z * Z
        cubes = self.cubes + (np.abs(Z) * squares).sum(axis=0, dtype=np.float64)
        energy = self.squares + squares.sum(axis=0, dtype=np.float64)
        rows, n = self.rows + len(Z), Z.shape[1]
        if rows < WINDOW * n:
            return self._filling(cubes, energy, rows), "steady"
        spread = np.sqrt(energy / rows)
        known = spread > UNUSED * spread.max()
        peaked = np.full(n, GAUSSIAN)
        peaked[known] = (cubes[known] / rows) / spread[known] ** 3
        return self._full(peaked)

    def _filling(self, cubes: Array, squares: Array, rows: int) -> "Watch":
        return Watch(cubes, squares, rows, self.long, self.windows, self.normal, self.fallen)

    def _full(self, peaked: Array) -> tuple["Watch", Verdict]:
        zeros, windows = np.zeros_like(peaked), self.windows + 1
        known = not np.isnan(self.normal).any()
        if known and self._left(peaked).mean() < JUMPED:
            return self, "jump"
        long = self.long + peaked if windows * WINDOW > SETTLING else self.long
        settled = windows - SETTLING // WINDOW
        if settled <= 0 or settled % LONG:
            return Watch(zeros, zeros, 0, long, windows, self.normal, self.fallen), "steady"
        return self._judge(long / LONG, windows)

    def _judge(self, peaked: Array, windows: int) -> tuple["Watch", Verdict]:
        zeros = np.zeros_like(peaked)
        if np.isnan(self.normal).any():
            return Watch(zeros, zeros, 0, zeros, windows, peaked, self.fallen), "steady"
        low = self._left(peaked) < MIXED
        fallen = np.where(low, self.fallen + 1, 0)
        normal = np.where(low, self.normal, self.normal + LEARNING * (peaked - self.normal))
        watch = Watch(zeros, zeros, 0, zeros, windows, normal, fallen)
        return watch, "mixed" if (fallen >= TWICE).sum() >= TWICE else "steady"

    def _left(self, peaked: Array) -> Array:
        """Share of the normal excess over Gaussian that is left."""
        excess = self.normal - GAUSSIAN
        telling = excess > LEAST
        return np.where(telling, (peaked - GAUSSIAN) / np.where(telling, excess, 1), 1.0)
