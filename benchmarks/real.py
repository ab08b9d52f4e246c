"""The question: how much of real readings do a few atoms leave, beside online PCA and libraries.

Every row is coded with what was learned from the rows before it: a block is coded, then learned
from. Kept are 5, 10 or 25 % of the coefficients, at least one: the largest, or what orthogonal
matching pursuit takes where atoms are not orthogonal. ``python -m benchmarks.real [--data FOLDER]``
writes ``results/real.json``.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.record import Bar, record, rounded, save, tell
from benchmarks.rivals import SPAMS_ABSENT, Fit, Ours, Published, Rival, Sklearn, Spams, With
from benchmarks.sets import DATA, SETS
from oodl.learner import Learner, chunk_size
from oodl.scaling import Scaling, standardise
from oodl.schedule import RowMemory

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Coding = Callable[[Array, Array, int], Floats]
Errors = dict[str, Floats]  # of each group, by share

SHARES = (0.05, 0.10, 0.25)
WIDTH = 120  # characters of the tables
FARTHEST = 20.0  # deviations: farther values are cut off, as the pipeline does
ALPHAS = (0.3, 1.0)  # scikit-learn's; smaller ones leave more, and take longer
LAMBDAS = (0.1, 0.3, 1.0)
FEW = 1  # groups of a set that scikit-learn is run on: milliseconds a row
BARS = {  # ratio to online PCA with its largest coefficients, by share
    "beijing_air": {0.05: 0.88},
    "smd": {0.05: 0.88},
    "asd": {0.05: 0.95},
    "skab": {0.05: 1.0, 0.25: 1.0},
}
TO_BEAT, DEFAULT = "PCA, largest", "oodl, default"


def kept(n: int, share: float) -> int:
    """Return how many of n atoms are kept.

    Examples
    --------
    >>> [kept(38, share) for share in SHARES], kept(8, 0.05)
    ([2, 4, 10], 1)
    """
    return max(1, round(share * n))


def largest(Y: Array, atoms: Array, most: int) -> Floats:
    """Return what the 1 to `most` largest of orthogonal coefficients leave of each row, squared.

    Examples
    --------
    >>> largest(np.array([[3.0, 1.0, -2.0]]), np.eye(3), 2)
    array([[5., 1.]])
    """
    squares = ((Y @ atoms) ** 2).astype(np.float64)
    return _left(-np.sort(-squares, axis=1), most)


def leading(Y: Array, atoms: Array, most: int) -> Floats:
    """Return what the first 1 to `most` orthogonal atoms leave of each row, squared.

    Examples
    --------
    >>> leading(np.array([[3.0, 1.0, -2.0]]), np.eye(3), 2)
    array([[5., 4.]])
    """
    return _left(((Y @ atoms) ** 2).astype(np.float64), most)


def pursued(Y: Array, atoms: Array, most: int) -> Floats:
    """Return what 1 to `most` atoms of orthogonal matching pursuit leave of each row, squared.

    The atom that fits the rest best is taken, then all taken are fitted anew.

    Examples
    --------
    >>> oblique = np.array([[1.0, 0.6], [0.0, 0.8]])
    >>> pursued(np.array([[0.6, 0.8], [1.0, 1.0]]), oblique, 2).round(9) + 0.0
    array([[0.  , 0.  ],
           [0.04, 0.  ]])
    """
    Y, atoms = Y.astype(np.float64), atoms.astype(np.float64)
    gram, fits = atoms.T @ atoms, Y @ atoms
    energy, rest = (Y * Y).sum(axis=1), fits.copy()
    rows = np.arange(len(Y))[:, None]
    taken = np.empty((len(Y), 0), int)
    left = np.empty((len(Y), most))
    for k in range(most):
        taken = np.hstack([taken, np.abs(rest).argmax(axis=1)[:, None]])
        among = gram[taken[:, :, None], taken[:, None, :]] + 1e-12 * np.eye(k + 1)
        weights = np.linalg.solve(among, fits[rows, taken][:, :, None])[:, :, 0]
        rest = fits - np.einsum("bk,bkn->bn", weights, gram[taken])
        rest[rows, taken] = 0
        left[:, k] = energy - (weights * fits[rows, taken]).sum(axis=1)
    return np.maximum(left, 0)


def _left(squares: Floats, most: int) -> Floats:
    left: Floats = squares.sum(axis=1)[:, None] - np.cumsum(squares, axis=1)[:, :most]
    return left


@dataclass(frozen=True, slots=True)
class Pca:
    """Eigenvectors of the running covariance, refreshed with every block.

    Parameters
    ----------
    memory : float
        Exponent of `RowMemory`: 1 weighs all rows alike.
    """

    memory: float = 1.0

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return _PcaFit(RowMemory(self.memory), np.zeros(initial.shape), initial)


@dataclass(slots=True)
class _PcaFit:
    memory: RowMemory
    covariance: Floats
    atoms: Array
    seen: int = 0

    def partial_fit(self, Y: Array) -> object:
        rho = self.memory(0, self.seen, len(Y))
        fresh = Y.T.astype(np.float64) @ Y / len(Y)
        self.covariance = (1 - rho) * self.covariance + rho * fresh
        self.atoms = np.linalg.eigh(self.covariance).eigenvectors[:, ::-1].astype(Y.dtype)
        self.seen += len(Y)
        return self


@dataclass(frozen=True, slots=True)
class Entry:
    """A rival, its settings where it has some, how its atoms code, and on how many groups."""

    settings: tuple[Rival, ...]
    coding: Coding = field(default=largest)
    groups: int | None = None


def entries() -> dict[str, Entry]:
    """Return all that is compared; SPAMS only where it is installed."""
    found = {
        "PCA, first": Entry((Pca(),), leading),
        TO_BEAT: Entry((Pca(),)),
        "PCA, largest, memory 14": Entry((Pca(14),)),
        "published": Entry((Published(),)),
        "scikit-learn": Entry(tuple(Sklearn(alpha) for alpha in ALPHAS), pursued, FEW),
        "SPAMS": Entry(tuple(Spams(value) for value in LAMBDAS), pursued),
        "oodl, l3 alone": Entry((With(Learner()),)),
        DEFAULT: Entry((Ours(),)),
    }
    if SPAMS_ABSENT:
        del found["SPAMS"]
    return found


def blocks(rows: int, n: int) -> list[slice]:
    """Return how rows of n numbers are cut: as the learner cuts them."""
    cut, first = [], 0
    while first < rows:
        last = min(rows, first + chunk_size(n, first))
        cut.append(slice(first, last))
        first = last
    return cut


def standardised(Y: Floats) -> Array:
    """Return rows in deviations of the past, as the pipeline learns from them; 0 where missing."""
    scaling = Scaling.start(Y.shape[1])
    U = np.empty(Y.shape, np.float32)
    for block in blocks(*Y.shape):
        past = scaling if scaling.seen.any() else scaling.update(Y[block])
        deviations = np.nan_to_num(standardise(Y[block], past.mean, past.scale))
        U[block] = np.clip(deviations, -FARTHEST, FARTHEST)
        scaling = scaling.update(Y[block])
    return U


def prequential(rival: Rival, coding: Coding, U: Array) -> Floats:
    """Return the RMS left over that of the rows, by share: code a block, then learn from it."""
    n = U.shape[1]
    counts = [kept(n, share) for share in SHARES]
    atoms: Array = np.eye(n, dtype=U.dtype)
    fit = rival.start(atoms)
    left = np.zeros(len(counts))
    for block in blocks(*U.shape):
        after = coding(U[block], atoms, counts[-1])
        left += [after[:, count - 1].sum() for count in counts]
        fit.partial_fit(U[block])
        atoms = fit.atoms
    errors: Floats = np.sqrt(left / (U.astype(np.float64) ** 2).sum())
    return errors


def measure(entry: Entry, groups: Mapping[str, Array]) -> tuple[str, Errors]:
    """Return the setting that left least of the set at the smallest share, and its errors."""
    chosen = dict(islice(groups.items(), entry.groups))
    found = {
        repr(rival): {name: prequential(rival, entry.coding, U) for name, U in chosen.items()}
        for rival in entry.settings
    }
    return min(found.items(), key=lambda item: sum(errors[0] for errors in item[1].values()))


def ratio(ours: Errors, rival: Errors) -> Floats:
    """Return the mean over our groups of our error to the rival's, by share."""
    means: Floats = np.mean([ours[name] / rival[name] for name in ours], axis=0)
    return means


def bars_of(found: Mapping[str, Mapping[str, tuple[str, Errors]]]) -> list[Bar]:
    """Return the default learner's ratios to the rival to beat; of a set that is absent, None."""
    bars = []
    for name, limits in BARS.items():
        ratios = None
        if name in found:
            ratios = ratio(found[name][DEFAULT][1], found[name][TO_BEAT][1])
        for share, limit in limits.items():
            measured = None if ratios is None else float(ratios[SHARES.index(share)])
            bars.append(Bar(f"{name}: error at {share:.0%} to {TO_BEAT}", measured, limit))
    return bars


def as_json(found: Mapping[str, tuple[str, Errors]]) -> dict[str, object]:
    """Return errors and ratios of a set, three digits each."""
    return {
        name: {
            "setting": setting,
            "errors": _digits(np.mean(list(errors.values()), axis=0)),
            "ratios": _digits(ratio(errors, found[TO_BEAT][1])),
            "groups": {group: _digits(one) for group, one in errors.items()},
        }
        for name, (setting, errors) in found.items()
    }


def _digits(values: Floats) -> list[float]:
    return [rounded(value) for value in values.tolist()]


def table(name: str, found: Mapping[str, tuple[str, Errors]]) -> Table:
    """Return errors, and their ratios to the rival to beat, as a table."""
    shares = [f"{share:.0%}" for share in SHARES]
    shown = Table(name, *shares, *(f"ratio {share}" for share in shares), "setting", "groups")
    for rival, (setting, errors) in found.items():
        means = np.mean(list(errors.values()), axis=0)
        ratios = ratio(errors, found[TO_BEAT][1])
        shown.add_row(rival, *(f"{x:.3f}" for x in (*means, *ratios)), setting, str(len(errors)))
    return shown


def run(folder: Path, console: Console) -> tuple[dict[str, object], list[Bar], list[str]]:
    """Measure the sets that are there, and say which are not."""
    skipped = ["SPAMS: not installed; make .venv-bench/.ready"] if SPAMS_ABSENT else []
    found: dict[str, dict[str, tuple[str, Errors]]] = {}
    for name, source in SETS.items():
        if not (folder / source.file).exists():
            skipped.append(f"{name}: {source.file} not found; --data names the folder")
            continue
        groups = {key: standardised(Y) for key, Y in source.read(folder / source.file).items()}
        found[name] = {}
        for rival, entry in entries().items():
            with console.status(f"{name}, {rival}"):
                found[name][rival] = measure(entry, groups)
        console.print(table(name, found[name]))
    return {name: as_json(one) for name, one in found.items()}, bars_of(found), skipped


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, tell and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real sets")
    folder = parser.parse_args(arguments).data
    began = time.monotonic()
    console = Console(stderr=True, width=WIDTH)
    sets, bars, skipped = run(folder, console)
    question = "what a few atoms leave of real readings"
    result = record(question, bars, began, shares=SHARES, skipped=skipped, sets=sets)
    console.print(f"recorded in {save('real', result)}")
    tell(bars)


if __name__ == "__main__":
    main()
