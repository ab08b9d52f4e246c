"""The question: after how many rows is a planted dictionary found, and how near do rivals come.

``python -m benchmarks.recovery`` writes ``results/recovery.json``; with ``--quick --json`` it
prints one JSON object in less than a minute: fewer streams, one setting of each rival.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from benchmarks.record import Bar, record, rounded, save, tell, worst
from benchmarks.rivals import (
    ALPHAS,
    LAMBDAS,
    SPAMS_ABSENT,
    Ours,
    Published,
    Rival,
    library_grid,
    offline_optimum,
)
from oodl.distance import distance
from oodl.synthetic import Planted, random_orthogonal

Array = npt.NDArray[np.floating]
Errors = dict[int, float]  # by rows / N

FIRST_SEED = 5001  # streams that nothing was tuned on
CHECKPOINTS = (10, 30, 100, 300)  # rows / N
SPIKED = 200
LOUD = (10.0, 100.0)  # deviations of a channel
SPIKES = 0.01  # share of the rows


@dataclass(frozen=True, slots=True)
class Setting:
    """A planted dictionary and how its readings arrive."""

    n: int
    density: float
    block: int
    snr_db: float = 20.0
    rows: int = CHECKPOINTS[-1]

    def __str__(self) -> str:
        return f"N={self.n} density={self.density:g} B={self.block}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seeds: int
    small_seeds: int
    rival_seeds: int
    alphas: tuple[float, ...]
    lambdas: tuple[float, ...]
    loud: tuple[float, ...]


FULL = Plan(5, 10, 1, ALPHAS, LAMBDAS, LOUD)
QUICK = Plan(1, 2, 1, (0.4,), (0.2,), LOUD[:1])
COMPARED = (Setting(64, 0.1, 16), Setting(64, 0.1, 256))
MAIN = (Setting(64, 0.1, 1), *COMPARED)
DENSE = Setting(64, 0.3, 256)
SMALL = tuple(Setting(16, density, 16) for density in (0.05, 0.1, 0.3))


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Readings, what was planted in them, and the random dictionary that all start from."""

    rows: Array
    planted: Array
    initial: Array


def stream(setting: Setting, seed: int) -> Stream:
    """Draw a stream; the start is drawn apart from what is planted."""
    rng = np.random.default_rng(seed)
    planted = Planted(random_orthogonal(setting.n, rng), setting.density, setting.snr_db)
    rows = planted.draw(setting.rows * setting.n, rng)
    initial = random_orthogonal(setting.n, np.random.default_rng([seed, 1]))
    return Stream(rows, planted.dictionary, initial)


def spiked(clean: Stream, *, whole_rows: bool, loud: float, seed: int) -> Stream:
    """Return the stream with spikes of `loud` channel deviations in one row of a hundred."""
    rng = np.random.default_rng([seed, 2])
    rows, deviation = clean.rows.copy(), float(clean.rows.std())
    struck = np.flatnonzero(rng.random(len(rows)) < SPIKES)
    if whole_rows:
        rows[struck] += loud * deviation * rng.standard_normal((len(struck), rows.shape[1]))
    else:
        channels = rng.integers(rows.shape[1], size=len(struck))
        rows[struck, channels] += loud * deviation * rng.choice([-1.0, 1.0], len(struck))
    return replace(clean, rows=rows)


def errors(rival: Rival, given: Stream, block: int, checkpoints: Sequence[int]) -> Errors:
    """Return the error after so many rows / N, fed in blocks; a checkpoint ends a block."""
    n = len(given.planted)
    fit = rival.start(given.initial)
    found: Errors = {}
    begin = 0
    for checkpoint in checkpoints:
        for first in range(begin, checkpoint * n, block):
            fit.partial_fit(given.rows[first : min(first + block, checkpoint * n)])
        begin = checkpoint * n
        found[checkpoint] = distance(fit.atoms, given.planted)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A rival on the streams of a setting, errors seed by seed."""

    scenario: str
    rival: str
    setting: Setting
    errors: list[Errors]

    def at(self, checkpoint: int) -> list[float]:
        """Return the errors there, seed by seed."""
        return [found[checkpoint] for found in self.errors]

    def as_json(self) -> dict[str, Any]:
        """Return the run with three digits an error."""
        found = [{str(k): rounded(v) for k, v in one.items()} for one in self.errors]
        setting = {
            key: "infinity" if value == math.inf else value
            for key, value in asdict(self.setting).items()
        }
        return {"scenario": self.scenario, "rival": self.rival, "setting": setting} | {
            "errors": found
        }


Tick = Callable[[str], None]


def run(scenario: str, rival: Rival, setting: Setting, seeds: int) -> Run:
    """Run a rival on the first seeds."""
    found = [
        errors(rival, stream(setting, seed), setting.block, CHECKPOINTS)
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
    ]
    return Run(scenario, repr(rival), setting, found)


def run_offline(setting: Setting, seeds: int) -> Run:
    """Run the offline optimum on all rows of a stream."""
    noise = setting.density / 10 ** (setting.snr_db / 10)
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        given = stream(setting, seed)
        D = offline_optimum(given.rows, setting.density, noise, given.initial)
        found.append({setting.rows: distance(D, given.planted)})
    return Run("offline", "offline optimum", setting, found)


def measure_ours(plan: Plan, tick: Tick) -> tuple[list[Run], list[Bar]]:
    """Run the learner on planted streams with noise."""
    runs, bars = [], []
    for setting in (*MAIN, DENSE):
        tick(f"ours, {setting}")
        runs.append(run("planted", Ours(), setting, plan.seeds))
    for setting in SMALL:
        tick(f"ours, {setting}")
        runs.append(run("planted", Ours(), setting, plan.small_seeds))
    main, dense, small = runs[: len(MAIN)], runs[len(MAIN)], runs[len(MAIN) + 1 :]
    for each in main:
        bars.append(Bar(f"error at 100N, {each.setting}", worst(each.at(100)), 5e-4))
        bars.append(Bar(f"error at 300N, {each.setting}", worst(each.at(300)), 1e-4))
    for checkpoint in (100, 300):
        cuts = np.array([each.at(checkpoint) for each in main])
        ratio = worst((cuts.max(axis=0) / cuts.min(axis=0)).tolist())
        bars.append(Bar(f"largest / smallest error over B at {checkpoint}N, N=64", ratio, 2))
    bars.append(Bar(f"error at 300N, {dense.setting}", worst(dense.at(300)), 3e-4))
    bars += [Bar(f"error at 300N, {each.setting}", worst(each.at(300)), 1.5e-4) for each in small]
    return runs, bars


def measure_noise_free(plan: Plan, tick: Tick) -> tuple[list[Run], list[Bar]]:
    """Run the learner without noise: what remains is rounding."""
    runs, bars = [], []
    for dtype, bar in (("float64", 1e-9), ("float32", 2e-6)):
        tick(f"noise-free, {dtype}")
        setting = replace(COMPARED[0], snr_db=math.inf)
        runs.append(run("noise-free", Ours(dtype), setting, min(plan.seeds, 3)))
        bars.append(Bar(f"noise-free {dtype} at 300N, {setting}", worst(runs[-1].at(300)), bar))
    return runs, bars


def measure_spikes(plan: Plan, tick: Tick) -> tuple[list[Run], list[Bar]]:
    """Run the learner where one row in a hundred is struck."""
    runs, bars = [], []
    for setting in (Setting(64, 0.1, 16, rows=SPIKED), Setting(16, 0.1, 16, rows=SPIKED)):
        for where in ("whole row", "one channel"):
            for loud in plan.loud:
                name = f"spikes of {loud:g} deviations, {where}"
                tick(f"{name}, {setting}")
                found = []
                for seed in range(FIRST_SEED, FIRST_SEED + plan.seeds):
                    clean = stream(setting, seed)
                    struck = spiked(clean, whole_rows=where == "whole row", loud=loud, seed=seed)
                    found.append(errors(Ours(), struck, setting.block, (SPIKED,)))
                runs.append(Run(name, repr(Ours()), setting, found))
                bars.append(Bar(f"{name}, at 200N, {setting}", worst(runs[-1].at(SPIKED)), 2e-4))
    return runs, bars


def measure_offline(ours: list[Run], seeds: int, tick: Tick) -> tuple[list[Run], list[Bar]]:
    """Compare with all rows at once, seed by seed."""
    runs, bars = [], []
    for setting, bar in ((COMPARED[1], 1.5), (DENSE, 2.0)):
        tick(f"offline, {setting}")
        offline = run_offline(setting, seeds)
        online = next(each for each in ours if each.setting == setting)
        pairs = zip(online.at(setting.rows), offline.at(setting.rows), strict=False)
        ratio = worst([ours_error / least for ours_error, least in pairs])
        runs.append(offline)
        bars.append(Bar(f"error / offline optimum at 300N, {setting}", ratio, bar))
    return runs, bars


def measure_libraries(
    ours: list[Run], plan: Plan, settings: Sequence[Setting], tick: Tick
) -> tuple[list[Run], list[Bar]]:
    """Compare with the online libraries, each at its best setting of the grid."""
    runs, bars = [], []
    for setting in settings:
        here = []
        for name, grid in library_grid(plan.alphas, plan.lambdas).items():
            for rival in grid:
                tick(f"{rival!r}, {setting}")
                here.append(run(name, rival, setting, plan.rival_seeds))
        runs += here
        if setting in COMPARED:
            online = next(each for each in ours if each.setting == setting)
            least = min(float(np.median(each.at(300))) for each in here)
            ratio = worst(online.at(300)) / least
            names = " and ".join(dict.fromkeys(each.scenario for each in here))
            bars.append(Bar(f"error / best of {names} at 300N, {setting}", ratio, 0.1))
    return runs, bars


def measure_published(plan: Plan, settings: Sequence[Setting], tick: Tick) -> list[Run]:
    """Run the paper's scheme."""
    runs = []
    for setting in settings:
        tick(f"published, {setting}")
        runs.append(run("published", Published(), setting, plan.rival_seeds))
    return runs


Stage = tuple[str, Callable[[list[Run]], tuple[list[Run], list[Bar]]]]


def stages(plan: Plan, tick: Tick) -> list[Stage]:
    """Return what is measured, in order; a stage is given the runs of those before it."""
    first: list[Stage] = [
        ("planted", lambda _: measure_ours(plan, tick)),
        ("noise-free", lambda _: measure_noise_free(plan, tick)),
        ("spikes", lambda _: measure_spikes(plan, tick)),
        ("offline optimum", lambda runs: measure_offline(runs, plan.rival_seeds, tick)),
    ]
    if plan is QUICK:
        return [
            *first,
            ("libraries", lambda runs: measure_libraries(runs, plan, COMPARED[1:], tick)),
        ]
    dense = replace(plan, rival_seeds=1, alphas=(0.2,))
    return [
        *first,
        ("published", lambda _: (measure_published(plan, (*COMPARED, DENSE), tick), [])),
        ("libraries", lambda runs: measure_libraries(runs, plan, COMPARED, tick)),
        ("libraries, density .3", lambda runs: measure_libraries(runs, dense, [DENSE], tick)),
    ]


def skipped(plan: Plan) -> list[str]:
    """Tell what is left out, and why."""
    left = ["scikit-learn beside density .3: all alphas but .2"]
    if plan is QUICK:
        left = [
            "the rivals' grids: quick, one setting each, the best one of the recorded run",
            "libraries at B=16 and beside density .3, the published scheme: quick",
        ]
    if SPAMS_ABSENT:
        left.append("SPAMS: not installed; make .venv-bench/.ready")
    return left


def measure(plan: Plan, tick: Tick, *, keep: bool) -> dict[str, Any]:
    """Measure stage by stage; what is kept on disk names the stages that are still to come."""
    began = time.monotonic()
    runs: list[Run] = []
    bars: list[Bar] = []
    to_come = stages(plan, tick)
    result: dict[str, Any] = {}
    while to_come:
        _, work = to_come.pop(0)
        more, their_bars = work(runs)
        runs += more
        bars += their_bars
        result = record(
            "recovery of a planted dictionary",
            bars,
            began,
            first_seed=FIRST_SEED,
            skipped=skipped(plan) + [f"{name}: not finished" for name, _ in to_come],
            runs=[each.as_json() for each in runs],
        )
        if keep:
            save("recovery", result)
    return result


def main() -> None:
    """Measure, tell, and record unless quick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, not recorded")
    parser.add_argument("--json", action="store_true", help="print the record, one line")
    chosen = parser.parse_args()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def tick(doing: str) -> None:
            progress.update(task, description=doing)

        result = measure(QUICK if chosen.quick else FULL, tick, keep=not chosen.quick)
    if chosen.json:
        print(json.dumps(result))
        return
    tell([Bar(bar["name"], bar["measured"], bar["bar"]) for bar in result["bars"]])


if __name__ == "__main__":
    main()
