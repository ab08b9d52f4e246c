"""The corner of the spectral-norm ball that lies farthest along a gradient.

``argmax <G, S>`` over ``||S||_2 <= 1`` is the polar factor of G: ``U @ Vt`` of its singular value
decomposition. It is orthogonal, and it is also the orthogonal matrix nearest to G.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oodl.errors import ShapeError, ValueFault

__all__ = ["Oracle", "Svd"]

Array = npt.NDArray[np.floating]


class Oracle(Protocol):
    """The linear oracle of Frank-Wolfe over the spectral-norm ball."""

    def __call__(self, G: Array) -> Array:
        """Return the polar factor of a square matrix, in its type."""
        ...


@dataclass(frozen=True, slots=True)
class Svd:
    """Polar factor by a full singular value decomposition: exact for any input.

    Notes
    -----
    The answer is orthogonal whatever the rank; where G vanishes (a zero matrix: everywhere) every
    orthogonal completion scores the same and LAPACK picks one. `oodl.learner.Learner` keeps the
    present atoms there by its ridge.

    References
    ----------
    Y. Xue, V. Lau, arXiv 2103.01484, Algorithm 1.

    Examples
    --------
    Only directions count, not lengths.

    >>> np.round(Svd()(np.array([[0.0, 5.0], [-0.1, 0.0]]))) + 0.0
    array([[ 0.,  1.],
           [-1.,  0.]])
    """

    def __call__(self, G: Array) -> Array:
        """Return ``U @ Vt``.

        Raises
        ------
        ShapeError
            When `G` is not a square matrix.
        ValueFault
            When `G` holds NaN or infinity.
        """
        _require_finite_square(G)
        U, _, Vt = np.linalg.svd(G)
        factor: Array = U @ Vt
        return factor


def _require_finite_square(G: Array) -> None:
    if G.ndim != 2 or G.shape[0] != G.shape[1]:
        message = f"gradient: expected shape (N, N), got {G.shape}"
        raise ShapeError(message)
    if not np.isfinite(G).all():
        row, column = np.argwhere(~np.isfinite(G))[0]
        message = (
            f"gradient: expected finite numbers, got {G[row, column]} at ({row}, {column}); "
            "mask missing readings before learning"
        )
        raise ValueFault(message)
