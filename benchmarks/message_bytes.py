"""The question: how many bytes is a reading as a message, and what comes back, in either layout.

``python -m benchmarks.message_bytes DATA``, DATA the folder of the sets, prints one JSON object.
"""

import csv
import gzip
import json
import platform
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flows.wire import encode_codes, encode_dictionary
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, Published

Groups = dict[str, npt.NDArray[np.float64]]
BLOCK = 32  # rows that arrive together
START, PERIOD = 1.7e9, 1.0


def read_csv(path: Path, group: str, channels: slice) -> Groups:
    """Read the readings of each group, empty cells as missing."""
    groups: dict[str, list[list[float]]] = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        head, *rows = csv.reader(lines)
    for row in rows:
        groups[row[head.index(group)]].append([float(x) if x else np.nan for x in row[channels]])
    return {name: np.array(values) for name, values in groups.items()}


def read_smd(path: Path) -> Groups:
    """Read the servers of the SMD set."""
    kept = np.load(path)
    return {name: kept[name].T / 1e6 for name in kept.files if name.endswith("__x1e6")}


def measure(groups: Groups) -> dict[str, float]:
    """Return mean bytes a reading, keys and headers not counted."""
    sums: dict[str, int] = defaultdict(int)
    for values in groups.values():
        channels = tuple(map(str, range(values.shape[1])))
        coder = GroupCoder()
        state = coder.start()
        for first in range(0, len(values), BLOCK):
            rows = values[first : first + BLOCK]
            offsets = first + np.arange(len(rows))
            times = (START + PERIOD * offsets).astype(np.float64)
            sums["readings"] += len(rows)
            sums["in"] += sum(
                len(_reading(time, row))
                for time, row in zip(times.tolist(), rows.tolist(), strict=True)
            )
            state, outputs = coder.step(state, Block(channels, True, rows, times, offsets))  # noqa: FBT003
            for output in outputs:
                match output:
                    case Codes():
                        for layout in ("reading", "block"):
                            messages = encode_codes("group", 0, output, layout)
                            sums[layout] += sum(map(len, messages))
                    case Published():
                        sums["dictionaries"] += len(encode_dictionary("group", 0, output))
    count = sums.pop("readings")
    width = next(iter(groups.values())).shape[1]
    means = {name: round(total / count, 1) for name, total in sums.items()}
    return {"channels": width, "readings": count, "float32": 4 * width} | means


def main(data: Path) -> None:
    """Measure the sets and print the record."""
    sets = {
        "skab": read_csv(data / "skab/skab_dev.csv.gz", "group", slice(2, 10)),
        "beijing": read_csv(data / "beijing_air/beijing_dev.csv.gz", "station", slice(2, 13)),
        "smd": read_smd(data / "smd/smd_dev.npz"),
    }
    record = {
        "question": "bytes of a reading in and out",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "sets": {name: measure(groups) for name, groups in sets.items()},
    }
    print(json.dumps(record, indent=2))


def _reading(time: float, row: list[float]) -> bytes:
    values = [None if value != value else value for value in row]
    return json.dumps({"ts": time, "values": values}, separators=(",", ":")).encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
