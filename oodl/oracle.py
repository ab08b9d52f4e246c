"""The corner of the spectral-norm ball that lies farthest along a gradient.

``argmax <G, S>`` over ``||S||_2 <= 1`` is the polar factor of G: ``U @ Vt`` of its singular value
decomposition. It is orthogonal, and it is also the orthogonal matrix nearest to G.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oodl.errors import ShapeError, ValueFault

__all__ = ["Oracle", "Svd", "WarmStart"]

Array = npt.NDArray[np.floating]


LARGEST_TURN = 0.6  # Frobenius norm of E up to which first order is tried
LEAST_SLOPE = 1e-4  # of the largest; below it a pair of atoms has no say in its turn
NEGLIGIBLE = 30.0  # times the type's precision: what the next turn would bring is rounding


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


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Polar factor of a matrix near a positive diagonal one; of any other by `exact`.

    In the coordinates of the present atoms a settled dictionary's gradient is such a matrix, and
    its polar factor is near the identity. For ``G = diag(a) + ...`` it is ``I + E`` to first
    order, with ``E_ij = (G_ij - G_ji) / (a_i + a_j)``; a cubic Newton-Schulz step makes it
    orthogonal, and what is left of G is turned again until E vanishes.

    Parameters
    ----------
    exact : Oracle
        Asked when the first turn is too large for first order, or the turns do not shrink.
    turns : int
        How many are tried.

    Notes
    -----
    A cold Newton-Schulz iteration is wrong without a sign of it on ill-conditioned input (error .15
    after 8 quintic steps); here the answer makes ``S.T @ G`` symmetric, or is not given.

    Examples
    --------
    >>> G = np.array([[4.0, 0.5], [0.1, 3.0]])
    >>> bool(np.allclose(WarmStart()(G), Svd()(G)))
    True
    """

    exact: Oracle = field(default_factory=Svd)
    turns: int = 12

    def __call__(self, G: Array) -> Array:
        """Return the polar factor.

        Raises
        ------
        ShapeError
            When `G` is not a square matrix.
        ValueFault
            When `G` holds NaN or infinity.
        """
        _require_finite_square(G)
        enough = NEGLIGIBLE * float(np.finfo(G.dtype).eps)
        turned, S = G, np.eye(len(G), dtype=G.dtype)
        last = LARGEST_TURN
        for _ in range(self.turns):
            slopes = np.diag(turned)
            sums = slopes[:, None] + slopes
            if sums.min() <= LEAST_SLOPE * sums.max():
                break
            E = (turned - turned.T) / sums
            size = float(np.linalg.norm(E))
            if size > last:
                break
            S = renewed(S + S @ E)
            if size <= enough:
                return S
            turned, last = S.T @ G, size / 2
        return self.exact(G)


def renewed(S: Array) -> Array:
    """Return a nearly orthogonal matrix after one cubic Newton-Schulz step."""
    nearer: Array = S.dtype.type(1.5) * S - S.dtype.type(0.5) * (S @ (S.T @ S))
    return nearer


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
