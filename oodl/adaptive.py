"""The default learner: the paper's contrast finds the dictionary, a threshold then sharpens it.

Both are steps of the same algorithm, with another contrast. The cubed l3 norm finds the basin from
any start; the Bernoulli-Gaussian threshold converges as fast as all rows at once, but only inside
the basin. A certificate decides when, never a number of rows; where it is not given, as on most
real data, the learner stays with the paper's contrast. When the dictionary no longer fits, it goes
back.
"""

from dataclasses import dataclass, field, replace
from math import exp
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from oodl.activity import Activity
from oodl.certificate import Certificate
from oodl.contrast import L3, Array
from oodl.distance import distance
from oodl.drift import Watch
from oodl.learner import Chunks, Growing, Learner, State, chunk_size, rows_of
from oodl.loops import thresholded
from oodl.loudness import Loudness
from oodl.loudness import weights as row_weights
from oodl.oracle import Oracle, WarmStart, renewed, shifted
from oodl.outliers import Guard, impute, largest
from oodl.schedule import RowMemory
from oodl.together import Together
from oodl.turning import Turning

__all__ = ["Adaptive", "AdaptiveState", "Search", "Sharp"]

SEARCHING, SHARPENING = RowMemory(14), RowMemory(1.5)
CERTAIN = 0.8  # the largest R of a pair of atoms that lets the threshold take over
SETTLED = 0.1  # and the distance that the dictionary moved since the last certificate
WINDOW = 8  # rows of a certificate, in units of N, at least
SHARE = 0.15  # and as a share of the rows remembered
HALVED = 0.5  # share of the noise that is left when the memory is cut short
SHORTEST = 4  # rows, in units of N, that it is cut down to at most
SMALL_TURN = 0.1  # a turn after which the oracle is not asked twice in a step
FIRST_TURNS = 8  # that the first N rows are turned: one from the identity is not enough
AGREED = 0.25, 0.5  # how much of the memory goes when turns agree: exp(-AGREED * cosine)
ANEW = 32  # rows, in units of N, that the memory counts after a restart while steps are short
REBASED = 2  # rows, in units of N, that the memory counts as when the contrast changes


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """While the paper's contrast looks for the basin.

    Parameters
    ----------
    loudness : Loudness
    certificate : Certificate
    checkpoint : ndarray, shape (N, N)
        The dictionary when its window began.
    turning : Turning
    """

    loudness: Loudness
    certificate: Certificate
    checkpoint: Array
    turning: Turning


@dataclass(frozen=True, slots=True, eq=False)
class Sharp:
    """While the threshold sharpens the dictionary.

    Parameters
    ----------
    guard : Guard
        What is usual, so that spikes are told from readings.
    activity : Activity
    watch : Watch
    together : Together
    turning : Turning
    noise : float
        Variance of the noise when the memory was last cut short.
    """

    guard: Guard
    activity: Activity
    watch: Watch
    together: Together
    turning: Turning
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveState(State):
    """All that the learner remembers; its size does not depend on the stream.

    Parameters
    ----------
    dictionary, gradient, steps, seen, restarts
        As in `State`.
    gap : float
        Frank-Wolfe gap before the last step, as a share of what the step reached, >= 0.
    remembered : int
        Rows that the gradient's memory counts.
    search : Search or None
        While the paper's contrast looks for the basin.
    sharp : Sharp or None
        While the threshold sharpens.
    why : str
        What the last restart was for: "" before the first, "jump" or "mixed".
    """

    gap: float = 0.0
    remembered: int = 0
    search: Search | None = None
    sharp: Sharp | None = None
    why: Literal["", "jump", "mixed"] = ""


class _Turn(NamedTuple):
    """A step of Frank-Wolfe."""

    dictionary: Array
    gradient: Array
    gap: float


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The paper's contrast until a certificate is given, then a threshold, until it no longer fits.

    Parameters
    ----------
    oracle : Oracle
        Asked in the coordinates of the atoms: a settled dictionary's answer is the identity.
    searching, sharpening : RowMemory
        Memory of the gradient in either phase.
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

    oracle: Oracle = field(default_factory=lambda: WarmStart(enough=SMALL_TURN))
    searching: RowMemory = SEARCHING
    sharpening: RowMemory = SHARPENING
    ridge: float = 0.1
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
            Readings, shape (B, N), NaN or infinite where missing; B = 0 gives back `state`.

        Raises
        ------
        ShapeError
            When `Y` has another shape.
        ValueFault
            When `Y` holds no real numbers.
        """
        D = state.dictionary
        Y = np.ascontiguousarray(rows_of("block", Y, D), D.dtype)
        while len(Y):
            if state.sharp is not None:
                return self._sharpen(state, state.sharp, Y)
            rows = _first_rows(state, len(Y))
            state = self._search(state, state.search or _search(D), Y[:rows])
            Y = Y[rows:]
        return state

    def _search(self, state: AdaptiveState, search: Search, Y: Array) -> AdaptiveState:
        """Step by the paper's contrast; when the certificate is given, change the contrast."""
        n, given = len(state.dictionary), len(Y)
        Y, squares = _told(Y)
        if len(Y) == 0:
            return replace(state, seen=state.seen + given)
        loudness, usual = search.loudness.update(squares, n)
        each = self.searching.each(state.remembered, len(Y))
        weights = (each * row_weights(squares, usual)).astype(Y.dtype)
        tracked = (1 - float(each.sum())) * state.gradient
        D = state.dictionary
        for _ in range(FIRST_TURNS - 1 if state.remembered < n else 0):
            again = tracked + Y.T.dot(L3().gradient(Y.dot(D), weights))
            D = self._turn(D, again).dictionary
        Z = Y.dot(D)
        pulls = L3().gradient(Z, weights)
        turn = self._turn(D, tracked + Y.T.dot(pulls))
        turning, cosine = search.turning.update(turn.dictionary, len(Y))
        certificate = search.certificate.update(np.abs(Z), np.abs(pulls))
        remembered = _kept(n, state.remembered + len(Y), exp(-AGREED[0] * cosine))
        found = Search(loudness, certificate, search.checkpoint, turning)
        stepped = _stepped(state, turn, given, remembered, search=found)
        if certificate.rows < max(WINDOW * n, SHARE * remembered):
            return stepped
        return _certified(stepped, found)

    def _sharpen(self, state: AdaptiveState, sharp: Sharp, Y: Array) -> AdaptiveState:
        """Step by the threshold; start anew when the dictionary no longer fits.

        Each time that the noise has halved, what was remembered came from a worse dictionary: the
        memory is cut in half. Without noise the error so falls geometrically, else as 1 / rows.
        Where the dictionary turns steadily it is cut a little.
        """
        n, given, level = len(state.dictionary), len(Y), sharp.activity.level
        guard, Y = _admitted(sharp.guard, Y, state.dictionary, level)
        if len(Y) == 0:
            return replace(state, seen=state.seen + given)
        each = self.sharpening.each(state.remembered, len(Y))
        rho, weights = float(each.sum()), each.astype(Y.dtype)
        tracked = (1 - rho) * state.gradient
        pulls, active, sums = thresholded(Y.dot(state.dictionary), level, weights)
        turn = self._turn(state.dictionary, tracked + Y.T.dot(pulls))
        watch = sharp.watch.update(sums[1], sums[0], len(Y))
        together = sharp.together.update(active)
        activity = sharp.activity.update(sums, len(Y), rho)
        turning, cosine = sharp.turning.update(turn.dictionary, len(Y))
        noise, kept = sharp.noise, exp(-AGREED[1] * cosine)
        if activity.noise <= HALVED * noise:
            noise, kept = activity.noise, HALVED
        remembered = _kept(n, state.remembered + len(Y), kept)
        found = Sharp(guard, activity, watch, together, turning, noise)
        stepped = _stepped(state, turn, given, remembered, sharp=found)
        if watch.jumped or together.mixed:
            return _given_up(stepped, "jump" if watch.jumped else "mixed")
        return stepped

    def _turn(self, D: Array, G: Array) -> _Turn:
        """Take one step of Frank-Wolfe along a gradient."""
        asked = D.T.dot(G)
        reached = float(asked.trace())
        if reached <= 0:
            return _Turn(D, G, 0.0)
        answer = self.oracle(shifted(asked, self.ridge * reached / len(D)))
        S = renewed(D.dot(answer))
        return _Turn(S, G, max(0.0, 1 - reached / float(np.vdot(S, G))))


def _stepped(
    state: AdaptiveState,
    turn: _Turn,
    rows: int,
    remembered: int,
    *,
    search: Search | None = None,
    sharp: Sharp | None = None,
) -> AdaptiveState:
    return AdaptiveState(
        dictionary=turn.dictionary,
        gradient=turn.gradient,
        steps=state.steps + 1,
        seen=state.seen + rows,
        restarts=state.restarts,
        gap=turn.gap,
        remembered=remembered,
        search=search,
        sharp=sharp,
        why=state.why,
    )


def _first_rows(state: AdaptiveState, waiting: int) -> int:
    """Rows of the next step: few after a restart, however large the chunks had grown by then."""
    n = len(state.dictionary)
    if state.restarts and state.remembered < ANEW * n:
        return min(waiting, chunk_size(n, state.remembered))
    return waiting


def _told(Y: Array) -> tuple[Array, Array]:
    """Rows that tell something, 0 where they are missing, and their square lengths."""
    most = largest(Y.dtype)
    if not float(np.vdot(Y, Y)) < most * most:
        missing = ~(np.abs(Y) < most)  # true also where it is no number
        Y = np.where(missing, 0, Y)[~missing.all(axis=1)]
    return Y, np.vecdot(Y, Y).astype(np.float64)


def _admitted(guard: Guard, Y: Array, D: Array, level: Array) -> tuple[Guard, Array]:
    """Rows to learn from: shortened, without those of which nothing is left, filled by codes."""
    guard, admitted = guard.admit(Y)
    rows, missing = admitted.rows, admitted.missing
    if missing is None:
        return guard, rows
    return guard, impute(rows, missing, D, level)[~missing.all(axis=1)]


def _search(D: Array) -> Search:
    return Search(Loudness(), Certificate.start(len(D), dtype=D.dtype), D, Turning.start(D))


def _certified(state: AdaptiveState, search: Search) -> AdaptiveState:
    """Let the threshold take over where every pair of atoms is at its best; else look again."""
    D = state.dictionary
    if 0 < search.certificate.worst < CERTAIN and distance(D, search.checkpoint) < SETTLED:
        return _sharpened(state, search.loudness)
    certificate = Certificate.start(len(D), dtype=D.dtype)
    return replace(state, search=replace(search, certificate=certificate, checkpoint=D))


def _kept(n: int, remembered: int, share: float) -> int:
    """Rows that the memory counts when it is cut to a share of them, a few in any case."""
    return min(remembered, max(int(share * remembered), SHORTEST * n))


def _sharpened(state: AdaptiveState, loudness: Loudness) -> AdaptiveState:
    """Change the contrast: the gradient's memory is set to what the threshold would have made.

    With the old memory, or with none, the first chunks of fewer than N rows would turn the
    dictionary by their rank: the error rises from .04 to .89 (N = 64).
    """
    D, n = state.dictionary, len(state.dictionary)
    power = loudness.square / n
    slopes = np.vecdot(D.T, state.gradient.T)
    gradient = D * (0.8 * power * (slopes / slopes.mean()))
    activity = Activity.start(n, power=power, dtype=D.dtype)
    return replace(
        state,
        gradient=gradient.astype(D.dtype),
        remembered=min(state.remembered, REBASED * n),
        search=None,
        sharp=Sharp(
            Guard.start(n, loudness, dtype=D.dtype),
            activity,
            Watch.start(n),
            Together.start(n),
            Turning.start(D),
            activity.noise,
        ),
    )


def _given_up(state: AdaptiveState, why: Literal["jump", "mixed"]) -> AdaptiveState:
    return replace(
        state,
        gradient=np.zeros_like(state.gradient),
        remembered=0,
        search=_search(state.dictionary),
        sharp=None,
        restarts=state.restarts + 1,
        why=why,
    )
