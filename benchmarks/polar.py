"""Ways to a polar factor that are compared with the product's; none of them checks its answer.

Each takes a square matrix G and answers in its type, like `oodl.oracle.Oracle`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from oodl.oracle import EXPRESS, QUINTIC

__all__ = ["Adapted", "Eigh", "Express", "NewtonSchulz", "adapted", "reached"]

Array = npt.NDArray[np.floating]
Quintic = tuple[float, float, float]

STEPS = 8
FITTED = 5  # steps that ROOT's and Muon's coefficients are made for
FIRST: Quintic = (8.28721201814563, -23.595886519098837, 17.300387312530933)  # before EXPRESS
MUON: Quintic = (3.4445, -4.7750, 2.0315)
DRAWS = 8  # Gaussian matrices that coefficients are adapted to
SEED = 1000
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Eigh:
    """``G (G.T G)^(-1/2)`` by the eigenvectors of the square.

    It squares the condition: singular values below ``sqrt(eps)`` of the largest are lost.

    Examples
    --------
    >>> Eigh()(np.diag([2.0, -3.0])).round(6)
    array([[ 1.,  0.],
           [ 0., -1.]])
    """

    def __call__(self, G: Array) -> Array:
        """Return the polar factor of a well-conditioned matrix."""
        squares, V = np.linalg.eigh(G.T @ G)
        least = np.finfo(G.dtype).eps * squares[-1]
        factor: Array = G @ ((V / np.sqrt(np.maximum(squares, max(least, TINY)))) @ V.T)
        return factor


@dataclass(frozen=True, slots=True)
class NewtonSchulz:
    """The quintic iteration that converges to the exact factor, from a cold start.

    Examples
    --------
    Eight steps do not reach a singular value of a thousandth.

    >>> NewtonSchulz()(np.diag([1.0, 1e-3])).round(2)
    array([[1.  , 0.  ],
           [0.  , 0.15]])
    """

    steps: int = STEPS

    def __call__(self, G: Array) -> Array:
        """Return an approximate polar factor."""
        return _iterated(G, [QUINTIC] * self.steps)


@dataclass(frozen=True, slots=True)
class Express:
    """Polar Express: the polynomials that are best for singular values down to a thousandth.

    References
    ----------
    N. Amsel, D. Persson, C. Musco, R. Gower, arXiv 2505.16932.

    Examples
    --------
    >>> Express()(np.diag([1.0, 1e-3])).round(4)
    array([[1., 0.],
           [0., 1.]])
    """

    steps: int = STEPS

    def __call__(self, G: Array) -> Array:
        """Return an approximate polar factor."""
        steps = [FIRST, *EXPRESS]
        finishing = [QUINTIC] * max(0, self.steps - len(steps))
        return _iterated(G, [*steps[: self.steps], *finishing])


@dataclass(frozen=True, slots=True)
class Adapted:
    """One quintic polynomial, five times, its coefficients adapted to the dimension.

    References
    ----------
    W. He et al., "ROOT: Robust Orthogonalized Optimizer", arXiv 2511.20626. The authors' table of
    coefficients covers the shapes of their network; here they are fitted, for each N, to the
    singular values of Gaussian matrices.

    Examples
    --------
    They leave less than Muon's, which are the same for every dimension.

    >>> G = np.random.default_rng(0).standard_normal((64, 64))
    >>> def left(S):
    ...     return np.linalg.norm(S.T @ S - np.eye(64))
    >>> bool(left(Adapted()(G)) < 0.8 * left(_iterated(G, [MUON] * FITTED)))
    True
    """

    def __call__(self, G: Array) -> Array:
        """Return an approximate polar factor."""
        return _iterated(G, [adapted(len(G))] * FITTED)


@cache
def adapted(n: int) -> Quintic:
    """Return the coefficients that bring the singular values of Gaussian matrices nearest to 1."""
    rng = np.random.default_rng([SEED, n])
    drawn = np.linalg.svd(rng.standard_normal((DRAWS, n, n)), compute_uv=False)
    values = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    best = np.array(MUON)
    least = _left(best, values)
    width = 0.3
    while width > 1e-4:
        tried = best + width * rng.standard_normal((64, 3))
        lefts = [_left(each, values) for each in tried]
        nearest = int(np.argmin(lefts))
        if lefts[nearest] < least:
            best, least = tried[nearest], lefts[nearest]
        else:
            width /= 2
    a, b, c = best.tolist()
    return a, b, c


def reached(values: Array, coefficients: Sequence[Quintic]) -> Array:
    """Return what the polynomials make of singular values."""
    for a, b, c in coefficients:
        squares = values * values
        values = values * (a + squares * (b + c * squares))
    return values


def _left(coefficients: Array, values: Array) -> float:
    a, b, c = coefficients.tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        left = float(np.mean((reached(values, [(a, b, c)] * FITTED) - 1) ** 2))
    return left if np.isfinite(left) else np.inf


def _iterated(G: Array, coefficients: Sequence[Quintic]) -> Array:
    """Apply ``a X + X (b S + c S S)``, S = ``X.T X``, from G over a bound of its largest value."""
    square = G.T @ G
    bound = np.sqrt(max(float(np.linalg.norm(square)), TINY))
    X = G / G.dtype.type(bound)
    for a, b, c in coefficients:
        kind = X.dtype.type
        square = X.T @ X
        X = kind(a) * X + X @ (kind(b) * square + kind(c) * (square @ square))
    return X
