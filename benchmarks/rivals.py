"""What the learner is compared with, behind one contract: rows in, in blocks; atoms out.

All start at the same random dictionary. A grid is tuned on the streams that are then compared: this
favours the rival.
"""

import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from oodl import OnlineDictionary
from oodl.learner import PUBLISHED, Scheme
from oodl.oracle import Svd

__all__ = [
    "ALPHAS",
    "LAMBDAS",
    "SPAMS_ABSENT",
    "Fit",
    "Online",
    "Ours",
    "Published",
    "Rival",
    "Sklearn",
    "Spams",
    "With",
    "library_grid",
    "offline_optimum",
]

Array = npt.NDArray[np.floating]

ALPHAS = (0.1, 0.2, 0.4, 0.8)
LAMBDAS = (0.1, 0.15, 0.2, 0.3, 0.4)
SPAMS_ABSENT = importlib.util.find_spec("spams") is None
L3_ITERATIONS, THRESHOLD_ITERATIONS = 1000, 200
STILL = 1e-7  # a turn, 1 - smallest cosine of an atom, that counts as convergence


class Fit(Protocol):
    """A learner at work on one stream."""

    def partial_fit(self, Y: Array) -> object:
        """Learn from a block, shape (B, N)."""
        ...

    @property
    def atoms(self) -> Array:
        """Unit atoms in columns, shape (N, N)."""
        ...


class Rival(Protocol):
    """A learner with its settings; its repr names it in the records."""

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """`OnlineDictionary` as it comes."""

    dtype: str = "float32"

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return Online(OnlineDictionary(len(initial), initial=initial, dtype=self.dtype))


@dataclass(frozen=True, slots=True)
class With:
    """`OnlineDictionary` with a learner of other parts, or with one part changed."""

    learner: Scheme[Any]

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return Online(OnlineDictionary(len(initial), initial=initial, learner=self.learner))


@dataclass(frozen=True, slots=True)
class Published:
    """The paper's scheme, float64 as in the authors' scripts, rho and gamma clipped to 1."""

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return Online(
            OnlineDictionary(len(initial), initial=initial, dtype="float64", learner=PUBLISHED)
        )


@dataclass(slots=True)
class Online:
    """An `OnlineDictionary` at work."""

    model: OnlineDictionary

    def partial_fit(self, Y: Array) -> object:
        """Learn from a block, shape (B, N)."""
        return self.model.partial_fit(Y)

    @property
    def atoms(self) -> Array:
        """Unit atoms in columns, shape (N, N)."""
        return self.model.dictionary_


@dataclass(frozen=True, slots=True)
class Sklearn:
    """scikit-learn's MiniBatchDictionaryLearning, one `partial_fit` a block."""

    alpha: float

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return _SklearnFit(
            MiniBatchDictionaryLearning(
                n_components=len(initial), alpha=self.alpha, dict_init=initial.T.copy()
            )
        )


@dataclass(slots=True)
class _SklearnFit:
    model: MiniBatchDictionaryLearning

    def partial_fit(self, Y: Array) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return self.model.partial_fit(Y)

    @property
    def atoms(self) -> Array:
        return unit(self.model.components_.T)


@dataclass(frozen=True, slots=True)
class Spams:
    """SPAMS, online dictionary learning of Mairal et al., one call a block, one thread."""

    lambda1: float

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return _SpamsFit(importlib.import_module("spams").trainDL, self.lambda1, initial)


@dataclass(slots=True)
class _SpamsFit:
    train: Callable[..., Any]
    lambda1: float
    dictionary: Array
    model: dict[str, Any] | None = field(default=None)

    def partial_fit(self, Y: Array) -> object:
        self.dictionary, self.model = self.train(
            np.asfortranarray(Y.T, dtype=np.float64),
            return_model=True,
            model=self.model,
            D=np.asfortranarray(self.dictionary, dtype=np.float64),
            lambda1=self.lambda1,
            batchsize=len(Y),
            iter=1,
            numThreads=1,
            verbose=False,
        )
        return self

    @property
    def atoms(self) -> Array:
        return unit(self.dictionary)


def offline_optimum(rows: Array, density: float, noise: float, initial: Array) -> Array:
    """Return what all rows at once can tell: l3 to convergence, then a hard threshold.

    Parameters
    ----------
    rows : Array
        Shape (B, N); their codes have variance 1.
    density, noise : float
        Share of the codes that are not zero and variance of the noise, > 0. Both are told to it: no
        online learner knows as much.
    """
    active = 1 + noise
    odds = (1 - density) / density * math.sqrt(active / noise)
    level = math.sqrt(2 * math.log(odds) / (1 / noise - 1 / active))
    Y = rows.astype(np.float32)
    D = _converged(Y, initial, lambda Z: np.abs(Z) * Z, L3_ITERATIONS)
    return _converged(Y, D, lambda Z: Z * (np.abs(Z) > level), THRESHOLD_ITERATIONS)


def _converged(Y: Array, D: Array, gradient: Callable[[Array], Array], iterations: int) -> Array:
    D = D.astype(np.float32)
    for _ in range(iterations):
        turned = Svd()((Y.T @ gradient(Y @ D)).astype(np.float64)).astype(np.float32)
        turn = 1 - float(np.abs((turned * D).sum(axis=0)).min())
        D = turned
        if turn < STILL:
            break
    return D


def unit(atoms: Array) -> Array:
    """Return atoms of length 1; an atom of length 0 stays."""
    lengths = np.linalg.norm(atoms, axis=0)
    scaled: Array = atoms / np.where(lengths > 0, lengths, 1)
    return scaled


def library_grid(alphas: Iterable[float], lambdas: Iterable[float]) -> dict[str, list[Rival]]:
    """Return the online libraries with their settings; SPAMS only where it is installed."""
    grid: dict[str, list[Rival]] = {"scikit-learn": [Sklearn(alpha) for alpha in alphas]}
    if not SPAMS_ABSENT:
        grid["SPAMS"] = [Spams(value) for value in lambdas]
    return grid
