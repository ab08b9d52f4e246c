r"""How often each atom is active, how loud it is then, and how loud the noise: the threshold.

A code is Bernoulli-Gaussian: with probability pi it is drawn with a large variance, else it is
noise of variance s. A coefficient counts where activity is the likelier explanation,

    z^2 > 2 log((1 - pi) / pi * sqrt(v / s)) / (1 / s - 1 / v),

with v for the whole variance of an active coefficient. The parameters follow by online EM with
hard assignments; the posterior mean instead gains less than 5 % and costs an exponential.
"""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import numpy.typing as npt

from oodl.loops import compiled

__all__ = ["Activity"]

Array = npt.NDArray[np.floating]

SPARSEST, DENSEST = 1e-3, 0.5
CONTRAST = 4.0  # an active coefficient has at least this many times the noise's variance
ANNEALED = 0.2  # share of the power that passes for noise at first; halves every
HALVING = 3  # rows, in units of N, and at least
SEEN = 10  # times that an atom was active: else pairs of rare atoms stay mixed under the threshold
UNUSED = 1e-4  # of the power: an atom below it, as of a constant channel, says nothing of the noise
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """Running statistics of hard-thresholded coefficients.

    Parameters
    ----------
    share, active, idle : ndarray, shape (N,)
        Share of rows in which an atom is active, and mean squares of the coefficients above the
        threshold and below it (over all rows).
    power : float
        Mean square of all coefficients.
    rows : int
        Rows since the threshold came into use.
    noise : float
        Variance of the noise that follows from them.
    level : ndarray, shape (N,)
        Smallest magnitude of a coefficient that counts.

    Examples
    --------
    The threshold comes to lie between noise of .1 and codes of 1, whatever the first guess.

    >>> from oodl.loops import thresholded
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((4000, 4)) * np.where(rng.random((4000, 4)) < 0.2, 1.0, 0.1)
    >>> activity = Activity.start(4, power=0.21)
    >>> for chunk in np.split(Z, 40):
    ...     sums = thresholded(chunk, activity.level, np.ones(len(chunk)))[2]
    ...     activity = activity.update(sums, len(chunk), rho=0.1)
    >>> bool((0.2 < activity.level).all() and (activity.level < 0.45).all())
    True
    """

    share: Array
    active: Array
    idle: Array
    power: float
    rows: int
    noise: float
    level: Array

    @classmethod
    def start(cls, n: int, *, power: float, dtype: npt.DTypeLike = np.float64) -> "Activity":
        """Nothing known but the power: a fifth of the codes active, a tenth of the power noise."""
        guess = np.ones(n, dtype)
        return _concluded(0.2 * guess, 0.9 * power * guess, 0.1 * power * guess, power, 0)

    def update(self, sums: Array, rows: int, rho: float) -> "Activity":
        """Take rows in with weight rho, by the sums that `oodl.loops.thresholded` tells of them."""
        energy, _, often, loud = (rho / rows * sums).astype(self.share.dtype)
        kept = 1 - rho
        return _concluded(
            kept * self.share + often,
            kept * self.active + loud,
            kept * self.idle + (energy - loud),
            kept * self.power + float(energy.sum()) / len(energy),
            self.rows + rows,
        )


def _concluded(share: Array, active: Array, idle: Array, power: float, rows: int) -> Activity:
    level = np.empty_like(share)
    noise = _noise(share, active, idle, power, rows)
    _set_level(level, share, active, noise)
    return Activity(share, active, idle, power, rows, noise, level)


@compiled
def _noise(share: Array, active: Array, idle: Array, power: float, rows: int) -> float:
    """Variance of what lies below the threshold; at first more, so that pairs come apart."""
    n, below, rest, often = len(share), 0.0, 0.0, 0.0
    for j in range(n):
        often += share[j] / n
        if active[j] + idle[j] > UNUSED * power:
            below += idle[j]
            rest += 1 - share[j]
    often = min(max(often, SPARSEST), DENSEST)
    halvings = rows / max(float(HALVING * n), SEEN / often)
    annealed = ANNEALED * power * 2.0**-halvings
    noise: float = max(below / max(rest, TINY), annealed, TINY * power, TINY**2)
    return noise


@compiled
def _set_level(level: Array, share: Array, active: Array, noise: float) -> None:
    """Set the magnitudes at which activity and rest are equally likely."""
    for j in range(len(level)):
        pi = min(max(share[j], SPARSEST), DENSEST)
        loud = max(active[j] / max(share[j], SPARSEST), CONTRAST * noise)
        odds = log((1 - pi) / pi * sqrt(loud / noise))
        level[j] = sqrt(2 * odds / (1 / noise - 1 / loud))
