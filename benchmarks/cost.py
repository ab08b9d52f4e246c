"""The question: what does a row cost, beside libraries that are used today.

CPU time, in rounds that take turns, so that what else the machine does falls on all alike.
``python -m benchmarks.cost [--data FOLDER]`` writes ``results/cost.json``.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.record import Bar, cpu_seconds, record, rounded, save, tell
from benchmarks.recovery import Setting, Stream, stream
from benchmarks.rivals import SPAMS_ABSENT, Fit, Ours, Published, Rival, Sklearn, Spams
from benchmarks.sets import DATA, SETS, Groups
from oodl.distance import orthogonality_defect
from oodl.stream import Block, GroupCoder
from oodl.synthetic import random_orthogonal

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Work = Callable[[], object]

SEED = 5201
ROUNDS = 3
EARLY, LATE = 100, 100  # rows / N
LAMBDA = 0.2
STEPS = 20_000
REAL_ROWS = 8_000
ALONE = 16, 64
SETTLED = 16_000  # readings after which the group's chunks are as long as they get
REAL_BLOCKS = 16, 64
REAL = {  # and of how many of its groups
    "skab": (SETS["skab"], None),
    "beijing": (SETS["beijing_air"], None),
    "smd": (SETS["smd"], 1),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU a row, the median of the rounds."""

    scenario: str
    rival: str
    microseconds: float


def interleaved(works: dict[str, Callable[[], Work]], rows: int, scenario: str) -> list[Cost]:
    """Time works in turns; each is made anew, untimed, before every round."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, make in works.items():
            spent[name].append(cpu_seconds(make()))
    return [
        Cost(scenario, name, 1e6 * float(np.median(seconds)) / rows)
        for name, seconds in spent.items()
    ]


def feeding(fit: Fit, rows: Array, block: int) -> Work:
    """Return the work of learning from rows in blocks."""
    blocks = [rows[first : first + block] for first in range(0, len(rows), block)]

    def work() -> None:
        for each in blocks:
            fit.partial_fit(each)

    return work


def settled(rival: Rival, given: Stream, rows: Array, block: int) -> Fit:
    """Return a fit that starts beside the planted dictionary and has learned from `rows`."""
    fit = rival.start(given.planted)
    feeding(fit, rows, block)()
    return fit


def rivals(*, late: bool) -> dict[str, Rival]:
    """Return what is timed; scikit-learn, the slowest, early only."""
    chosen: dict[str, Rival] = {"ours": Ours(), "published": Published()}
    if not SPAMS_ABSENT:
        chosen["SPAMS"] = Spams(LAMBDA)
    if not late:
        chosen["scikit-learn"] = Sklearn(LAMBDA)
    return chosen


def early(setting: Setting) -> list[Cost]:
    """The first 100N rows from a random start; of scikit-learn's, a tenth."""
    given = stream(setting, SEED)
    rows = given.rows[: EARLY * setting.n]
    scenario = f"early, {setting}"
    chosen = rivals(late=False)
    slow = chosen.pop("scikit-learn")
    few = rows[: max(len(rows) // 10, setting.block)]
    return interleaved(
        {n: _maker(r, given.initial, rows, setting.block) for n, r in chosen.items()},
        len(rows),
        scenario,
    ) + interleaved(
        {"scikit-learn": _maker(slow, given.initial, few, setting.block)}, len(few), scenario
    )


def late(setting: Setting) -> list[Cost]:
    """100N rows beside the planted dictionary, after 200N others."""
    given = stream(setting, SEED)
    known, rows = np.split(given.rows, [(setting.rows - LATE) * setting.n])

    def maker(rival: Rival) -> Callable[[], Work]:
        return lambda: feeding(settled(rival, given, known, setting.block), rows, setting.block)

    works = {name: maker(rival) for name, rival in rivals(late=True).items()}
    return interleaved(works, len(rows), f"late, {setting}")


def one_reading_at_a_time(n: int) -> list[Cost]:
    """`GroupCoder` with a settled dictionary, and what coding needs at the least: a product."""
    count = 2000
    given = stream(Setting(n, 0.1, 256, rows=(SETTLED + count) // n), SEED)
    channels = tuple(map(str, range(n)))
    coder = GroupCoder()
    values: Floats = given.rows.astype(np.float64)
    known = len(values) - count
    offsets = np.arange(len(values))

    def block(first: int, last: int) -> Block:
        part = offsets[first:last]
        return Block(channels, True, values[first:last], part.astype(np.float64), part)  # noqa: FBT003

    start = coder.start()
    for first in range(0, known, 256):
        start, _ = coder.step(start, block(first, min(first + 256, known)))
    singles = [block(first, first + 1) for first in range(known, len(values))]
    transposed = given.planted.T.astype(np.float32)
    readings = list(given.rows[known:].astype(np.float32))

    def code() -> None:
        state = start
        for single in singles:
            state, _ = coder.step(state, single)

    def multiply() -> None:
        for y in readings:
            transposed @ y

    works: dict[str, Callable[[], Work]] = {"GroupCoder": lambda: code, "D.T @ y": lambda: multiply}
    return interleaved(works, count, f"one reading at a time, N={n}")


def real(folder: Path, skipped: list[str]) -> list[Cost]:
    """Standardised real readings as they come, in blocks."""
    costs = []
    for name, (source, most) in REAL.items():
        if not (folder / source.file).exists():
            skipped.append(f"{name}: {source.file} not found; --data names the folder")
            continue
        rows = _standardised(_rows(source.read(folder / source.file), most))[:REAL_ROWS]
        initial = random_orthogonal(rows.shape[1], np.random.default_rng([SEED, 1]))
        chosen = rivals(late=True)
        for block in REAL_BLOCKS:
            works = {n: _maker(r, initial, rows, block) for n, r in chosen.items()}
            costs += interleaved(works, len(rows), f"real, {name} B={block}")
    return costs


def defect(n: int) -> float:
    """Return how far from orthogonal the float32 dictionary is after 20,000 steps."""
    rng = np.random.default_rng(SEED)
    fit = Ours().start(random_orthogonal(n, rng))
    setting = Setting(n, 0.1, 2 * n, rows=2 * n)
    rows = stream(setting, SEED).rows
    given = 0
    while given < STEPS * 2 * n:  # a chunk has 2N rows at most
        fit.partial_fit(rows)
        given += len(rows)
    return orthogonality_defect(fit.atoms)


def bars_of(costs: Sequence[Cost], defects: dict[int, float]) -> list[Bar]:
    """Return ratios of what was timed in turns; an absent rival's are not measured."""
    found = {(cost.scenario, cost.rival): cost.microseconds for cost in costs}

    def ratio(scenario: str, ours: str, rival: str) -> float | None:
        other = found.get((scenario, rival))
        return None if other is None else found[scenario, ours] / other

    bars = []
    for block in (16, 256):
        setting = Setting(64, 0.1, block)
        for when, limit in (("late", 0.5), ("early", 0.3)):
            scenario = f"{when}, {setting}"
            bars.append(Bar(f"{scenario}: ours / SPAMS", ratio(scenario, "ours", "SPAMS"), limit))
        scenario = f"early, {setting}"
        bars.append(
            Bar(f"{scenario}: ours / scikit-learn", ratio(scenario, "ours", "scikit-learn"), 1 / 30)
        )
    for scenario in (f"real, {name} B={block}" for name in REAL for block in REAL_BLOCKS):
        measured = ratio(scenario, "ours", "SPAMS") if (scenario, "ours") in found else None
        bars.append(Bar(f"{scenario}: ours / SPAMS", measured, 1))
    for scenario in (f"one reading at a time, N={n}" for n in ALONE):
        measured = ratio(scenario, "GroupCoder", "D.T @ y")
        bars.append(Bar(f"{scenario}: GroupCoder / D.T @ y", measured, 20))
    bars.append(Bar("orthogonality defect after 20,000 steps, N=64", defects.get(64), 1e-5))
    return bars


def _maker(rival: Rival, initial: Array, rows: Array, block: int) -> Callable[[], Work]:
    return lambda: feeding(rival.start(initial), rows, block)


def _rows(groups: Groups, most: int | None) -> Floats:
    """Return the complete rows of so many groups, one group after the other."""
    values = np.vstack(list(groups.values())[:most])
    complete: Floats = values[np.isfinite(values).all(axis=1)]
    return complete


def _standardised(values: Array) -> Array:
    scales = values.std(axis=0)
    scaled: Array = (values - values.mean(axis=0)) / np.where(scales > 0, scales, 1)
    clipped: Array = np.clip(scaled, -20, 20)
    return clipped


def main() -> None:
    """Measure, tell and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real sets")
    folder = parser.parse_args().data
    began = time.monotonic()
    console = Console(stderr=True)
    skipped = ["SPAMS: not installed; make .venv-bench/.ready"] if SPAMS_ABSENT else []
    costs: list[Cost] = []
    for n in ALONE:
        for block in (16, 256):
            setting = Setting(n, 0.1, block)
            with console.status(str(setting)):
                costs += early(setting) + late(setting)
        with console.status(f"one reading at a time, N={n}"):
            costs += one_reading_at_a_time(n)
    with console.status("real data"):
        costs += real(folder, skipped)
    with console.status("orthogonality"):
        defects = {64: defect(64)}
    bars = bars_of(costs, defects)
    result = record(
        "CPU a row",
        bars,
        began,
        rounds=ROUNDS,
        skipped=skipped,
        microseconds=[
            {"scenario": c.scenario, "rival": c.rival, "median": rounded(c.microseconds)}
            for c in costs
        ],
        defects={str(n): rounded(value) for n, value in defects.items()},
    )
    console.print(f"recorded in {save('cost', result)}")
    tell(bars)


if __name__ == "__main__":
    main()
