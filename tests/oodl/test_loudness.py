"""How long rows usually are, and what each may weigh."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oodl.loudness import Loudness, weights

SQUARES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e30))


def heard(*blocks: float) -> Loudness:
    loudness = Loudness()
    for square in blocks:
        loudness, _ = loudness.update(np.full(40, square), 8)
    return loudness


def test_a_spike_is_judged_by_the_past_and_moves_it_little() -> None:
    squares = np.full(40, 4.0)
    squares[7] = 1e9
    after, usual = heard(4.0, 4.0).update(squares, 8)
    assert usual == 4.0
    assert after.square == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize("gain", [9.0, 1e6])
def test_a_loud_block_is_a_new_scale(gain: float) -> None:
    after, usual = heard(4.0, 4.0).update(np.full(40, 4.0 * gain), 8)
    assert (after.square, usual) == (4.0 * gain, 4.0 * gain)


def test_what_falls_silent_is_followed() -> None:
    assert heard(4.0, *[1.0] * 60).square == pytest.approx(1.0, rel=0.05)


def test_a_row_pulls_by_its_energy_up_to_a_length_and_never_by_more() -> None:
    lengths = np.array([0.5, 1.0, 1.4, 3.0, 1000.0])
    pull = weights(lengths**2, 1.0) * lengths**3
    np.testing.assert_allclose(pull / pull[1], [0.25, 1.0, 1.96, 1.96, 1.96])


@given(SQUARES, st.floats(0, 1e30))
def test_weights_are_finite_whatever_comes(squares: np.ndarray, usual: float) -> None:
    found = weights(squares, usual)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@given(st.lists(SQUARES, min_size=1, max_size=4))
def test_the_scale_stays_finite_whatever_comes(blocks: list[np.ndarray]) -> None:
    loudness = Loudness()
    for squares in blocks:
        loudness, usual = loudness.update(squares, 8)
        assert 0 <= loudness.square <= 1e30
        assert 0 <= usual <= 1e30
