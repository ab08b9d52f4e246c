"""The question: which oracle is the cheapest that is right on the matrices the learner asks about.

``python -m benchmarks.oracles`` writes ``results/oracles.json``.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cyclopts
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from benchmarks.polar import Adapted, Eigh, Express, NewtonSchulz
from benchmarks.record import cpu_seconds, record, rounded, save
from benchmarks.recovery import Setting, stream
from oodl.adaptive import Adaptive
from oodl.oracle import Oracle, PolarExpress, Svd, WarmStart

Array = npt.NDArray[np.floating]

SEED = 1000
UNTIL = 100  # rows / N
MATRICES = 40  # of a phase, evenly spread
ROUNDS = 7
RIDGES = (0.1, 1e-3)
NOISE = 1.2  # ratio of CPU times that is level: one pair gave .96 to 1.13 from run to run
RIGHT = 1e-4  # share of <G, S> that an answer may miss, and its distance from orthogonal
ORACLES: dict[str, Oracle] = {
    "Svd": Svd(),
    "eigh": Eigh(),
    "PolarExpress, checked": PolarExpress(),
    "Polar Express, 8 steps": Express(),
    "WarmStart, one turn": WarmStart(enough=0.1),
    "WarmStart, one turn, else Svd": WarmStart(exact=Svd(), enough=0.1),
    "Newton-Schulz, 8 steps": NewtonSchulz(),
    "adapted to the dimension (ROOT)": Adapted(),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An oracle on the matrices of a phase; each figure is the worst, but for the cost.

    Parameters
    ----------
    cost : float
        CPU time over that of `Svd`, the median of the rounds.
    distance : float
        ``||S - S*||_F / sqrt(N)`` from the exact factor.
    missed : float
        ``1 - <G, S> / <G, S*>``, in magnitude.
    defect : float
        ``||S.T S - I||_F``.
    """

    oracle: str
    cost: float
    distance: float
    missed: float
    defect: float

    @property
    def right(self) -> bool:
        """Whether every answer is orthogonal, and reaches what there is to reach."""
        return self.missed <= RIGHT and self.defect <= RIGHT


def met(n: int, ridge: float) -> dict[str, list[Array]]:
    """Return what the default learner asks its oracle, by phase."""
    given = stream(Setting(n, 0.1, 16, rows=UNTIL), SEED)
    phases: dict[str, list[Array]] = {"search": [], "sharp": []}
    asked: list[Array] = []

    def noting(G: Array) -> Array:
        asked.append(G.copy())
        return Svd()(G)

    learner = Adaptive(oracle=noting, ridge=ridge)
    state = learner.start(n, initial=given.initial)
    first = 0
    while size := learner.chunks(n, state.seen, len(given.rows) - first):
        phase = "search" if state.search else "sharp"
        state = learner.step(state, given.rows[first : first + size])
        phases[phase] += asked
        asked.clear()
        first += size
    return phases


def answers(matrices: Sequence[Array]) -> list[Answer]:
    """Ask every oracle, in turns."""
    spent: dict[str, list[float]] = {name: [] for name in ORACLES}
    for _ in range(ROUNDS):
        for name, oracle in ORACLES.items():
            spent[name].append(cpu_seconds(lambda asked=oracle: [asked(G) for G in matrices]))  # type: ignore[misc]
    base = float(np.median(spent["Svd"]))
    exact = [Svd()(G.astype(np.float64)) for G in matrices]
    return [
        _judged(name, float(np.median(spent[name])) / base, matrices, exact) for name in ORACLES
    ]


def _judged(name: str, cost: float, matrices: Sequence[Array], exact: Sequence[Array]) -> Answer:
    n = len(exact[0])
    told = [ORACLES[name](G).astype(np.float64) for G in matrices]
    pairs = list(zip(told, exact, matrices, strict=True))
    return Answer(
        name,
        cost,
        max(float(np.linalg.norm(S - best)) / n**0.5 for S, best, _ in pairs),
        max(abs(1 - float(np.vdot(S, G) / np.vdot(best, G))) for S, best, G in pairs),
        max(float(np.linalg.norm(S.T @ S - np.eye(n))) for S in told),
    )


def cheapest_right(found: Sequence[Answer]) -> list[str]:
    """Return the cheapest oracle that is right, and all that cost the same within the noise."""
    right = sorted((each for each in found if each.right), key=lambda each: each.cost)
    return [each.oracle for each in right if each.cost <= NOISE * right[0].cost]


def spread(matrices: Sequence[Array]) -> list[Array]:
    """Return at most `MATRICES` of them, evenly spread."""
    places = np.unique(np.linspace(0, len(matrices) - 1, MATRICES).astype(int))
    return [matrices[place] for place in places]


def measure(n: int, ridge: float) -> list[dict[str, Any]]:
    """Return a table's rows for each phase that was met."""
    rows = []
    for phase, asked in met(n, ridge).items():
        if not asked:
            continue
        chosen = spread(asked)
        conditions = [float(np.linalg.cond(G.astype(np.float64))) for G in chosen]
        found = answers(chosen)
        rows.append(
            {
                "n": n,
                "ridge": ridge,
                "phase": phase,
                "condition": [rounded(float(np.median(conditions))), rounded(max(conditions))],
                "cheapest right": cheapest_right(found),
                "answers": [
                    {
                        key: rounded(value) if isinstance(value, float) else value
                        for key, value in asdict(each).items()
                    }
                    | {"right": each.right}
                    for each in found
                ],
            }
        )
    return rows


def main(sizes: tuple[int, ...] = (16, 64, 128)) -> None:
    """Measure, tell and record.

    Parameters
    ----------
    sizes
        Numbers in a row.
    """
    began = time.monotonic()
    console = Console(stderr=True)
    plan = [(n, ridge) for n in sizes for ridge in RIDGES]
    rows = [row for n, ridge in track(plan, console=console) for row in measure(n, ridge)]
    result = record("the oracles, on the matrices met", [], began, seed=SEED, tables=rows)
    console.print(f"recorded in {save('oracles', result)}")
    for row in rows:
        level = "; ".join(row["cheapest right"])
        print(f"N={row['n']} ridge={row['ridge']} {row['phase']}: {level}")


if __name__ == "__main__":
    cyclopts.run(main)
