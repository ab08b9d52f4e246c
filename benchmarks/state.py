"""The question: how many bytes does a group leave in a snapshot, and a dictionary in its topic.

For each number of channels a planted stream goes through the group step; the state is packed after
every late block, while its chunk fills, as the engine stores it, and the last dictionary is written
as a message. ``python -m benchmarks.state`` writes ``results/state.json``.
"""

import time

import numpy as np

from benchmarks.group_step import LATE, LEAST, SIZES, cut
from benchmarks.record import record, save
from flows.state import pack
from flows.wire import encode_dictionary
from oodl.stream import GroupCoder, Published
from oodl.synthetic import Planted, random_orthogonal

__all__ = ["measure"]

FINGERPRINT = "0" * 16
BLOCK = 64
MEASURED = 16  # last blocks


def measure(n: int, rows: int) -> dict[str, int]:
    """Return the bytes of N channels after so many rows."""
    rng = np.random.default_rng(n)
    planted = Planted(random_orthogonal(n, rng), density=0.1, snr_db=20)
    values = (20 + planted.draw(rows, rng)).astype(np.float32)
    coder = GroupCoder()
    state, packed, written = coder.start(), list[int](), list[int]()
    for block in cut(values, BLOCK):
        state, outputs = coder.step(state, block)
        packed.append(len(pack(state, FINGERPRINT)))
        written += [
            len(encode_dictionary("press-7", 0, output))
            for output in outputs
            if isinstance(output, Published)
        ]
    late = packed[-MEASURED:]
    return {"least": min(late), "most": max(late), "dictionary": written[-1]}


def main() -> None:
    """Measure and record."""
    began = time.monotonic()
    channels = {n: measure(n, max(LATE * n, LEAST)) for n in SIZES}
    path = save("state", record("bytes of a group's state", [], began, channels=channels))
    print(f"recorded in {path}")


if __name__ == "__main__":
    main()
