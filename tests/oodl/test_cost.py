"""What a reading costs that comes alone, in CPU time of a bare projection ``D.T @ y``."""

from time import process_time

import numpy as np
import numpy.typing as npt
import pytest

from oodl.adaptive import Adaptive, AdaptiveState
from oodl.contrast import Array
from oodl.stream import Block, GroupCoder, GroupState
from oodl.synthetic import Planted, random_orthogonal

ROUNDS, ROWS = 7, 1024
COMPANY = 64  # rows a block before the measurement begins


class Resting(Adaptive):
    """A learner that learns nothing, so that all the rest is measured."""

    def step(self, state: AdaptiveState, Y: Array) -> AdaptiveState:  # noqa: ARG002
        return state


@pytest.mark.parametrize(
    ("learner", "most"), [(Resting(), 25.0), (Adaptive(), 40.0)], ids=["all the rest", "whole step"]
)
@pytest.mark.parametrize("n", [16, 64])
def test_a_reading_alone_costs_a_few_dozen_projections(
    n: int, learner: Adaptive, most: float
) -> None:
    # given a group that has seen enough for chunks to be as long as they get
    rng = np.random.default_rng(n)
    planted = Planted(random_orthogonal(n, rng), density=0.1, snr_db=20)
    values = 20 + planted.draw(400 * n // 3 + ROWS, rng).astype(np.float64)
    coder, state = GroupCoder(learner=learner), GroupCoder().start()
    for block in cut(values[:-ROWS], COMPANY):
        state, _ = coder.step(state, block)
    # when readings come one by one, in turn with bare projections
    alone = cut(values[-ROWS:], 1)
    ratios = [step_seconds(coder, state, alone) / bare_seconds(n) for _ in range(ROUNDS)]
    # then they cost so many of these: half as many on a quiet machine
    assert np.median(ratios) < most


def cut(values: npt.NDArray[np.float64], size: int) -> list[Block]:
    """Blocks of so many rows."""
    names = tuple(f"c{i}" for i in range(values.shape[1]))
    starts = range(0, len(values), size)
    parts = [np.arange(start, min(start + size, len(values))) for start in starts]
    return [
        Block(names, True, values[part], part.astype(np.float64), part)  # noqa: FBT003
        for part in parts
    ]


def step_seconds(coder: GroupCoder, state: GroupState, blocks: list[Block]) -> float:
    """CPU time of a block."""
    start = process_time()
    for block in blocks:
        state, _ = coder.step(state, block)
    return (process_time() - start) / len(blocks)


def bare_seconds(n: int, calls: int = 3000) -> float:
    """CPU time of a projection, matrix and vector in float32 and contiguous."""
    rng = np.random.default_rng(0)
    D, y = random_orthogonal(n, rng).astype(np.float32), np.ones(n, np.float32)
    start = process_time()
    for _ in range(calls):
        D.T @ y
    return (process_time() - start) / calls
