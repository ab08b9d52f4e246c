"""The question: what do the paper's own experiments show, and how fast does its gap fall.

No noise, 3000 calls of B rows. ``python -m benchmarks.experiments`` writes
``results/experiments.json``.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.record import record, rounded, save
from benchmarks.rivals import Ours, Published, Rival
from oodl.contrast import L3
from oodl.distance import distance
from oodl.synthetic import Planted, random_orthogonal

Array = npt.NDArray[np.floating]

FIRST_SEED = 5101
CALLS = (10, 18, 32, 56, 100, 178, 316, 562, 1000, 1778, 3000)
FITTED_FROM = 100  # calls; before it the claimed rate rises
HELD_OUT = 50_000  # rows that stand for the expectation


@dataclass(frozen=True, slots=True)
class Experiment:
    """A setting of the paper, and how often it is drawn here."""

    n: int
    density: float
    block: int
    trials: int


EXPERIMENTS = (
    Experiment(10, 0.3, 1, 10),
    Experiment(10, 0.3, 10, 10),
    Experiment(50, 0.3, 10, 2),
    Experiment(10, 0.5, 10, 10),
)


def claimed(t: float) -> float:
    """The paper's rate, up to a factor: ``ln t / t ** (1/4)``."""
    return math.log(t) / math.pow(t, 0.25)


def relative_gap(D: Array, Y: Array) -> float:
    """Return the Frank-Wolfe gap of the l3 contrast in units of what its oracle can reach.

    ``max <G, S - D>`` over the spectral-norm ball is ``||G||_* - <G, D>``.
    """
    D = D.astype(np.float64)
    G = Y.T @ L3().gradient(Y @ D)
    reach = float(np.linalg.svd(G, compute_uv=False).sum())
    return 1 - float((G * D).sum()) / reach


def slope(values: Callable[[float], float]) -> float:
    """Return the exponent of the power of t that fits best from call 100 on."""
    calls = [t for t in CALLS if t >= FITTED_FROM]
    found = np.polyfit(np.log(calls), np.log([values(t) for t in calls]), 1)
    return float(found[0])


def trial(rival: Rival, experiment: Experiment, seed: int) -> tuple[list[float], list[float]]:
    """Return errors and relative gaps at `CALLS`."""
    rng = np.random.default_rng(seed)
    planted = Planted(random_orthogonal(experiment.n, rng), experiment.density)
    held_out = planted.draw(HELD_OUT, rng)
    fit = rival.start(random_orthogonal(experiment.n, np.random.default_rng([seed, 1])))
    errors, gaps = [], []
    for call in range(1, CALLS[-1] + 1):
        fit.partial_fit(planted.draw(experiment.block, rng))
        if call in CALLS:
            errors.append(distance(fit.atoms, planted.dictionary))
            gaps.append(relative_gap(fit.atoms, held_out))
    return errors, gaps


def measure(experiment: Experiment, rival: Rival) -> dict[str, object]:
    """Return mean curves over the trials, and the slope of the gap's."""
    seeds = range(FIRST_SEED, FIRST_SEED + experiment.trials)
    trials = np.array([trial(rival, experiment, seed) for seed in seeds])
    errors, gaps = trials.mean(axis=0)
    curve = dict(zip(CALLS, gaps.tolist(), strict=True))
    return {
        "n": experiment.n,
        "density": experiment.density,
        "block": experiment.block,
        "trials": experiment.trials,
        "rival": repr(rival),
        "errors": [rounded(value) for value in errors.tolist()],
        "median_errors": [rounded(value) for value in np.median(trials[:, 0], axis=0).tolist()],
        "gaps": [rounded(value) for value in gaps.tolist()],
        "gap_slope": round(slope(lambda t: curve[int(t)]), 2),
    }


def main() -> None:
    """Measure and record."""
    began = time.monotonic()
    console = Console(stderr=True)
    curves = []
    for experiment in EXPERIMENTS:
        for rival in (Published(), Ours("float64")):
            with console.status(f"{rival!r}, {experiment}"):
                curves.append(measure(experiment, rival))
            console.print(curves[-1])
    result = record(
        "the paper's own experiments",
        [],
        began,
        calls=CALLS,
        claimed_slope=round(slope(claimed), 2),
        curves=curves,
    )
    console.print(f"recorded in {save('experiments', result)}")


if __name__ == "__main__":
    main()
