"""Online orthogonal dictionary learning: a state, and a step that reads like the paper's box.

Nothing of the stream is stored: what remains of the past is the tracked gradient G.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from oodl.contrast import L3, Array, Contrast
from oodl.distance import orthogonality_defect
from oodl.errors import ShapeError, ValueFault
from oodl.oracle import Oracle, Svd
from oodl.schedule import MEMORY, STEPPING, TRACKING, WHOLE, Schedule

__all__ = [
    "PUBLISHED",
    "AsGiven",
    "Chunks",
    "Growing",
    "Learner",
    "Scheme",
    "State",
    "chunk_size",
    "rows_of",
]

LARGEST_DEFECT = 1e-3
"""Largest ``||D.T @ D - I||_F`` of a start: float32 rounding leaves 8e-6 at N = 256."""


class Chunks(Protocol):
    """How rows that arrive are cut into steps."""

    def __call__(self, n: int, seen: int, waiting: int) -> int:
        """Return how many of the `waiting` rows make the next step; 0 = wait for more."""
        ...


@dataclass(frozen=True, slots=True)
class Growing:
    """Chunks of `chunk_size` rows: calls may be cut anywhere, the steps are the same.

    Examples
    --------
    Nineteen rows of 16 channels are two chunks of eight, and three rows wait.

    >>> growing = Growing()
    >>> growing(16, 0, 19), growing(16, 8, 11), growing(16, 16, 3)
    (8, 8, 0)
    """

    def __call__(self, n: int, seen: int, waiting: int) -> int:
        """Return the chunk's size once it is full."""
        size = chunk_size(n, seen)
        return size if waiting >= size else 0


@dataclass(frozen=True, slots=True)
class AsGiven:
    """Every call is one step, as in the paper.

    Examples
    --------
    >>> AsGiven()(16, 0, 19)
    19
    """

    def __call__(self, n: int, seen: int, waiting: int) -> int:  # noqa: ARG002  (takes all)
        """Return all that wait."""
        return waiting


def chunk_size(n: int, seen: int) -> int:
    """Return the rows of the next chunk: ``n / 2`` at first, ``seen / 32`` up to n, then slower.

    A step costs matrix products of N x N, so it should pay: early few rows move the dictionary far,
    late many hardly do. Beyond n it is ``seen / 64``, and at most 2n: more would make the
    dictionary late where the plant drifts.

    Parameters
    ----------
    n : int
        Numbers in a row.
    seen : int
        Rows learned from so far.

    Examples
    --------
    >>> [chunk_size(64, seen) for seen in (0, 1600, 6400, 10**6)]
    [32, 50, 100, 128]
    """
    return min(max(1, n // 2, min(seen // 32, n), seen // 64), 2 * n)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that a learner remembers; its size does not depend on the stream.

    Parameters
    ----------
    dictionary : Array
        Atoms in columns, orthogonal, shape (N, N).
    gradient : Array
        The tracked gradient, shape and type of `dictionary`.
    steps, seen : int
        Steps done and rows learned from.
    restarts : int
        How often the dictionary was given up; a plain learner never does.

    Examples
    --------
    A step leaves the old state as it was.

    >>> learner = Learner()
    >>> before = learner.start(2)
    >>> after = learner.step(before, np.array([[3.0, 4.0]]))
    >>> (before.steps, before.seen), (after.steps, after.seen)
    ((0, 0), (1, 1))
    """

    dictionary: Array
    gradient: Array
    steps: int = 0
    seen: int = 0
    restarts: int = 0


S = TypeVar("S", bound=State)


class Scheme(Protocol[S]):
    """A learner with a state of its own kind."""

    @property
    def chunks(self) -> Chunks:
        """How rows that arrive are cut into steps."""
        ...

    def start(self, n: int, *, dtype: npt.DTypeLike = "float32", initial: Array | None = None) -> S:
        """Return a state that has seen nothing, from the identity or an orthogonal matrix."""
        ...

    def step(self, state: S, Y: Array) -> S:
        """Learn from one block of rows; `state` stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Learner:
    """The parts of the algorithm, and the step that puts them together.

    Parameters
    ----------
    contrast : Contrast, default L3()
        What is maximised.
    oracle : Oracle, default Svd()
        Polar factor: the answer to a gradient, and the way back to orthogonal matrices.
    tracking : Schedule, default RowMemory(8)
        rho, the share of the fresh gradient in the tracked one.
    stepping : Schedule, default Constant(1)
        gamma, the share of the oracle's answer in the dictionary.
    ridge : float, default 1e-3
        Weight of the present atoms in what the oracle is asked, in units of the mean of
        ``|diag(D.T @ G)|``, >= 0.
    chunks : Chunks, default Growing()
        How `OnlineDictionary` cuts rows into steps; `step` itself takes the rows it is given.

    Raises
    ------
    ValueFault
        When `ridge` is negative.

    Notes
    -----
    Rows are readings, ``Z = Y @ D``; the paper has them in columns, ``Z = D.T @ Y``. Where the
    default leaves the paper, with the error that remains after 30N rows (N = 64, density .1, 20 dB,
    mean of 3 streams; calls of 16 and of 256 rows; one line more each time):

    =============  ====================  ==========================================  ====  ====
    part           paper                 here                                        16    256
    =============  ====================  ==========================================  ====  ====
    rho, gamma     exceed 1 early        clipped to 1                                .164  .665
    tracking       by steps              by rows: a row weighs the same in any cut   .125  .708
    stepping       ``2/(t+2)**(3/4)``    1, a whole step; no second polar factor:    .029  .463
                                         the oracle's answer is orthogonal already
    ridge          none                  1e-3: before N rows have come, atoms that   .029  .464
                                         no reading used stay where they are; else
                                         the oracle may re-sign or mix them
    chunks         one step a call       growing: the step does not depend on calls  .035  .028
    =============  ====================  ==========================================  ====  ====

    `PUBLISHED` keeps the paper's parts, with rho and gamma clipped to 1: the error after 100 steps
    falls from .050 to .016 (N = 10, density .3, 10 rows a step), and later on is the same.

    References
    ----------
    Y. Xue, V. Lau, "Online Orthogonal Dictionary Learning Based on Frank-Wolfe Method",
    arXiv 2103.01484, Algorithm 1.

    Examples
    --------
    Readings along the axes pull a mixed pair of atoms onto the axes.

    >>> learner = Learner()
    >>> state = learner.start(2, initial=np.array([[0.8, -0.6], [0.6, 0.8]]))
    >>> for _ in range(5):
    ...     state = learner.step(state, np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> np.round(state.dictionary, 2) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    contrast: Contrast = field(default_factory=L3)
    oracle: Oracle = field(default_factory=Svd)
    tracking: Schedule = MEMORY
    stepping: Schedule = WHOLE
    ridge: float = 1e-3
    chunks: Chunks = Growing()

    def __post_init__(self) -> None:
        if not self.ridge >= 0:
            message = f"ridge: expected a number >= 0, got {self.ridge}"
            raise ValueFault(message)

    def start(
        self, n: int, *, dtype: npt.DTypeLike = "float32", initial: Array | None = None
    ) -> State:
        """Return a state that has seen nothing.

        Parameters
        ----------
        n : int
            Numbers in a row, >= 1.
        dtype : {"float32", "float64"}
            Type that the state keeps.
        initial : Array, optional
            Orthogonal (n, n) dictionary to start from; default: the identity.

        Raises
        ------
        ShapeError
            When `n` is below 1, or `initial` has another shape.
        ValueFault
            When `dtype` is another type, or `initial` is not orthogonal.
        """
        if n < 1:
            message = f"n_features: expected at least 1, got {n}"
            raise ShapeError(message)
        kind = _float_type(dtype)
        D = np.eye(n, dtype=kind) if initial is None else _orthogonal(initial, n).astype(kind)
        return State(dictionary=D, gradient=np.zeros_like(D))

    def step(self, state: State, Y: Array) -> State:
        """Learn from one block of rows: Algorithm 1 of the paper.

        Parameters
        ----------
        state : State
            Left as it is.
        Y : Array
            Finite readings, shape (B, N); B = 0 gives back `state`.

        Raises
        ------
        ShapeError
            When `Y` has another shape.
        ValueFault
            When `Y` holds NaN or infinity.
        """
        D, B = state.dictionary, len(Y)
        Y = rows_of("block", Y, D).astype(D.dtype, copy=False)
        if B == 0:
            return state
        rho = float(self.tracking(state.steps, state.seen, B))
        gamma = float(self.stepping(state.steps, state.seen, B))

        Z = Y @ D
        g = Y.T @ self.contrast.gradient(Z)
        G = (1 - rho) * state.gradient + rho * g
        S = self._answer(D, G)
        D = S if gamma == 1 else self.oracle((1 - gamma) * D + gamma * S)

        return State(dictionary=D, gradient=G, steps=state.steps + 1, seen=state.seen + B)

    def _answer(self, D: Array, G: Array) -> Array:
        """Ask the oracle; where G says nothing, the present atoms stay."""
        if not G.any():
            return D
        mean_slope = float(np.abs((D * G).sum(axis=0)).mean())
        return self.oracle(G + self.ridge * mean_slope * D)


PUBLISHED = Learner(tracking=TRACKING, stepping=STEPPING, ridge=0.0, chunks=AsGiven())
"""The paper's parts, with rho and gamma clipped to 1; one step a call."""


def rows_of(name: str, given: npt.ArrayLike, D: Array) -> Array:
    """Return rows as an array, refused unless they have as many numbers as `D`."""
    rows = np.asarray(given)
    if rows.ndim != 2 or rows.shape[1] != len(D):
        message = (
            f"{name}: expected shape (rows, {len(D)}), got {rows.shape}; "
            "one reading y is given as y[None, :]"
        )
        raise ShapeError(message)
    if rows.dtype.kind not in "buif":
        message = f"{name}: expected real numbers, got {rows.dtype}; write missing values as NaN"
        raise ValueFault(message)
    return rows


def _float_type(dtype: npt.DTypeLike) -> np.dtype[np.floating]:
    kind = np.dtype(dtype)
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        if kind == known:
            return known
    message = f"dtype: expected float32 or float64, got {kind}"
    raise ValueFault(message)


def _orthogonal(initial: Array, n: int) -> Array:
    if initial.shape != (n, n):
        message = f"initial: expected shape ({n}, {n}), got {initial.shape}"
        raise ShapeError(message)
    defect = orthogonality_defect(initial)
    if not defect <= LARGEST_DEFECT:
        message = (
            f"initial: expected ||D.T @ D - I|| <= {LARGEST_DEFECT}, got {defect:.3g}; "
            "pass its polar factor, Svd()(initial)"
        )
        raise ValueFault(message)
    return initial
