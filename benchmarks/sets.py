"""The real sets: where they lie in the folder of the sets, and how their groups are read."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.record import ROOT

__all__ = ["DATA", "SETS", "Groups", "Source", "read_csv"]

Groups = dict[str, npt.NDArray[np.float64]]
"""Readings of each group in their order, shape (B, N), NaN where missing."""

DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Source:
    """A set: its file, and how the file's groups are read."""

    file: str
    read: Callable[[Path], Groups]


def read_csv(group: str | None, channels: slice) -> Callable[[Path], Groups]:
    """Return what reads a file, its groups named by a column, or None where it is all one group."""

    def read(path: Path) -> Groups:
        groups: dict[str, list[list[float]]] = defaultdict(list)
        with gzip.open(path, "rt") as lines:
            head, *rows = csv.reader(lines)
        for row in rows:
            values = [float(x) if x else np.nan for x in row[channels]]
            groups[row[head.index(group)] if group else "all"].append(values)
        return {name: np.array(values) for name, values in groups.items()}

    return read


def _read_asd(path: Path) -> Groups:
    stored = np.load(path)
    names = sorted({name.partition("__")[0] for name in stored.files})
    parts = ("train", "test")
    return {
        name: np.vstack([stored[f"{name}__{part}"] for part in parts]).astype(np.float64)
        for name in names
    }


def _read_smd(path: Path) -> Groups:
    stored = np.load(path)
    return {name: stored[name].T / 1e6 for name in stored.files if name.endswith("__x1e6")}


SETS = {
    "skab": Source("skab/skab_dev.csv.gz", read_csv("group", slice(2, 10))),
    "asd": Source("asd/asd_dev.npz", _read_asd),
    "smd": Source("smd/smd_dev.npz", _read_smd),
    "beijing_air": Source("beijing_air/beijing_dev.csv.gz", read_csv("station", slice(2, 13))),
}
