"""Running mean and scale of each channel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oodl.scaling import LARGEST, Scaling


def fed(rows: np.ndarray, chunk: int) -> Scaling:
    scaling = Scaling.start(rows.shape[1])
    for first in range(0, len(rows), chunk):
        scaling = scaling.update(rows[first : first + chunk])
    return scaling


def test_mean_and_scale_come_near_those_of_the_last_rows() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((4000, 2)) * [3.0, 0.01] + [10.0, -5.0]
    scaling = fed(rows, 16)
    assert np.allclose(scaling.mean, [10.0, -5.0], atol=[0.2, 0.001])
    assert np.allclose(scaling.scale, [3.0, 0.01], rtol=0.1)


def test_values_around_a_billion_keep_a_unit_deviation() -> None:
    rows = np.random.default_rng(2).standard_normal((2000, 1)) + 1e9
    assert np.allclose(fed(rows, 8).scale, 1.0, rtol=0.1)


def test_the_past_fades() -> None:
    scaling = fed(np.concatenate([np.zeros((1000, 1)), np.ones((1000, 1))]), 10)
    assert 0.7 < scaling.mean[0] < 0.8


def test_missing_values_teach_nothing() -> None:
    rows = np.random.default_rng(3).standard_normal((500, 1))
    holes = np.repeat(rows, 2, axis=0)
    holes[1::2] = np.nan
    assert np.allclose(fed(rows, 5).mean, fed(holes, 10).mean)


def test_a_constant_channel_has_a_thousandth_of_its_level_or_one() -> None:
    scaling = fed(np.tile([40.0, 0.0], (100, 1)), 10)
    assert scaling.scale.tolist() == [0.04, 1.0]


def test_a_channel_never_seen_has_mean_zero_and_scale_one() -> None:
    scaling = fed(np.full((20, 1), np.nan), 4)
    assert (scaling.mean.tolist(), scaling.scale.tolist()) == ([0.0], [1.0])


def test_the_smallest_step_is_a_floor() -> None:
    rows = np.zeros((1000, 1))
    rows[1] = 0.5
    assert fed(rows, 10).scale.tolist() == [0.5]


def test_one_spike_among_many_rows_hardly_moves_the_scale() -> None:
    rows = np.random.default_rng(4).standard_normal((1000, 1))
    calm = fed(rows, 10).scale[0]
    rows[500] = 1e12
    assert fed(rows, 10).scale[0] < 1.5 * calm


@settings(max_examples=50)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=st.floats()),
    st.integers(1, 7),
)
def test_whatever_comes_mean_and_scale_stay_finite_and_the_scale_positive(
    rows: np.ndarray, chunk: int
) -> None:
    scaling = fed(rows, chunk)
    assert np.isfinite(scaling.mean).all()
    assert (np.abs(scaling.mean) <= LARGEST).all()
    assert np.isfinite(scaling.scale).all()
    assert (scaling.scale > 0).all()


@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_rows_in_deviations_teach_what_the_rows_themselves_teach(holes: float) -> None:
    # given a group that is known well enough, and rows with spikes, steps and an offset
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((200, 3)) * [1.0, 100.0, 0.0] + [1e6, 0.0, 7.0]
    known = fed(rows[:100], 20)
    assert known.trusted
    rows[150, 0] += 1e9
    rows[120:160, 2] = 7.5
    present = rng.random(rows.shape) >= holes
    # when the rest comes as it is, and in deviations
    fresh = np.where(present, rows, np.nan)[100:]
    U = ((fresh - known.mean) / known.scale).astype(np.float32)

    learned = known.learn(U)
    # then the same is known, to a millionth of a deviation
    updated = known.update(fresh)
    assert np.array_equal(learned.seen, updated.seen)
    for mine, theirs in (
        (learned.mean, updated.mean),
        (np.sqrt(learned.variance), np.sqrt(updated.variance)),
        (learned.resolution, updated.resolution),
    ):
        assert np.abs((mine - theirs) / updated.scale).max() < 1e-6


def test_a_channel_is_trusted_after_32_rows() -> None:
    rows = np.random.default_rng(6).standard_normal((40, 2))
    rows[:10, 1] = np.nan
    assert not fed(rows, 8).trusted
    assert fed(np.vstack([rows, rows]), 8).trusted
