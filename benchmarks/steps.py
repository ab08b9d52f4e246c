"""The question: would another oracle, gradient memory or step serve the learner better.

Each takes the place of one part; error and CPU time are told beside the part that is there.
``python -m benchmarks.steps`` writes ``results/steps.json``.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.cost import feeding
from benchmarks.polar import Adapted, Eigh, NewtonSchulz, adapted
from benchmarks.record import cpu_seconds, record, rounded, save
from benchmarks.recovery import Setting, stream
from benchmarks.rivals import With
from oodl.adaptive import Adaptive
from oodl.contrast import L3
from oodl.distance import distance
from oodl.learner import Chunks, Growing, Learner, Scheme, State
from oodl.oracle import PolarExpress, Svd
from oodl.schedule import MEMORY

Array = npt.NDArray[np.floating]

FIRST_SEED = 5401
SEEDS = 3
CHECKPOINTS = (30, 100, 300)
SETTINGS = (Setting(16, 0.1, 16), Setting(64, 0.1, 16))
REACH = 0.5  # Frobenius norm, above the spectral norm, that a bounded step has at most
WORSE, CHEAPER, DEARER = 1.25, 0.9, 1.1  # ratios from which a difference is called one


def _skew(G: Array) -> Array:
    """The turn of first order that G asks for, with one slope for all atoms."""
    slope = float(np.abs(G.diagonal()).mean())
    turn: Array = (G - G.T) / G.dtype.type(2 * slope)
    return turn


def _bounded(E: Array) -> Array:
    size = float(np.linalg.norm(E))
    turn: Array = np.eye(len(E), dtype=E.dtype) + E * E.dtype.type(min(1, REACH / max(size, 1e-30)))
    return turn


@dataclass(frozen=True, slots=True)
class SpectralBound:
    """Like AuON: a step of linear time, bounded in spectral norm, in place of a polar factor."""

    def __call__(self, G: Array) -> Array:
        """Return ``I + E``, E as large as the bound at most."""
        return _bounded(_skew(G))


@dataclass(slots=True)
class Friction:
    """Like diffGrad: entries of the step that hardly change are slowed down, to half at most."""

    last: Array | None = field(default=None)

    def __call__(self, G: Array) -> Array:
        """Return ``I + E``, E slowed down entry by entry."""
        E = _skew(G)
        change = np.abs(E - self.last) if self.last is not None else np.full_like(E, np.inf)
        self.last = E
        scale = float(np.abs(E).mean()) or 1.0
        return _bounded((E / (1 + np.exp(-change / scale))).astype(G.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Before(State):
    """A state that knows the dictionary before the last step."""

    previous: Array | None = None


@dataclass(frozen=True, slots=True)
class Storm:
    """STORM: the memory is corrected by what the last dictionary's gradient is on the new rows."""

    chunks: Chunks = field(default_factory=Growing)

    def start(
        self, n: int, *, dtype: npt.DTypeLike = "float32", initial: Array | None = None
    ) -> Before:
        """Return a state that has seen nothing."""
        D = Learner().start(n, dtype=dtype, initial=initial).dictionary
        return Before(D, np.zeros_like(D))

    def step(self, state: Before, Y: Array) -> Before:
        """Learn from one block of rows."""
        D = state.dictionary
        rho = MEMORY(state.steps, state.seen, len(Y))
        g = Y.T @ L3().gradient(Y @ D)
        G = g
        if state.previous is not None:
            old = Y.T @ L3().gradient(Y @ state.previous)
            G = g + D.dtype.type(1 - rho) * (state.gradient - old)
        slope = float(np.abs((D * G).sum(axis=0)).mean())
        S = Svd()(G + D.dtype.type(1e-3 * slope) * D)
        return Before(S, G, state.steps + 1, state.seen + len(Y), previous=D)


@dataclass(frozen=True, slots=True)
class Klt:
    """Running KLT: the eigenvectors of the mean of ``y y.T`` as a basis."""

    chunks: Chunks = field(default_factory=Growing)

    def start(
        self, n: int, *, dtype: npt.DTypeLike = "float32", initial: Array | None = None
    ) -> State:
        """Return a state that has seen nothing."""
        return Learner().start(n, dtype=dtype, initial=initial)

    def step(self, state: State, Y: Array) -> State:
        """Take one block of rows into the covariance."""
        rho = state.dictionary.dtype.type(len(Y) / (state.seen + len(Y)))
        C = (1 - rho) * state.gradient + rho * (Y.T @ Y) / len(Y)
        _, axes = np.linalg.eigh(C)
        return replace(
            state, dictionary=axes, gradient=C, steps=state.steps + 1, seen=state.seen + len(Y)
        )


PARTS: dict[str, Callable[[], Scheme[Any]]] = {
    "as it is: WarmStart": Adaptive,
    "Svd": lambda: Adaptive(oracle=Svd()),
    "eigh": lambda: Adaptive(oracle=Eigh()),
    "Polar Express": lambda: Adaptive(oracle=PolarExpress()),
    "Newton-Schulz, quintic": lambda: Adaptive(oracle=NewtonSchulz()),
    "Newton-Schulz, fitted (ROOT)": lambda: Adaptive(oracle=Adapted()),
    "spectral bound (like AuON)": lambda: Adaptive(oracle=SpectralBound()),
    "friction (like diffGrad)": lambda: Adaptive(oracle=Friction()),
    "l3 alone": Learner,
    "l3 alone, STORM memory": Storm,
    "running KLT": Klt,
}
BESIDE = {"l3 alone, STORM memory": "l3 alone"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Median errors at `CHECKPOINTS`, and microseconds of CPU a row."""

    part: str
    setting: Setting
    errors: tuple[float, ...]
    microseconds: float


def measure(part: str, setting: Setting) -> Outcome:
    """Run a part on the streams."""
    found, spent = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        given = stream(setting, seed)
        adapted(setting.n)  # not a part of the time
        fit = With(PARTS[part]()).start(given.initial)
        errors, seconds, first = [], 0.0, 0
        for checkpoint in CHECKPOINTS:
            rows = given.rows[first : checkpoint * setting.n]
            first = checkpoint * setting.n
            seconds += cpu_seconds(feeding(fit, rows, setting.block))
            atoms = fit.atoms
            errors.append(distance(atoms, given.planted) if np.isfinite(atoms).all() else math.inf)
        found.append(errors)
        spent.append(1e6 * seconds / first)
    return Outcome(part, setting, tuple(np.median(found, axis=0).tolist()), float(np.median(spent)))


def verdict(outcome: Outcome, beside: Outcome) -> str:
    """Tell whether a part is as near at the first look and the last, and at what cost."""
    error = outcome.errors[-1] / beside.errors[-1]
    cost = outcome.microseconds / beside.microseconds
    if outcome.part == beside.part:
        return "the reference"
    if not error <= WORSE:
        return f"no: {error:.3g} times the error"
    price = "cheaper" if cost < CHEAPER else "dearer" if cost > DEARER else "level"
    near = "nearer" if error < 1 / WORSE else "as near"
    late = outcome.errors[0] / beside.errors[0]
    slow = f"slow, {late:.3g} times the error at first, then " if late > WORSE else ""
    return f"{slow}{near}, {price}: {cost:.2f} of the CPU time"


def main() -> None:
    """Measure and record."""
    began = time.monotonic()
    console = Console(stderr=True)
    rows = []
    for setting in SETTINGS:
        found: dict[str, Outcome] = {}
        for part in PARTS:
            with console.status(f"{part}, {setting}"):
                found[part] = measure(part, setting)
            beside = found[BESIDE.get(part, "as it is: WarmStart")]
            rows.append(
                {
                    "part": part,
                    "n": setting.n,
                    "errors": [rounded(error) for error in found[part].errors],
                    "microseconds": rounded(found[part].microseconds),
                    "beside": beside.part,
                    "verdict": verdict(found[part], beside),
                }
            )
            console.print(rows[-1])
    result = record("other parts in the learner", [], began, checkpoints=CHECKPOINTS, parts=rows)
    console.print(f"recorded in {save('steps', result)}")


if __name__ == "__main__":
    main()
