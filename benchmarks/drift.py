"""The question: how soon is a changed dictionary found again, and is a steady one left alone.

Something happens after 200N rows. ``python -m benchmarks.drift`` writes ``results/drift.json``.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.record import Bar, record, rounded, save, tell, worst
from benchmarks.rivals import SPAMS_ABSENT, Online, Ours, Published, Rival, Spams, With
from oodl.distance import distance
from oodl.learner import Learner
from oodl.synthetic import Planted, Sensors, random_orthogonal

Array = npt.NDArray[np.floating]

FIRST_SEED = 5301
BLOCK = 16
BEFORE, AFTER = 200, 400  # rows / N
LOOK = 4  # rows / N from look to look
DENSITY, SNR_DB = 0.1, 20.0
SPEEDS = (1e-4, 5e-4, 2e-3)  # radians that an atom turns in N rows
SEEDS = {64: 3, 16: 10}
SOON = {64: 180.0, 16: 300.0}


class Source(Protocol):
    """What readings come from."""

    def draw(self, rows: int, rng: np.random.Generator) -> Array:
        """Return readings, shape (rows, N)."""
        ...


Told = tuple[Source, Array]  # where readings come from, and what is planted there
Event = Callable[[Planted, np.random.Generator], Callable[[int], Told]]


def steady(before: Planted, rng: np.random.Generator) -> Callable[[int], Told]:  # noqa: ARG001
    """Nothing happens."""
    return lambda rows: (before, before.dictionary)  # noqa: ARG005


def jump(share: float) -> Event:
    """A share of the atoms, at random, is replaced by others of the same span."""

    def event(before: Planted, rng: np.random.Generator) -> Callable[[int], Told]:
        n = len(before.dictionary)
        chosen = rng.permutation(n)[: round(share * n)]
        D = before.dictionary.copy()
        D[:, chosen] = D[:, chosen] @ random_orthogonal(len(chosen), rng)
        return steady(Planted(D, before.density, before.snr_db), rng)

    return event


def four_atoms(before: Planted, rng: np.random.Generator) -> Callable[[int], Told]:
    """Four atoms are mixed."""
    return jump(4 / len(before.dictionary))(before, rng)


def slow_turn(speed: float) -> Event:
    """All atoms turn steadily, about one axis or other."""

    def event(before: Planted, rng: np.random.Generator) -> Callable[[int], Told]:
        n = len(before.dictionary)
        random = rng.standard_normal((n, n))
        skew = random - random.T
        skew *= math.sqrt(n) / np.linalg.norm(skew)
        turns, axes = np.linalg.eigh(1j * skew)

        def at(rows: int) -> Told:
            turned = (axes * np.exp(-1j * speed * rows / n * turns)) @ axes.conj().T
            D = before.dictionary @ turned.real
            return Planted(D, before.density, before.snr_db), D

        return at

    return event


def louder(before: Planted, rng: np.random.Generator) -> Callable[[int], Told]:
    """Noise of deviation .05 is added to each channel."""
    noise = before.density / 10 ** (before.snr_db / 10) + 0.05**2
    snr_db = 10 * math.log10(before.density / noise)
    return steady(Planted(before.dictionary, before.density, snr_db), rng)


def gain(before: Planted, rng: np.random.Generator) -> Callable[[int], Told]:  # noqa: ARG001
    """Readings become three times as large."""
    n = len(before.dictionary)
    source = Sensors(before, mean=np.zeros(n), gain=np.full(n, 3.0))
    return lambda rows: (source, before.dictionary)  # noqa: ARG005


FOUND_AGAIN: dict[str, Event] = {
    "full jump": jump(1.0),
    "a quarter of the atoms": jump(0.25),
    "4 atoms mixed": four_atoms,
}
LEFT_ALONE: dict[str, Event] = {"steady": steady, "noise +.05": louder, "gain x3": gain}
TURNS: dict[str, Event] = {f"turn of {speed:g} rad / N rows": slow_turn(speed) for speed in SPEEDS}


@dataclass(frozen=True, slots=True)
class FixedMemory:
    """rho of a memory of so many rows, whatever was seen."""

    rows: int

    def __call__(self, t: int, seen: int, rows: int) -> float:  # noqa: ARG002  (it is fixed)
        """Return the weight of `rows`."""
        return 1 - math.exp(-rows / self.rows)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one stream.

    Parameters
    ----------
    old : float
        The error when it happened.
    back_after : int
        Rows / N until the error was at most twice the old one; `AFTER` where it never was.
    late : float
        Median error over the last quarter.
    restarts : int
        Since it happened.
    """

    old: float
    back_after: int
    late: float
    restarts: int


def watch(rival: Rival, n: int, event: Event, seed: int) -> Seen:
    """Run a learner over a stream in which something happens."""
    rng = np.random.default_rng(seed)
    planted = Planted(random_orthogonal(n, rng), DENSITY, SNR_DB)
    fit = rival.start(random_orthogonal(n, np.random.default_rng([seed, 1])))
    for _ in range(0, BEFORE * n, BLOCK):
        fit.partial_fit(planted.draw(BLOCK, rng))
    old, restarted = distance(fit.atoms, planted.dictionary), _restarts(fit)
    told = event(planted, rng)
    later = []
    for rows in range(BLOCK, AFTER * n + 1, BLOCK):
        source, D = told(rows)
        fit.partial_fit(source.draw(BLOCK, rng))
        if rows % (LOOK * n) == 0:
            later.append(distance(fit.atoms, D))
    back = [LOOK * (k + 1) for k, error in enumerate(later) if error <= 2 * old]
    return Seen(
        old,
        back[0] if back else AFTER,
        float(np.median(later[-len(later) // 4 :])),
        _restarts(fit) - restarted,
    )


def _restarts(fit: object) -> int:
    return fit.model.n_restarts_ if isinstance(fit, Online) else 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A learner, an event and what became of the streams."""

    event: str
    rival: str
    n: int
    seen: list[Seen]

    def as_json(self) -> dict[str, Any]:
        """Return it, seed by seed."""
        return {
            "event": self.event,
            "rival": self.rival,
            "n": self.n,
            "old": [rounded(each.old) for each in self.seen],
            "back_after": [each.back_after for each in self.seen],
            "late": [rounded(each.late) for each in self.seen],
            "restarts": [each.restarts for each in self.seen],
        }


def rivals(n: int) -> dict[str, Rival]:
    """Return what the learner is compared with."""
    others: dict[str, Rival] = {
        "published": Published(),
        "l3, memory of all rows": With(Learner()),
        "l3, memory of 20N rows": With(Learner(tracking=FixedMemory(20 * n))),
    }
    if not SPAMS_ABSENT:
        others["SPAMS, lambda .2"] = Spams(0.2)
    return others


def outcome(event: str, name: str, rival: Rival, n: int, seeds: int) -> Outcome:
    """Run a learner on the first seeds."""
    happens = (FOUND_AGAIN | LEFT_ALONE | TURNS)[event]
    seen = [watch(rival, n, happens, seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    return Outcome(event, name, n, seen)


def bars_of(outcomes: Sequence[Outcome]) -> list[Bar]:
    """Return the bars of our learner."""
    bars = []
    for each in outcomes:
        if each.rival != "ours":
            continue
        if each.event in FOUND_AGAIN:
            rows = worst([float(seen.back_after) for seen in each.seen])
            bars.append(Bar(f"{each.event}, N={each.n}: rows / N until back", rows, SOON[each.n]))
        if each.event in LEFT_ALONE:
            restarts = float(sum(seen.restarts for seen in each.seen))
            bars.append(Bar(f"{each.event}, N={each.n}: restarts", restarts, 0))
    return bars


def main() -> None:
    """Measure, tell and record."""
    began = time.monotonic()
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    for n, seeds in SEEDS.items():
        for event in FOUND_AGAIN | LEFT_ALONE | TURNS:
            with console.status(f"ours, N={n}, {event}"):
                outcomes.append(outcome(event, "ours", Ours(), n, seeds))
        for name, rival in rivals(n).items():
            for event in ("full jump", "steady", *TURNS):
                with console.status(f"{name}, N={n}, {event}"):
                    outcomes.append(outcome(event, name, rival, n, 1 if n == 64 else 3))
    bars = bars_of(outcomes)
    result = record(
        "a dictionary that changes",
        bars,
        began,
        skipped=["SPAMS: not installed; make .venv-bench/.ready"] if SPAMS_ABSENT else [],
        after=AFTER,
        outcomes=[each.as_json() for each in outcomes],
    )
    console.print(f"recorded in {save('drift', result)}")
    tell(bars)


if __name__ == "__main__":
    main()
