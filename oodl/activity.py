r"""How often each atom is active, how loud it is then, and how loud the noise: the threshold.

A code is Bernoulli-Gaussian: with probability pi it is drawn with a large variance, else it is
noise of variance s. A coefficient counts where activity is the likelier explanation,

    z^2 > 2 log((1 - pi) / pi * sqrt(v / s)) / (1 / s - 1 / v),

with v for the whole variance of an active coefficient. The parameters follow by online EM with
hard assignments; the posterior mean instead gains less than 5 % and costs an exponential.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Activity"]

Array = npt.NDArray[np.floating]

SPARSEST, DENSEST = 1e-3, 0.5
CONTRAST = 4.0  # an active coefficient has at least this many times the noise's variance
ANNEALED = 0.2  # share of the power that passes for noise at first; halves every HALVING * N rows
HALVING = 3
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

    Examples
    --------
    The threshold comes to lie between noise of .1 and codes of 1, whatever the first guess.

    >>> rng = np.random.default_rng(0)
    >>> Z = rng.standard_normal((4000, 4)) * np.where(rng.random((4000, 4)) < 0.2, 1.0, 0.1)
    >>> activity = Activity.start(4, power=0.21)
    >>> for chunk in np.split(Z, 40):
    ...     activity = activity.update(chunk, rho=0.1)
    >>> bool((0.2 < activity.level).all() and (activity.level < 0.45).all())
    True
    """

    share: Array
    active: Array
    idle: Array
    power: float
    rows: int = 0

    @classmethod
    def start(cls, n: int, *, power: float, dtype: npt.DTypeLike = np.float64) -> "Activity":
        """Nothing known but the power: a fifth of the codes active, a tenth of the power noise."""
        guess = np.ones(n, dtype)
        return cls(0.2 * guess, 0.9 * power * guess, 0.1 * power * guess, power)

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        used = self.active + self.idle > UNUSED * self.power
        rest = float((1 - self.share[used]).sum())
        measured = float(self.idle[used].sum()) / max(rest, TINY)
        halvings = self.rows / (HALVING * len(self.share))
        annealed = ANNEALED * self.power * float(2.0**-halvings)
        return max(measured, annealed, TINY * self.power, TINY**2)

    @property
    def level(self) -> Array:
        """Smallest magnitude of a coefficient that counts, shape (N,)."""
        noise = self.noise
        pi = np.clip(self.share, SPARSEST, DENSEST)
        loud = np.maximum(self.active / np.maximum(self.share, SPARSEST), CONTRAST * noise)
        odds = np.log((1 - pi) / pi * np.sqrt(loud / noise))
        level: Array = np.sqrt(2 * odds / (1 / noise - 1 / loud)).astype(self.share.dtype)
        return level

    def update(self, Z: Array, rho: float) -> "Activity":
        """Take rows of coefficients (B, N) in with weight rho; the receiver stays as it was."""
        squares = Z * Z
        above = squares > self.level**2
        energy, loud = squares.mean(axis=0), np.where(above, squares, 0).mean(axis=0)
        keep = Z.dtype.type(1 - rho)
        new = Z.dtype.type(rho)
        return Activity(
            keep * self.share + new * above.mean(axis=0, dtype=Z.dtype),
            keep * self.active + new * loud,
            keep * self.idle + new * (energy - loud),
            float((1 - rho) * self.power + rho * energy.mean()),
            self.rows + len(Z),
        )
