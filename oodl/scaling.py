"""Running mean and scale of each channel, with missing values and a floor under the scale.

Rows weigh by polynomial memory: after n rows the last half of them counts for three quarters, so
what was learned at the start is forgotten, and nothing is stored.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from oodl.loops import FARTHEST, moments, within

__all__ = ["FARTHEST", "LARGEST", "Present", "Scaling", "clipped", "standardise"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Present = npt.NDArray[np.bool_] | None

MEMORY = 2  # exponent of the weights; 14 as the first steps of the learner use leaves 5 % noise
CLIP = 20.0  # deviations beyond which a value pulls no further
TRUSTED = 32  # rows after which a channel's scale is good enough to clip by
LARGEST = 1e150  # its square is still a float64
SMALLEST = 1e-300  # scale whose inverse is still a float64
ROUNDING = 1e-6  # deviations; smaller steps may come from float32


def standardise(Y: Floats, mean: Floats, scale: Floats) -> Floats:
    """Rows (B, C) in deviations, at most `FARTHEST`; NaN where missing.

    Examples
    --------
    >>> standardise(np.array([[3.0, np.inf, 1e300]]), np.ones(3), np.full(3, 2.0))
    array([[1.e+00,    nan, 1.e+06]])
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        U = np.clip((Y - mean) * (1 / scale), -FARTHEST, FARTHEST)
    return np.where(np.isfinite(Y), U, np.nan)


def clipped(U: Array, present: Present = None) -> Array:
    """Rows as they are learned from: at most `CLIP` deviations, 0 where missing.

    Examples
    --------
    >>> rows = np.array([[0.5, np.nan, -1e6]])
    >>> clipped(rows, np.isfinite(rows))
    array([[  0.5,   0. , -20. ]])
    """
    pulls = within(U, CLIP)
    if present is not None:
        pulls[~present] = 0
    return pulls


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is known of each channel's level and spread.

    Parameters
    ----------
    seen : ndarray of float64, shape (C,)
        Rows in which the channel was present.
    mean, variance : ndarray of float64, shape (C,)
    resolution : ndarray of float64, shape (C,)
        The smallest step between consecutive rows; infinite before one was seen.

    Examples
    --------
    A channel that never moved has a thousandth of its level as scale, so a first move shows.

    >>> rows = np.array([[1.0, 50.0], [3.0, 50.0], [5.0, 50.0], [7.0, 50.0]])
    >>> scaling = Scaling.start(2).update(rows)
    >>> scaling.mean, scaling.scale.round(2)
    (array([ 4., 50.]), array([2.24, 0.05]))
    """

    seen: Floats
    mean: Floats
    variance: Floats
    resolution: Floats

    @classmethod
    def start(cls, channels: int) -> "Scaling":
        """Nothing seen yet."""
        zeros = np.zeros(channels)
        return cls(zeros, zeros, zeros, np.full(channels, np.inf))

    @cached_property
    def scale(self) -> Floats:
        """Standard deviation, at least the resolution, else 1e-3 times the level, else 1."""
        level = 1e-3 * np.abs(self.mean)
        floor = np.where(np.isfinite(self.resolution), self.resolution, level)
        scale = np.maximum(np.sqrt(self.variance), np.maximum(floor, 1e-9 * level))
        return np.where(scale > SMALLEST, scale, 1.0)

    @cached_property
    def trusted(self) -> bool:
        """Whether every channel's scale is good enough to clip by."""
        return bool((self.seen >= TRUSTED).all())

    def update(self, Y: Floats) -> "Scaling":
        """Learn from rows (B, C), NaN or infinite where missing; the receiver stays as it was."""
        present = np.isfinite(Y) & (np.abs(Y) < LARGEST)
        Y = np.where(present, Y, np.nan)
        centre = np.where(self.seen > 0, self.mean, _median(Y, present))
        reach = np.where(self.seen >= TRUSTED, CLIP * self.scale, np.inf)
        rounding = ROUNDING * np.sqrt(self.variance)
        rows, shift, spread = _moments(np.clip(Y - centre, -reach, reach), present)
        return self._moved(rows, centre, shift, spread, _smallest_step(Y, rounding))

    def learn(self, U: Array) -> "Scaling":
        """Learn from rows that are in deviations from this mean and scale already.

        The same as `update` but for rounding, once every channel is trusted.

        Parameters
        ----------
        U : ndarray, shape (B, C)
            NaN where missing.
        """
        scale, (rows, shift, square, smallest) = self.scale, moments(U, CLIP, ROUNDING)
        spread = np.maximum(square - shift**2, 0)
        return self._moved(rows, self.mean, scale * shift, scale**2 * spread, scale * smallest)

    def _moved(
        self, rows: Floats | Ints, centre: Floats, shift: Array, spread: Array, smallest: Array
    ) -> "Scaling":
        """Take in rows by their moments about a centre."""
        total = self.seen + rows
        rho = 1 - (self.seen / np.maximum(total, 1)) ** MEMORY
        return Scaling(
            total,
            centre + rho * shift,
            (1 - rho) * (self.variance + rho * shift**2) + rho * spread,
            np.minimum(self.resolution, smallest),
        )


def _moments(pulls: Floats, present: npt.NDArray[np.bool_]) -> tuple[Ints, Array, Array]:
    """Rows of each column, their mean, and their mean square about it."""
    rows = present.sum(axis=0)
    counted = np.maximum(rows, 1)
    shift = np.where(present, pulls, 0).sum(axis=0) / counted
    off = np.where(present, pulls - shift, 0)
    return rows, shift, (off * off).sum(axis=0) / counted


def _smallest_step(Y: Array, rounding: Floats) -> Array:
    """The smallest step of each column between consecutive rows; infinite where there is none."""
    steps = np.abs(Y[1:] - Y[:-1])
    smallest: Array = steps.min(axis=0, initial=np.inf, where=steps > rounding)
    return smallest


def _median(Y: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Median of what is present, 0 for a channel without values."""
    ordered = np.sort(np.where(present, Y, np.inf), axis=0)
    middle = np.maximum(present.sum(axis=0) - 1, 0) // 2
    chosen = ordered[middle, np.arange(Y.shape[1])]
    return np.where(np.isfinite(chosen), chosen, 0.0)
