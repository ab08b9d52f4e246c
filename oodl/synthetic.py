"""Readings whose dictionary is known: the ground on which a learner is measured.

Codes are Bernoulli-Gaussian: each is zero or a standard normal number, independently. Randomness
is a Generator that the caller passes in.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oodl.errors import ShapeError, ValueFault

__all__ = ["Planted", "Sensors", "random_orthogonal"]

Array = npt.NDArray[np.floating]


def random_orthogonal(n: int, rng: np.random.Generator) -> Array:
    """Draw an orthogonal (n, n) matrix, all of them equally likely (Haar).

    Notes
    -----
    The Q factor of a Gaussian matrix alone is not uniform: LAPACK fixes its signs. Making the
    diagonal of R positive undoes that.

    Examples
    --------
    Lengths survive it.

    >>> rng = np.random.default_rng(0)
    >>> bool(np.isclose(np.linalg.norm(random_orthogonal(3, rng) @ [2.0, 3.0, 6.0]), 7))
    True
    """
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    haar: Array = Q * np.copysign(1.0, np.diag(R))
    return haar


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """Readings that are sparse in a known dictionary: ``y = D @ x + noise``.

    Parameters
    ----------
    dictionary : Array
        Atoms in columns, shape (N, N).
    density : float
        Share of the codes that are not zero, in (0, 1].
    snr_db : float, default infinity
        Mean power of a channel over that of its noise, in decibels; infinity: no noise.

    Raises
    ------
    ShapeError
        When `dictionary` is not a square matrix.
    ValueFault
        When `density` lies outside (0, 1], or `snr_db` is not a number.

    Examples
    --------
    In the planted dictionary most of a reading is zero.

    >>> rng = np.random.default_rng(0)
    >>> planted = Planted(random_orthogonal(16, rng), density=0.2)
    >>> codes = planted.draw(1000, rng) @ planted.dictionary
    >>> round(float(np.mean(np.abs(codes) > 1e-9)), 2)
    0.2
    """

    dictionary: Array
    density: float
    snr_db: float = math.inf

    def __post_init__(self) -> None:
        shape = self.dictionary.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            message = f"dictionary: expected shape (N, N), got {shape}"
            raise ShapeError(message)
        if not 0 < self.density <= 1:
            message = f"density: expected a share in (0, 1], got {self.density}"
            raise ValueFault(message)
        if not self.snr_db > -math.inf:
            message = f"snr_db: expected decibels, got {self.snr_db}; infinity means no noise"
            raise ValueFault(message)

    def draw(self, rows: int, rng: np.random.Generator) -> Array:
        """Return `rows` readings, shape (rows, N)."""
        shape = (rows, len(self.dictionary))
        X = rng.standard_normal(shape) * (rng.random(shape) < self.density)
        noise = rng.standard_normal(shape)
        readings: Array = X @ self.dictionary.T + self._noise_deviation() * noise
        return readings

    def _noise_deviation(self) -> float:
        """An orthogonal dictionary spreads the codes' mean power, `density`, evenly."""
        return math.sqrt(self.density / 10 ** (self.snr_db / 10))


@dataclass(frozen=True, slots=True, eq=False)
class Sensors:
    """The same readings as sensors would tell them: ``mean + gain * y``, channel by channel.

    Parameters
    ----------
    planted : Planted
        What the channels share.
    mean, gain : Array
        Offset and scale of each channel in its own unit, shape (N,).

    Raises
    ------
    ShapeError
        When `mean` or `gain` has not one number a channel.

    Examples
    --------
    Undoing mean and gain gives back what was planted.

    >>> planted = Planted(np.eye(2), density=0.5)
    >>> sensors = Sensors(planted, mean=np.array([20.0, 1013.0]), gain=np.array([0.5, 10.0]))
    >>> told = sensors.draw(3, np.random.default_rng(7))
    >>> hidden = planted.draw(3, np.random.default_rng(7))
    >>> bool(np.allclose((told - sensors.mean) / sensors.gain, hidden))
    True
    """

    planted: Planted
    mean: Array
    gain: Array

    def __post_init__(self) -> None:
        expected = self.planted.dictionary.shape[:1]
        for name, vector in (("mean", self.mean), ("gain", self.gain)):
            if vector.shape != expected:
                message = f"{name}: expected shape {expected}, got {vector.shape}"
                raise ShapeError(message)

    def draw(self, rows: int, rng: np.random.Generator) -> Array:
        """Return `rows` readings in the channels' own units, shape (rows, N)."""
        readings: Array = self.mean + self.gain * self.planted.draw(rows, rng)
        return readings
