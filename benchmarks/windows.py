"""The question: how much of readings coded in windows do a few atoms leave, beside DCT and PCA.

Frames of 4, 8, 16 consecutive readings, and of 64 where a sensor is alone, are coded with what was
learned from the frames before them: a block is coded, then learned from. Kept are 5, 10 or 25 % of
the coefficients, at least one, the largest. DCT is that of each channel over the frame, online PCA
the eigenvectors of the frames' running covariance. ``python -m benchmarks.windows [--data FOLDER]``
writes ``results/windows.json``.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.real import SHARES, Errors, Pca, largest, prequential, ratio, standardised
from benchmarks.record import record, rounded, save
from benchmarks.rivals import Fit, Ours, Rival
from benchmarks.sets import DATA, SETS, Groups, read_csv

__all__ = ["Dct", "cases", "dct", "framed"]

Array = npt.NDArray[np.floating]

WINDOWS, LONG = (4, 8, 16), 64
LARGEST_FRAME = 256
CHANNELS = 4  # of a group that are taken alone, evenly spaced
LEAST_FRAMES = 100
OURS = "oodl, default"


def dct(window: int) -> Array:
    """Return the orthonormal DCT-II, atoms in columns.

    Examples
    --------
    A constant is its first atom alone.

    >>> (np.ones(4) @ dct(4)).round(9) + 0.0
    array([2., 0., 0., 0.])
    """
    moments = np.arange(window) + 0.5
    atoms: Array = np.cos(np.pi / window * np.outer(moments, np.arange(window)))
    atoms /= np.linalg.norm(atoms, axis=0)
    return atoms


@dataclass(frozen=True, slots=True)
class Dct:
    """Fixed atoms: each channel's DCT over the frame.

    Parameters
    ----------
    window : int
    """

    window: int

    def start(self, initial: Array) -> Fit:
        """Return a fit that never learns."""
        channels = np.eye(len(initial) // self.window)
        return _Fixed(np.kron(dct(self.window), channels).astype(initial.dtype))


@dataclass(frozen=True, slots=True)
class FromDct:
    """Our learner, begun with these atoms.

    Parameters
    ----------
    window : int
    """

    window: int

    def start(self, initial: Array) -> Fit:
        """Return a fit that has seen nothing."""
        return Ours().start(Dct(self.window).start(initial).atoms)


@dataclass(slots=True)
class _Fixed:
    atoms: Array

    def partial_fit(self, Y: Array) -> object:  # noqa: ARG002  (the contract of a fit)
        return self


def framed(U: Array, window: int) -> Array:
    """Return consecutive readings flattened, so many a row; what fills no frame is left out.

    Examples
    --------
    >>> framed(np.array([[1, 2], [3, 4], [5, 6]]), 2).tolist()
    [[1, 2, 3, 4]]
    """
    count = len(U) // window
    return U[: count * window].reshape(count, -1)


def cases(name: str, groups: Groups) -> Iterator[tuple[str, int, dict[str, Array]]]:
    """Yield a name, the window and the frames of each group: whole ones, and channels alone."""
    whole = {group: standardised(Y) for group, Y in groups.items()}
    alone = {
        f"{group} {channel}": U[:, [channel]]
        for group, U in whole.items()
        for channel in _moving(U)
    }
    for kind, chosen in (("whole", whole), ("alone", alone)):
        for window in (*WINDOWS, LONG):
            frames = {
                group: framed(U, window)
                for group, U in chosen.items()
                if window <= WINDOWS[-1] or U.shape[1] == 1
            }
            fit = {
                group: U
                for group, U in frames.items()
                if U.shape[1] > window * (kind == "whole")
                and U.shape[1] <= LARGEST_FRAME
                and len(U) >= LEAST_FRAMES * (window == LONG)
            }
            if fit:
                yield f"{name}, {kind}", window, fit


def _moving(U: Array) -> list[int]:
    """A few channels that are not constant, evenly spaced."""
    moving = np.flatnonzero(U.std(axis=0) > 0)
    chosen = moving[np.linspace(0, len(moving) - 1, min(CHANNELS, len(moving))).astype(int)]
    return list(islice(dict.fromkeys(chosen.tolist()), CHANNELS))


def measure(window: int, groups: dict[str, Array]) -> dict[str, Errors]:
    """Return the errors of each rival by group."""
    rivals: dict[str, Rival] = {
        "DCT": Dct(window),
        "PCA, largest": Pca(),
        OURS: Ours(),
        "oodl, from DCT": FromDct(window),
    }
    return {
        name: {group: prequential(rival, largest, U) for group, U in groups.items()}
        for name, rival in rivals.items()
    }


def read(folder: Path) -> tuple[dict[str, Groups], list[str]]:
    """Return the sets that are there, and say which are not."""
    sources = {
        "nab_temps": ("nab_temps/ambient_temperature_system_failure.csv.gz",
                      "nab_temps/machine_temperature_system_failure.csv.gz"),
        "skab": (SETS["skab"].file,),
        "skab_free": ("skab/skab_anomaly_free.csv.gz",),
        "smd": (SETS["smd"].file,),
    }  # fmt: skip
    readers = {
        "nab_temps": read_csv(None, slice(1, 2)),
        "skab": SETS["skab"].read,
        "skab_free": read_csv(None, slice(1, 9)),
        "smd": SETS["smd"].read,
    }
    found, skipped = {}, []
    for name, files in sources.items():
        if absent := [file for file in files if not (folder / file).exists()]:
            skipped.append(f"{name}: {absent[0]} not found; --data names the folder")
            continue
        found[name] = {
            f"{Path(file).name.partition('.')[0]} {group}": Y
            for file in files
            for group, Y in readers[name](folder / file).items()
        }
    return found, skipped


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, tell and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real sets")
    folder = parser.parse_args(arguments).data
    began = time.monotonic()
    console = Console(stderr=True, width=120)
    sets, skipped = read(folder)
    shown = Table("case", "window", "groups", "learner", *(f"{share:.0%}" for share in SHARES))
    found = []
    for name, groups in sets.items():
        for case, window, frames in cases(name, groups):
            with console.status(f"{case}, window {window}"):
                errors = measure(window, frames)
            for rival, own in errors.items():
                means = np.mean(list(own.values()), axis=0)
                found.append({
                    "case": case, "window": window, "rival": rival, "groups": len(own),
                    "rows": sum(map(len, frames.values())),
                    "errors": [rounded(x) for x in means.tolist()],
                    "ours_to_it": [rounded(x) for x in ratio(errors[OURS], own).tolist()],
                })  # fmt: skip
                shown.add_row(case, str(window), str(len(own)), rival, *(f"{x:.3f}" for x in means))
    console.print(shown)
    result = record(
        "what a few atoms leave of readings coded in windows", [], began,
        shares=SHARES, skipped=skipped, cases=found,
    )  # fmt: skip
    console.print(f"recorded in {save('windows', result)}")


if __name__ == "__main__":
    main()
