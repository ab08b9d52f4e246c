"""How sparse a block of projections is.

A contrast is a convex function of ``Z = Y @ D``. Among orthogonal dictionaries the energy of a
reading is fixed, so a large contrast means that few atoms carry it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oodl.errors import ValueFault

__all__ = ["L3", "L4", "Array", "Contrast", "HardThreshold"]

Array = npt.NDArray[np.floating]


class Contrast(Protocol):
    """A convex measure of sparsity, blind to the signs and the order of atoms."""

    def value(self, Z: Array) -> float:
        """Return the mean over the rows of a block, shape (B, N) with B >= 1."""
        ...

    def gradient(self, Z: Array, weights: Array | None = None) -> Array:
        """Return the gradient up to a constant factor, of the shape and type of `Z`.

        `weights`, shape (B,) and of the type of `Z`, take the place of the mean's 1 / B.
        """
        ...


@dataclass(frozen=True, slots=True)
class L3:
    """Cubed l3 norm, the contrast of the paper: ``sum |z|**3 / B``.

    References
    ----------
    Y. Xue, V. Lau, "Online Orthogonal Dictionary Learning Based on Frank-Wolfe Method",
    arXiv 2103.01484, Algorithm 1.

    Examples
    --------
    A unit vector on an axis beats the same energy spread out.

    >>> L3().value(np.array([[1.0, 0.0]])), round(L3().value(np.array([[0.6, 0.8]])), 3)
    (1.0, 0.728)
    """

    def value(self, Z: Array) -> float:
        """``sum |z|**3 / B``."""
        return float((np.abs(Z) * Z * Z).sum() / len(Z))

    def gradient(self, Z: Array, weights: Array | None = None) -> Array:
        """``|Z| * Z / B``; the factor 3 is left out, the oracle is blind to scale."""
        return _weighed(np.abs(Z) * Z, weights)


@dataclass(frozen=True, slots=True)
class L4:
    """Fourth power of the l4 norm: ``sum z**4 / B``; sharper than `L3`, and weaker to outliers.

    Examples
    --------
    One reading ten times larger outweighs its neighbour ten thousand times.

    >>> L4().value(np.array([[10.0]])) / L4().value(np.array([[1.0]]))
    10000.0
    """

    def value(self, Z: Array) -> float:
        """``sum z**4 / B``."""
        return float(((Z * Z) ** 2).sum() / len(Z))

    def gradient(self, Z: Array, weights: Array | None = None) -> Array:
        """``Z**3 / B``; the factor 4 is left out, the oracle is blind to scale."""
        return _weighed(Z * Z * Z, weights)


@dataclass(frozen=True, slots=True)
class HardThreshold:
    """Energy above a threshold: ``sum max(z**2 - level**2, 0) / B``.

    With full steps it is the sparse orthonormal transform: the dictionary becomes the polar
    factor of ``Y.T @ X``, where X are the codes that the threshold keeps.

    Parameters
    ----------
    level : float or ndarray of shape (N,)
        Smallest magnitude of a code that counts, in the units of the readings, > 0; one for all
        atoms, or one each.

    Raises
    ------
    ValueFault
        When `level` is not a positive number.

    Examples
    --------
    What lies below the level has no say.

    >>> HardThreshold(level=0.5).gradient(np.array([[2.0, 0.1]]))
    array([[2., 0.]])
    """

    level: float | Array

    def __post_init__(self) -> None:
        level = np.asarray(self.level)
        if not (level.min() > 0 and level.max() < np.inf):  # nor where one is no number
            message = f"level: expected a positive number, got {self.level}; try the noise level"
            raise ValueFault(message)

    def value(self, Z: Array) -> float:
        """``sum max(z**2 - level**2, 0) / B``."""
        return float(np.maximum(Z * Z - self.level**2, 0).sum() / len(Z))

    def gradient(self, Z: Array, weights: Array | None = None) -> Array:
        """``Z / B`` where ``|Z| > level``, else 0; the factor 2 is left out."""
        return _weighed(Z * (np.abs(Z) > self.level), weights)


def _weighed(pulls: Array, weights: Array | None) -> Array:
    pulls *= 1 / len(pulls) if weights is None else weights[:, None]
    return pulls
