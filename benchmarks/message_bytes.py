"""The question: how many bytes is a reading as a message, and what comes back, in either layout.

``python -m benchmarks.message_bytes DATA``, DATA the folder of the sets, prints one JSON object.
"""

import json
import platform
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.sets import SETS, Groups
from flows.wire import encode_codes, encode_dictionary
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, Published

BLOCK = 32  # rows that arrive together
START, PERIOD = 1.7e9, 1.0


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
    names = {"skab": "skab", "beijing": "beijing_air", "smd": "smd"}
    sets = {told: SETS[name].read(data / SETS[name].file) for told, name in names.items()}
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
