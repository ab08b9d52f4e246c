"""What a learner may believe of a block."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oodl.outliers import Guard, impute
from oodl.synthetic import Planted, random_orthogonal

Rows = npt.NDArray[np.float64]
RNG = np.random.default_rng(0)
STEADY = RNG.standard_normal((400, 8))


def usual() -> Guard:
    guard = Guard.start(8)
    for block in np.split(STEADY, 10):
        guard, _ = guard.admit(block)
    return guard


def test_steady_rows_pass_as_they_are() -> None:
    _, admitted = usual().admit(STEADY[:40], longest=3)
    assert admitted.missing is None
    np.testing.assert_array_equal(admitted.rows, STEADY[:40])


@pytest.mark.parametrize("spike", [50.0, -1e6, np.inf, np.nan])
def test_a_spike_is_missing_and_moves_nothing_far(spike: float) -> None:
    block = STEADY[:40].copy()
    block[3, 2] = spike
    before = usual()
    after, admitted = before.admit(block)
    assert admitted.missing is not None
    assert list(zip(*np.nonzero(admitted.missing), strict=True)) == [(3, 2)]
    assert admitted.rows[3, 2] == 0
    assert after.magnitude == pytest.approx(before.magnitude, rel=0.5)


def test_long_rows_are_shortened_and_keep_their_direction() -> None:
    block = STEADY[:40].copy()
    block[5] *= 4
    _, admitted = usual().admit(block, longest=1.0)
    kept = admitted.rows[5]
    assert np.linalg.norm(kept) == pytest.approx(np.sqrt(8), rel=0.1)
    assert kept / np.linalg.norm(kept) == pytest.approx(block[5] / np.linalg.norm(block[5]))


@pytest.mark.parametrize("gain", [3.0, 1000.0])
def test_another_gain_is_a_new_scale_and_no_spike(gain: float) -> None:
    guard, admitted = usual().admit(gain * STEADY[:100], longest=3)
    assert admitted.missing is None or not admitted.missing.any()
    assert guard.magnitude == pytest.approx(gain * usual().magnitude, rel=0.3)


def test_a_channel_at_rest_may_wake() -> None:
    guard = Guard.start(8)
    for block in np.split(STEADY * ([1.0] * 7 + [0.0]), 10):
        guard, _ = guard.admit(block)
    for block in np.split(STEADY, 10):
        guard, _ = guard.admit(block)
    _, admitted = guard.admit(STEADY[:40])
    assert admitted.missing is None


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-(2.0**60), 2.0**60, width=32) | st.sampled_from([np.nan, np.inf]),
    )
)
def test_whatever_comes_what_is_learned_from_is_finite(block: npt.NDArray[np.float32]) -> None:
    guard = Guard.start(block.shape[1], dtype=np.float32)
    for _ in range(3):
        guard, admitted = guard.admit(block)
        assert admitted.rows.dtype == np.float32
        assert np.isfinite(admitted.rows).all()
        assert np.isfinite(guard.magnitude).all()
        assert np.isfinite(guard.loudness.square)


def test_imputing_comes_nearer_than_zero() -> None:
    rng = np.random.default_rng(1)
    planted = Planted(random_orthogonal(16, rng), density=0.1, snr_db=20)
    whole = planted.draw(500, rng)
    missing = rng.random(whole.shape) < 0.1
    filled = impute(np.where(missing, 0, whole), missing, planted.dictionary, 0.15)
    np.testing.assert_array_equal(filled[~missing], whole[~missing])
    assert np.square(filled - whole).sum() < 0.6 * np.square(whole[missing]).sum()
