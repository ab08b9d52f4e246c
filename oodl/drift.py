r"""Does the dictionary still fit at all? Told by how peaked the coefficients are.

``K = E|z|^3 / (E z^2)^(3/2)`` is 1.6 for Gaussian coefficients, larger the sparser they are, and
does not depend on their scale. When the dictionary no longer fits, coefficients become sums of many
codes and K of all atoms falls towards 1.6. Louder noise lowers it a little, another gain not at
all.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from oodl.loops import compiled

__all__ = ["Watch"]

Array = npt.NDArray[np.floating]

GAUSSIAN = float(np.sqrt(8 / np.pi))  # K of Gaussian coefficients
SETTLING = 2  # windows before the first is believed
WINDOW = 4  # rows of a window, in units of N
FEWEST = 128  # and at least: K of a few rows says nothing
JUMPED = 0.6  # share of the excess over 1.6 that is left on average: below it, a jump
LEARNING = 1 / 16  # weight of a window in what is normal, once sixteen were seen
UNUSED = 1e-6  # of the loudest atom's amplitude: below it, as of a constant channel, K says nothing
LEAST = 0.05  # excess below which an atom tells nothing


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Peakedness of each atom in the window that fills, and what is normal.

    Parameters
    ----------
    cubes, squares : ndarray, shape (N,)
        Sums over the window of ``|z|^3`` and ``z^2``.
    rows : int
        Rows in the window.
    normal : ndarray, shape (N,)
        K while all was well: the mean of the windows so far, of the last 16 or so.
    windows : int
        Windows so far.
    jumped : bool
        Whether the last window no longer looked like those before.

    Examples
    --------
    Sparse codes look Gaussian in a dictionary that is not theirs.

    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((400, 16)) * (rng.random((400, 16)) < 0.1)
    >>> mixed = Z @ np.linalg.qr(rng.standard_normal((16, 16)))[0]
    >>> def seen(watch, Z):
    ...     return watch.update((np.abs(Z) ** 3).sum(axis=0), (Z**2).sum(axis=0), len(Z))
    >>> watch = Watch.start(16)
    >>> for _ in range(4):
    ...     watch = seen(watch, Z)
    >>> watch.jumped, seen(watch, mixed).jumped
    (False, True)
    """

    cubes: Array
    squares: Array
    rows: int
    normal: Array
    windows: int = 0
    jumped: bool = False

    @classmethod
    def start(cls, n: int) -> "Watch":
        """Nothing seen yet."""
        zeros = np.zeros(n)
        return cls(zeros, zeros, 0, zeros)

    def update(self, cubes: Array, squares: Array, rows: int) -> "Watch":
        """Take rows in by their sums of ``|z|^3`` and ``z^2``; judge when a window is full."""
        cubes, energy = self.cubes + cubes, self.squares + squares
        rows, n = self.rows + rows, len(cubes)
        if rows < max(WINDOW * n, FEWEST):
            return Watch(cubes, energy, rows, self.normal, self.windows)
        return self._judged(_peakedness(cubes / rows, energy / rows))

    def _judged(self, peaked: Array) -> "Watch":
        zeros, windows = np.zeros_like(peaked), self.windows + 1
        believed = windows - SETTLING
        if believed > 1 and _left(peaked, self.normal) < JUMPED:
            return Watch(zeros, zeros, 0, self.normal, windows, jumped=True)
        weight = max(1 / max(believed, 1), LEARNING)
        normal = self.normal + weight * (peaked - self.normal)
        return Watch(zeros, zeros, 0, normal, windows)


@compiled
def _peakedness(cubes: Array, squares: Array) -> Array:
    peaked, least = np.full(len(cubes), GAUSSIAN), UNUSED * sqrt(squares.max())
    for j in range(len(cubes)):
        spread = sqrt(squares[j])
        if spread > least:
            peaked[j] = cubes[j] / spread**3
    return peaked


@compiled
def _left(peaked: Array, normal: Array) -> float:
    """Share of the normal excess over Gaussian that is left, the mean of the atoms that tell."""
    left, telling = 0.0, 0
    for j in range(len(peaked)):
        excess = normal[j] - GAUSSIAN
        if excess > LEAST:
            left += (peaked[j] - GAUSSIAN) / excess
            telling += 1
    return left / telling if telling else 1.0
