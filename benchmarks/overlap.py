"""The question: do frames that overlap tell anomalies better than frames side by side.

A group step of windows runs over labelled readings. Its dictionaries judge frames that end at every
reading (stride 1), at every half frame, or side by side as they are coded; a reading's score is
that of the last frame that ended by then, alone or as an exponential mean over 32 readings. What is
told is the AUC over the readings after a warm-up: pooled, and the mean of the groups'.
``python -m benchmarks.overlap [--data FOLDER]`` writes ``results/overlap.json``.
"""

import argparse
import csv
import gzip
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.record import record, rounded, save
from benchmarks.sets import DATA
from oodl.coding import Codes, Version
from oodl.encoding import encoder
from oodl.stream import Block, GroupCoder, Published
from oodl.surprise import LOUDEST

__all__ = ["auc", "held", "judged", "smoothed"]

Floats = npt.NDArray[np.float64]
Labelled = dict[str, tuple[Floats, npt.NDArray[np.bool_]]]

WINDOWS = (1, 2, 4)
WARM_UP = 400  # readings that are not judged, as the set's protocol has it
MEMORY = 32  # readings
STEP = 50  # readings a block: whose frames are judged by the version that was published before


def auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Return how often an anomalous reading scores higher than a usual one, ties by half.

    Examples
    --------
    >>> auc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    0.875
    """
    order, places = np.unique(scores, return_inverse=True)
    counts = np.bincount(places, minlength=len(order))
    ranks = (counts.cumsum() - (counts - 1) / 2)[places]
    above = int(labels.sum())
    below = len(labels) - above
    return float((ranks[labels].sum() - above * (above + 1) / 2) / (above * below))


def held(scores: Floats) -> Floats:
    """Return the last score that could be told at each reading, 0 before the first.

    Examples
    --------
    >>> held(np.array([np.nan, 1.0, np.nan, 2.0])).tolist()
    [0.0, 1.0, 1.0, 2.0]
    """
    places = np.maximum.accumulate(np.where(np.isnan(scores), -1, np.arange(len(scores))))
    return np.where(places < 0, 0.0, scores[places])


def smoothed(scores: Floats) -> Floats:
    """Return exponential means over 32 readings, each at most 8 as the group step has it."""
    mean, found = 0.0, np.empty_like(scores)
    for place, score in enumerate(np.minimum(scores, LOUDEST).tolist()):
        mean += (score - mean) / MEMORY
        found[place] = mean
    return found


def judged(values: Floats, window: int, stride: int) -> Floats:
    """Return the surprise of the frame that ends at each reading, NaN where none does."""
    coder, scores, version = GroupCoder(window=window), np.full(len(values), np.nan), None
    state, names = coder.start(), tuple(map(str, range(values.shape[1])))
    for first in range(0, len(values), STEP):
        rows = np.arange(first, min(first + STEP, len(values)))
        if version is not None:
            ends = rows[(rows + 1) % stride == 0]
            scores[ends] = _surprises(coder, version, values, ends[ends >= window - 1])
        times = rows.astype(np.float64)
        block = Block(names, settled=True, values=values[rows], times=times, offsets=rows)
        state, outputs = coder.step(state, block)
        for output in outputs:
            if isinstance(output, Published) and output.version.limit is not None:
                version = output.version
    return scores


def _surprises(
    coder: GroupCoder, version: Version, values: Floats, ends: npt.NDArray[np.int64]
) -> Floats:
    window = version.window
    frames = values[ends[:, None] + np.arange(1 - window, 1)].reshape(len(ends), -1)
    coded: list[Codes] = encoder(version, coder.rule)(frames, ends, ends.astype(np.float64))[0]
    surprises: Floats = np.concatenate([codes.surprises for codes in coded])
    return surprises


def measure(groups: Labelled, window: int, stride: int) -> dict[str, object]:
    """Return the AUC of the scores as they come, and of their means."""
    alone, means, labels = [], [], []
    for values, label in groups.values():
        scores = held(judged(values, window, stride))
        alone.append(scores[WARM_UP:])
        means.append(smoothed(scores)[WARM_UP:])
        labels.append(label[WARM_UP:])
    figures = {
        f"{name}_{kind}": rounded(figure)
        for name, scores in (("alone", alone), ("mean", means))
        for kind, figure in (
            ("pooled", auc(np.concatenate(scores), np.concatenate(labels))),
            ("groups", float(np.mean([auc(s, y) for s, y in zip(scores, labels, strict=True)]))),
        )
    }
    return {"window": window, "stride": stride, "groups": len(groups), **figures}


def read_skab(path: Path) -> Labelled:
    """Return readings and labels of each experiment."""
    groups: dict[str, list[list[float]]] = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        head, *rows = csv.reader(lines)
    place = head.index("anomaly")
    for row in rows:
        groups[row[0]].append([float(x) for x in [*row[2:10], row[place]]])
    return {
        name: (np.array(rows)[:, :-1], np.array(rows)[:, -1] > 0) for name, rows in groups.items()
    }


def read_smd(path: Path) -> Labelled:
    """Return readings and labels of each server."""
    stored = np.load(path)
    names = [name.removesuffix("__label") for name in stored.files if name.endswith("__label")]
    return {name: (stored[f"{name}__x1e6"].T / 1e6, stored[f"{name}__label"] > 0) for name in names}


def cases(folder: Path) -> Iterator[tuple[str, Labelled]]:
    """Yield the sets that are there."""
    for name, file, read in (
        ("skab", "skab/skab_dev.csv.gz", read_skab), ("smd", "smd/smd_dev.npz", read_smd)
    ):  # fmt: skip
        if (folder / file).exists():
            yield name, read(folder / file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, tell and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real sets")
    folder = parser.parse_args(arguments).data
    began = time.monotonic()
    console = Console(stderr=True, width=120)
    found: list[dict[str, object]] = []
    for name, groups in cases(folder):
        for window in WINDOWS:
            for stride in sorted({1, max(1, window // 2), window}):
                found.append({"set": name} | measure(groups, window, stride))
    columns = list(found[0]) if found else []
    shown = Table(*columns)
    for each in found:
        shown.add_row(*(str(each[column]) for column in columns))
    console.print(shown)
    result = record("whether overlapping frames tell more", [], began, cases=found)
    console.print(f"recorded in {save('overlap', result)}")


if __name__ == "__main__":
    main()
