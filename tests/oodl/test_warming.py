"""What is compiled before the first reading is all that a step calls."""

import numpy as np
import numpy.typing as npt

from oodl import activity, drift, loops, recent
from oodl.block import Block
from oodl.stream import GroupCoder
from oodl.warming import warm

Floats = npt.NDArray[np.float64]


def compiled() -> set[tuple[str, str]]:
    """Each loop with the kinds of its arguments."""
    return {
        (name, str(kinds))
        for module in (loops, recent, activity, drift)
        for name, loop in vars(module).items()
        for kinds in getattr(loop, "signatures", ())
    }


def test_a_step_compiles_nothing_that_was_not_warm() -> None:
    # given rows of a few causes, whose mixture changes, with gaps
    warm()
    before = compiled()
    rng = np.random.default_rng(0)
    values: Floats = rng.standard_normal((1500, 4)) * (rng.random((1500, 4)) < 0.3)
    for first in (0, 1000):
        values[first:] @= np.linalg.qr(rng.standard_normal((4, 4)))[0]
    values += 0.02 * rng.standard_normal(values.shape)
    values[::7, 1] = np.nan
    # when they are coded and learned from
    coder, state = GroupCoder(), GroupCoder().start()
    for first in range(0, len(values), 50):
        rows = np.arange(first, first + 50)
        times = rows.astype(np.float64)
        part = Block(("a", "b", "c", "d"), True, values[rows], times, rows)  # noqa: FBT003
        state, _ = coder.step(state, part)
    # then nothing had to be compiled
    assert state.version is not None
    assert state.version.number > 1
    assert compiled() == before
