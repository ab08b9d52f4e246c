"""Running mean and scale of each channel, with missing values and a floor under the scale.

Rows weigh by polynomial memory: after n rows the last half of them counts for three quarters, so
what was learned at the start is forgotten, and nothing is stored.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FARTHEST", "Scaling", "standardise"]

Floats = npt.NDArray[np.float64]

MEMORY = 2  # exponent of the weights; 14 as the first steps of the learner use leaves 5 % noise
CLIP = 20.0  # deviations beyond which a value pulls no further
TRUSTED = 32  # rows after which a channel's scale is good enough to clip by
LARGEST = 1e150  # its square is still a float64
FARTHEST = 1e6  # deviations beyond which a value is not told from a larger one


def standardise(Y: Floats, mean: Floats, scale: Floats) -> Floats:
    """Rows (B, C) in deviations, at most `FARTHEST`; NaN where missing.

    Examples
    --------
    >>> standardise(np.array([[3.0, np.inf, 1e300]]), np.ones(3), np.full(3, 2.0))
    array([[1.e+00,    nan, 1.e+06]])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        U = np.clip((Y - mean) / scale, -FARTHEST, FARTHEST)
    return np.where(np.isfinite(Y), U, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
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

    @property
    def scale(self) -> Floats:
        """Standard deviation, at least the resolution, else 1e-3 times the level, else 1."""
        level = 1e-3 * np.abs(self.mean)
        floor = np.where(np.isfinite(self.resolution), self.resolution, level)
        scale = np.maximum(np.sqrt(self.variance), np.maximum(floor, 1e-9 * level))
        return np.where(scale > 0, scale, 1.0)

    def update(self, Y: Floats) -> "Scaling":
        """Learn from rows (B, C), NaN or infinite where missing; the receiver stays as it was."""
        present = np.isfinite(Y) & (np.abs(Y) < LARGEST)
        rows = present.sum(axis=0)
        centre = np.where(self.seen > 0, self.mean, _median(Y, present))
        reach = np.where(self.seen >= TRUSTED, CLIP * self.scale, np.inf)
        pulls = np.where(present, np.clip(Y - centre, -reach, reach), 0.0)
        shift = pulls.sum(axis=0) / np.maximum(rows, 1)
        spread = np.where(present, pulls - shift, 0.0)
        block = (spread**2).sum(axis=0) / np.maximum(rows, 1)
        total = self.seen + rows
        rho = 1 - (self.seen / np.maximum(total, 1)) ** MEMORY
        return Scaling(
            total,
            centre + rho * shift,
            (1 - rho) * (self.variance + rho * shift**2) + rho * block,
            np.minimum(self.resolution, self._smallest_step(Y, present)),
        )

    def _smallest_step(self, Y: Floats, present: npt.NDArray[np.bool_]) -> Floats:
        steps = np.abs(np.diff(np.where(present, Y, np.nan), axis=0))
        real = steps > 1e-6 * np.sqrt(self.variance)  # rows come back from float32
        smallest: Floats = np.min(steps, axis=0, initial=np.inf, where=real)
        return smallest


def _median(Y: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Median of what is present, 0 for a channel without values."""
    ordered = np.sort(np.where(present, Y, np.inf), axis=0)
    middle = np.maximum(present.sum(axis=0) - 1, 0) // 2
    chosen = ordered[middle, np.arange(Y.shape[1])]
    return np.where(np.isfinite(chosen), chosen, 0.0)
