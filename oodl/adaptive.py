"""The default learner: the paper's contrast finds the dictionary, a threshold then sharpens it.

Both are steps of the same algorithm, with another contrast. The cubed l3 norm finds the basin from
any start; the Bernoulli-Gaussian threshold converges as fast as all rows at once, but only inside
the basin. A certificate decides when, never a number of rows; where it is not given, as on most
real data, the learner stays with the paper's contrast. When the dictionary no longer fits, it goes
back.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from oodl.activity import Activity
from oodl.certificate import Certificate
from oodl.contrast import L3, Array, HardThreshold
from oodl.distance import distance
from oodl.drift import Watch
from oodl.learner import Chunks, Growing, Learner, State, rows_of
from oodl.oracle import Oracle, WarmStart, renewed
from oodl.schedule import RowMemory, Schedule

__all__ = ["Adaptive", "AdaptiveState", "Search", "Sharp"]

SEARCHING, SHARPENING = RowMemory(14), RowMemory(2)
CERTAIN = 0.8  # the largest R of a pair of atoms that lets the threshold take over
SETTLED = 0.1  # and the distance that the dictionary moved since the last certificate
WINDOW = 8  # rows of a certificate, in units of N, at least
SHARE = 0.25  # and as a share of the rows remembered
HALVED = 0.5  # share of the noise that is left when the memory is cut short
SHORTEST = 4  # rows, in units of N, that it is cut down to at most
REBASED = 2  # rows, in units of N, that the memory counts as when the contrast changes


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """While the paper's contrast looks for the basin.

    Parameters
    ----------
    certificate : Certificate
    checkpoint : ndarray, shape (N, N)
        The dictionary when its window began.
    """

    certificate: Certificate
    checkpoint: Array


@dataclass(frozen=True, slots=True, eq=False)
class Sharp:
    """While the threshold sharpens the dictionary.

    Parameters
    ----------
    activity : Activity
    watch : Watch
    noise : float
        Variance of the noise when the memory was last cut short.
    """

    activity: Activity
    watch: Watch
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveState(State):
    """All that the learner remembers; its size does not depend on the stream.

    Parameters
    ----------
    dictionary, gradient, steps, seen, restarts
        As in `State`.
    search : Search or None
        While the paper's contrast looks for the basin.
    sharp : Sharp or None
        While the threshold sharpens.
    remembered : int
        Rows that the gradient's memory counts.
    why : str
        What the last restart was for: "" before the first, "jump" or "mixed".
    """

    search: Search | None = None
    sharp: Sharp | None = None
    remembered: int = 0
    why: Literal["", "jump", "mixed"] = ""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The paper's contrast until a certificate is given, then a threshold, until it no longer fits.

    Parameters
    ----------
    oracle : Oracle
        Asked in the coordinates of the atoms: a settled dictionary's answer is the identity.
    searching, sharpening : Schedule
        Memory of the gradient in either phase; both count rows.
    ridge : float
        Weight of the present atoms in what the oracle is asked, in units of the mean slope.
    chunks : Chunks
        How `OnlineDictionary` cuts rows into steps.

    References
    ----------
    Y. Xue, V. Lau, "Online Orthogonal Dictionary Learning Based on Frank-Wolfe Method",
    arXiv 2103.01484, Algorithm 1, with full steps.

    Examples
    --------
    Ten times nearer than the paper's contrast alone, after the same rows.

    >>> from oodl.synthetic import Planted, random_orthogonal
    >>> rng = np.random.default_rng(0)
    >>> planted = Planted(random_orthogonal(16, rng), density=0.1, snr_db=20)
    >>> rows = planted.draw(16 * 150, rng)
    >>> def error(learner):
    ...     state = learner.start(16)
    ...     for chunk in np.split(rows, 150):
    ...         state = learner.step(state, chunk)
    ...     return distance(state.dictionary, planted.dictionary)
    >>> error(Adaptive()) < 0.1 * error(Learner())
    True
    """

    oracle: Oracle = field(default_factory=WarmStart)
    searching: Schedule = SEARCHING
    sharpening: Schedule = SHARPENING
    ridge: float = 1e-3
    chunks: Chunks = field(default_factory=Growing)

    def start(
        self, n: int, *, dtype: npt.DTypeLike = "float32", initial: Array | None = None
    ) -> AdaptiveState:
        """Return a state that has seen nothing; as `Learner.start`."""
        D = Learner().start(n, dtype=dtype, initial=initial).dictionary
        return AdaptiveState(D, np.zeros_like(D), search=_search(D))

    def step(self, state: AdaptiveState, Y: Array) -> AdaptiveState:
        """Learn from one block of rows: Algorithm 1 of the paper with the contrast of the phase.

        Parameters
        ----------
        state : AdaptiveState
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
        Z = Y @ D
        contrast, memory = self._chosen(state.sharp)
        rho = memory(0, state.remembered, B)
        g = Y.T @ contrast.gradient(Z)
        G = D.dtype.type(1 - rho) * state.gradient + D.dtype.type(rho) * g
        S = self._answer(D, G)
        stepped = replace(
            state,
            dictionary=S,
            gradient=G,
            steps=state.steps + 1,
            seen=state.seen + B,
            remembered=state.remembered + B,
        )
        if state.sharp is not None:
            return _watch(stepped, state.sharp, Z, rho)
        return _certify(stepped, state.search or _search(D), Z)

    def _chosen(self, sharp: Sharp | None) -> tuple[L3 | HardThreshold, Schedule]:
        if sharp is None:
            return L3(), self.searching
        return HardThreshold(sharp.activity.level), self.sharpening

    def _answer(self, D: Array, G: Array) -> Array:
        """Ask the oracle which way the atoms turn; one Newton-Schulz step undoes rounding."""
        asked = D.T @ G
        slope = float(np.abs(np.diag(asked)).mean())
        if slope == 0:
            return D
        np.einsum("ii->i", asked)[:] += self.ridge * slope
        return renewed(D @ self.oracle(asked))


def _search(D: Array) -> Search:
    return Search(Certificate.start(len(D), dtype=D.dtype), D)


def _certify(state: AdaptiveState, search: Search, Z: Array) -> AdaptiveState:
    """Take rows into the certificate; when it is given, let the threshold take over."""
    n = len(state.dictionary)
    certificate = search.certificate.update(Z)
    if certificate.rows < max(WINDOW * n, SHARE * state.remembered):
        return replace(state, search=Search(certificate, search.checkpoint))
    moved = distance(state.dictionary, search.checkpoint)
    if not 0 < certificate.worst < CERTAIN or moved >= SETTLED:
        return replace(state, search=_search(state.dictionary))
    return _sharpen(state, Z)


def _sharpen(state: AdaptiveState, Z: Array) -> AdaptiveState:
    """Change the contrast: the gradient's memory is set to what the threshold would have made.

    With the old memory, or with none, the first chunks of fewer than N rows would turn the
    dictionary by their rank: the error rises from .04 to .89 (N = 64).
    """
    D = state.dictionary
    power = float((Z * Z).mean())
    slopes = np.einsum("ij,ij->j", D, state.gradient)
    gradient = D * (0.8 * power * slopes / slopes.mean())
    activity = Activity.start(len(D), power=power, dtype=D.dtype)
    return replace(
        state,
        gradient=gradient.astype(D.dtype),
        remembered=min(state.remembered, REBASED * len(D)),
        search=None,
        sharp=Sharp(activity, Watch.start(len(D)), activity.noise),
    )


def _watch(state: AdaptiveState, sharp: Sharp, Z: Array, rho: float) -> AdaptiveState:
    """Take rows into the threshold's statistics; start anew when the dictionary no longer fits.

    Each time that the noise has halved, what was remembered came from a worse dictionary: the
    memory is cut in half. Without noise the error so falls geometrically, else as 1 / rows.
    """
    watch, verdict = sharp.watch.update(Z)
    if verdict != "steady":
        return _give_up(state, verdict)
    activity = sharp.activity.update(Z, rho)
    if activity.noise > HALVED * sharp.noise:
        return replace(state, sharp=Sharp(activity, watch, sharp.noise))
    return replace(
        state,
        remembered=min(state.remembered, max(state.remembered // 2, SHORTEST * Z.shape[1])),
        sharp=Sharp(activity, watch, activity.noise),
    )


def _give_up(state: AdaptiveState, why: Literal["jump", "mixed"]) -> AdaptiveState:
    return replace(
        state,
        gradient=np.zeros_like(state.gradient),
        search=_search(state.dictionary),
        sharp=None,
        remembered=0,
        restarts=state.restarts + 1,
        why=why,
    )
