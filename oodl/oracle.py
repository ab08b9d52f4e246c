"""The corner of the spectral-norm ball that lies farthest along a gradient.

``argmax <G, S>`` over ``||S||_2 <= 1`` is the polar factor of G: ``U @ Vt`` of its singular value
decomposition. It is orthogonal, and it is also the orthogonal matrix nearest to G.
"""

from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oodl.errors import ShapeError, ValueFault
from oodl.loops import opposed

__all__ = ["Oracle", "PolarExpress", "Svd", "WarmStart"]

Array = npt.NDArray[np.floating]


LARGEST_TURN = 0.6  # Frobenius norm of E up to which first order is tried
LEAST_SLOPE = 1e-4  # of the largest; below it a pair of atoms has no say in its turn
NEGLIGIBLE = 30.0  # times the type's precision: what the next turn would bring is rounding

EXPRESS = (
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
)  # for singular values from .0083 to 1.99: what the first of six makes of 1e-3 to 1
LARGEST_VALUE = 1.99  # that G's are scaled to
QUINTIC = (15 / 8, -5 / 4, 3 / 8)  # converges with order three once all are near 1
FINISHING = 5  # quintic steps tried
SMALL = 32  # below it LAPACK is as fast


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
        try:
            U, _, Vt = np.linalg.svd(G)
        except np.linalg.LinAlgError:
            # LAPACK's divide and conquer misses some matrices with many nearly equal singular
            # values; it finds those of the transpose.
            V, _, Ut = np.linalg.svd(G.T)
            U, Vt = Ut.T, V.T
        factor: Array = U @ Vt
        return factor


@dataclass(frozen=True, slots=True)
class PolarExpress:
    """Polar factor by matrix products alone, checked; where they do not get there, by `exact`.

    Odd polynomials in G pull its singular values towards 1: five quintic ones that are the best
    for values down to a few thousandths of the largest, then the usual one until ``S.T @ S`` is
    the identity. It costs about half a singular value decomposition at N = 64.

    Parameters
    ----------
    exact : Oracle
        Asked when G is ill-conditioned.

    References
    ----------
    N. Amsel, D. Persson, C. Musco, R. Gower, "The Polar Express", arXiv 2505.16932; the
    coefficients for the interval [1e-3, 1], without the first polynomial's.

    Examples
    --------
    >>> G = np.random.default_rng(0).standard_normal((64, 64))
    >>> bool(np.allclose(PolarExpress()(G), Svd()(G)))
    True
    """

    exact: Oracle = field(default_factory=Svd)

    def __call__(self, G: Array) -> Array:
        """Return the polar factor.

        Raises
        ------
        ShapeError
            When `G` is not a square matrix.
        ValueFault
            When `G` holds NaN or infinity.
        """
        _require_square(G)
        largest = float(np.abs(G).max())
        if len(G) < SMALL or not 0 < largest < np.inf:
            return self.exact(G)
        X = G / largest
        square = X.T.dot(X)
        bound = sqrt(_norm(square)) / LARGEST_VALUE  # of the largest singular value, from above
        X, square = X / bound, square / (bound * bound)
        for coefficients in EXPRESS:
            X = _quintic(X, square, coefficients)
            square = X.T.dot(X)
        enough = sqrt(np.finfo(G.dtype).eps) / 2
        for _ in range(FINISHING):
            if _norm(shifted(square.copy(), -1)) <= enough:
                return _nearer(X, square)
            X = _quintic(X, square, QUINTIC)
            square = X.T.dot(X)
        return self.exact(G)


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
    enough : float or None
        Size of a turn, the Frobenius norm of E, after which no other is tried: what it leaves is
        asked again at the learner's next step. The answer is then orthogonal up to
        the root of rounding, and is to be `renewed` once. None: until rounding.

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

    exact: Oracle = field(default_factory=PolarExpress)
    turns: int = 12
    enough: float | None = None

    def __call__(self, G: Array) -> Array:
        """Return the polar factor.

        Raises
        ------
        ShapeError
            When `G` is not a square matrix.
        ValueFault
            When `G` holds NaN or infinity.
        """
        _require_square(G)
        precision = float(np.finfo(G.dtype).eps)
        enough, close = self.enough or NEGLIGIBLE * precision, sqrt(precision)
        turned, S, last = G, None, LARGEST_TURN
        for _ in range(self.turns):
            slopes = turned.diagonal()
            if slopes.min() <= LEAST_SLOPE * slopes.max():
                break
            E = opposed(turned)
            size = _norm(E)
            if not size <= last:  # nor where it is no number
                break
            S = _turn(E) if S is None else S.dot(_turn(E))
            if size > enough or size**4 > close:
                S = renewed(S)
            if size <= enough:
                return S
            turned, last = S.T.dot(G), size / 2
        return self.exact(G)


def _turn(E: Array) -> Array:
    """Return ``exp(E)`` to second order: orthogonal up to ``E**4 / 4`` where E is skew."""
    return shifted(E + 0.5 * E.dot(E), 1)


def _quintic(X: Array, square: Array, coefficients: tuple[float, float, float]) -> Array:
    """Return ``X (a I + b S + c S S)`` for S = ``X.T @ X``."""
    a, b, c = coefficients
    raised: Array = X.dot(shifted(square.dot(shifted(c * square, b)), a))
    return raised


def renewed(S: Array) -> Array:
    """Return a nearly orthogonal matrix after one cubic Newton-Schulz step."""
    return _nearer(S, S.T.dot(S))


def _nearer(S: Array, square: Array) -> Array:
    nearer: Array = S.dot(shifted(-0.5 * square, 1.5))
    return nearer


def shifted(matrix: Array, number: float) -> Array:
    """Add a multiple of the identity to a contiguous matrix, in place."""
    matrix.reshape(-1)[:: len(matrix) + 1] += number
    return matrix


def _norm(matrix: Array) -> float:
    """Return the Frobenius norm, in a third of the time that linalg takes for small ones."""
    return sqrt(np.vdot(matrix, matrix))


def _require_square(G: Array) -> None:
    if G.ndim != 2 or G.shape[0] != G.shape[1]:
        message = f"gradient: expected shape (N, N), got {G.shape}"
        raise ShapeError(message)


def _require_finite_square(G: Array) -> None:
    _require_square(G)
    if not np.isfinite(G).all():
        row, column = np.argwhere(~np.isfinite(G))[0]
        message = (
            f"gradient: expected finite numbers, got {G[row, column]} at ({row}, {column}); "
            "mask missing readings before learning"
        )
        raise ValueFault(message)
