"""The question: what does it bring to fill missing values before coding and learning.

Real readings with their own gaps, of which a share more is hidden, go through the group step in
blocks of 64, once with gaps filled from what moves with them, once with their mean. Told
are the atoms of a reading, and how far the hidden values' estimates are off, in the deviations of
the version in force (at most 20). ``python -m benchmarks.gaps [--data FOLDER]`` writes
``results/gaps.json``.
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from benchmarks.record import Bar, record, rounded, save, tell
from benchmarks.sets import DATA, SETS, Groups, Source, read_csv
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder
from oodl.synthetic import Planted, random_orthogonal

Floats = npt.NDArray[np.float64]

REAL = {
    "beijing_air": SETS["beijing_air"],
    "air_quality_uci": Source(
        "air_quality_uci/air_quality_uci.csv.gz", read_csv(None, slice(1, 14))
    ),
}
HIDDEN = (0.0, 0.03, 0.1)  # share of the values that are there
BLOCK = 64
FARTHEST = 20.0
SEED = 4711


@dataclass(slots=True)
class Outcome:
    """Sums over readings: of all, of those with gaps, and over hidden values."""

    readings: int = 0
    atoms: int = 0
    gapped: int = 0
    atoms_of_gapped: int = 0
    hidden: int = 0
    squares: float = 0.0
    seconds: float = 0.0

    def as_json(self) -> dict[str, float | None]:
        """Means."""
        rmse = float(np.sqrt(self.squares / self.hidden)) if self.hidden else None
        return {
            "atoms": rounded(self.atoms / self.readings),
            "atoms_with_gaps": rounded(self.atoms_of_gapped / self.gapped),
            "rmse_of_hidden": None if rmse is None else rounded(rmse),
            "microseconds": rounded(1e6 * self.seconds / self.readings),
        }


def with_zeros(U: Floats, absent: npt.NDArray[np.bool_], D: Floats, usual: int) -> Floats:  # noqa: ARG001
    """Fill nothing: what is missing is zero already."""
    return U


def no_rounds(n: int, usual: int) -> npt.NDArray[np.int64]:  # noqa: ARG001
    """Fill in no round at all."""
    return np.empty(0, np.int64)


def measure(values: Floats, share: float, outcome: Outcome) -> None:
    """Code a group of which a share is hidden, and add to the sums."""
    rng = np.random.default_rng(SEED)
    hidden = np.isfinite(values) & (rng.random(values.shape) < share)
    given = np.where(hidden, np.nan, values)
    channels = tuple(map(str, range(values.shape[1])))
    coder, state = GroupCoder(), GroupCoder().start()
    for first in range(0, len(values), BLOCK):
        offsets = np.arange(first, min(first + BLOCK, len(values)))
        times = 3600 * offsets.astype(np.float64)
        block = Block(channels, True, given[offsets], times, offsets)  # noqa: FBT003
        began = time.process_time()
        state, outputs = coder.step(state, block)
        outcome.seconds += time.process_time() - began
        for codes in outputs:
            if isinstance(codes, Codes):
                add(codes, values, hidden, outcome)


def add(codes: Codes, values: Floats, hidden: npt.NDArray[np.bool_], outcome: Outcome) -> None:
    """Add codes to the sums."""
    gapped = np.array([bool(channels) for channels in codes.missing])
    outcome.readings += len(codes)
    outcome.atoms += len(codes.atoms)
    outcome.gapped += int(gapped.sum())
    outcome.atoms_of_gapped += int(np.diff(codes.ends, prepend=0)[gapped].sum())
    if codes.version.number:
        for offset, _, atoms, kept, *_ in codes.rows():
            here = hidden[offset]
            off = (codes.version.decode(atoms, kept) - values[offset]) / codes.version.scale
            outcome.squares += float((np.clip(off[here], -FARTHEST, FARTHEST) ** 2).sum())
            outcome.hidden += int(here.sum())


def both(groups: Groups, share: float) -> dict[str, Outcome]:
    """Measure groups with gaps filled, and with zeros."""
    filled, zeros = Outcome(), Outcome()
    for values in groups.values():
        measure(values, share, filled)
    with ExitStack() as stack:
        stack.enter_context(patch("oodl.encoding.rounds", no_rounds))
        stack.enter_context(patch("oodl.stream.filled", with_zeros))
        for values in groups.values():
            measure(values, share, zeros)
    return {"filled": filled, "zeros": zeros}


def planted(n: int, density: float) -> Groups:
    """Readings of a planted dictionary."""
    rng = np.random.default_rng(SEED)
    found = Planted(random_orthogonal(n, rng), density=density, snr_db=20)
    return {"planted": 20 + found.draw(8000, rng).astype(np.float64)}


def sets(folder: Path, skipped: list[str]) -> dict[str, Groups]:
    """Read what is there."""
    found = {
        "planted 16, density .15": planted(16, 0.15),
        "planted 32, density .1": planted(32, 0.1),
    }
    for name, source in REAL.items():
        path = folder / source.file
        if path.exists():
            found[name] = source.read(path)
        else:
            skipped.append(f"{name}: {source.file} not found; --data names the folder")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, tell and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real sets")
    began = time.monotonic()
    skipped: list[str] = []
    outcomes = {
        (name, share): both(groups, share)
        for name, groups in sets(parser.parse_args(arguments).data, skipped).items()
        for share in HIDDEN
        if share or not name.startswith("planted")
    }
    bars = [
        Bar(
            f"{name}, {share:g} hidden: atoms of readings with gaps, filled / zeros",
            found["filled"].atoms_of_gapped / found["zeros"].atoms_of_gapped,
            0.95,
        )
        for (name, share), found in outcomes.items()
    ]
    result = record(
        "what filling missing values brings",
        bars,
        began,
        skipped=skipped,
        outcomes=[
            {"set": name, "hidden": share, "gaps": way} | outcome.as_json()
            for (name, share), found in outcomes.items()
            for way, outcome in found.items()
        ],
    )
    print(f"recorded in {save('gaps', result)}")
    tell(bars)


if __name__ == "__main__":
    main()
