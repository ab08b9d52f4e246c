"""The question: what does a reading cost in the group step, in projections and in JSON decodes.

For each number of channels and rows a block: the CPU time of a reading (coded and learned from,
late in its stream, nothing written out) in microseconds, over a bare ``D.T @ y`` in float32, and
over msgspec's typed decode of the reading from JSON. Over the projection also the group step with
a learner that rests, and coding alone. Medians of interleaved rounds.
``python -m benchmarks.group_step`` writes ``results/group_step.json``.
"""

import time
from collections.abc import Callable
from time import process_time

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.record import Bar, record, save, tell
from oodl.adaptive import Adaptive, AdaptiveState
from oodl.coding import Version
from oodl.contrast import Array
from oodl.encoding import Encoder, encoder
from oodl.stream import Block, GroupCoder, GroupState, Published
from oodl.synthetic import Planted, random_orthogonal

SIZES, BLOCKS = (8, 16, 64, 256), (1, 4, 16, 64, 256)
ROUNDS, ROWS, CALLS = 7, 2048, 3000
LATE = 132  # rows before the measurement, in units of N
LEAST = 12672  # at least so many: chunks are as long as they get


class Reading(msgspec.Struct):
    """A reading's fields."""

    group: str
    ts: float
    values: list[float | None]


class Resting(Adaptive):
    """A learner that learns nothing."""

    def step(self, state: AdaptiveState, Y: Array) -> AdaptiveState:  # noqa: ARG002
        """Return the state as it is."""
        return state


def measure(n: int) -> dict[str, dict[str, float]]:
    """Return the figures of N channels, by rows a block."""
    rng = np.random.default_rng(n)
    planted = Planted(random_orthogonal(n, rng), density=0.1, snr_db=20)
    values = (20 + planted.draw(max(LATE * n, LEAST) + ROWS, rng)).astype(np.float32)
    late, state, versions = len(values) - ROWS, GroupCoder().start(), list[Version]()
    for block in cut(values[:late], 64):
        state, outputs = GroupCoder().step(state, block)
        versions += [output.version for output in outputs if isinstance(output, Published)]
    encode = encoder(versions[-1], GroupCoder().rule)
    return {str(size): figures(state, encode, cut(values[late:], size)) for size in BLOCKS}


def figures(state: GroupState, encode: Encoder, blocks: list[Block]) -> dict[str, float]:
    """Return the medians over interleaved rounds."""
    reading = blocks[-1].values[-1]
    timed = [
        (step(GroupCoder(), state, blocks), step(GroupCoder(learner=Resting()), state, blocks),
         code(encode, blocks), projection(len(reading)), decode(reading))
        for _ in range(ROUNDS)
    ]  # fmt: skip
    whole, rest, coded, bare, decoded = np.array(timed).T
    columns = {"us": whole * 1e6, "projections": whole / bare, "decodes": whole / decoded,
               "at_rest": rest / bare, "coding": coded / bare}  # fmt: skip
    return {name: round(float(np.median(column)), 2) for name, column in columns.items()}


def cut(values: npt.NDArray[np.float32], size: int) -> list[Block]:
    """Blocks of so many rows."""
    names = tuple(f"c{i}" for i in range(values.shape[1]))
    parts = np.split(np.arange(len(values)), range(size, len(values), size))
    return [
        Block(names, True, values[part].astype(np.float64), part.astype(np.float64), part)  # noqa: FBT003
        for part in parts
    ]


def step(coder: GroupCoder, state: GroupState, blocks: list[Block]) -> float:
    """CPU seconds of a reading in the group step."""
    start = process_time()
    for block in blocks:
        state, _ = coder.step(state, block)
    return (process_time() - start) / sum(map(len, blocks))


def code(encode: Encoder, blocks: list[Block]) -> float:
    """CPU seconds of a reading to code."""
    start = process_time()
    for block in blocks:
        encode(block.values, block.offsets, block.times)
    return (process_time() - start) / sum(map(len, blocks))


def projection(n: int) -> float:
    """CPU seconds of a bare projection, matrix and vector contiguous."""
    dictionary = random_orthogonal(n, np.random.default_rng(0)).astype(np.float32)
    y = np.ones(n, np.float32)
    return calls(lambda: dictionary.T @ y)


def decode(reading: npt.NDArray[np.float64]) -> float:
    """CPU seconds of the decode of a reading, as short as float32 is written."""
    values: list[float | None] = [float(str(np.float32(value))) for value in reading]
    text = msgspec.json.encode(Reading("press-7", 1764000000.25, values))
    decoder = msgspec.json.Decoder(Reading)
    return calls(lambda: decoder.decode(text))


def calls(function: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = process_time()
    for _ in range(CALLS):
        function()
    return (process_time() - start) / CALLS


def main() -> None:
    """Measure, tell and record."""
    began = time.monotonic()
    channels = {n: measure(n) for n in SIZES}
    bars = [
        *(Bar(f"N={n}, alone: projections", channels[n]["1"]["projections"], 20) for n in (16, 64)),
        Bar("N=64, alone: decodes", channels[64]["1"]["decodes"], 5),
        *(Bar(f"N=64, {size} a block: decodes", channels[64][size]["decodes"], 2)
          for size in ("16", "64", "256")),
    ]  # fmt: skip
    result = record("CPU of a reading in the group step", bars, began, channels=channels)
    print(f"recorded in {save('group_step', result)}")
    tell(bars)


if __name__ == "__main__":
    main()
