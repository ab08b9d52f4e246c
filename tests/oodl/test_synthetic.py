import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodl.distance import orthogonality_defect
from oodl.errors import ShapeError, ValueFault
from oodl.synthetic import Planted, Sensors, random_orthogonal


@given(st.sampled_from([1, 2, 3, 33]), st.integers(0, 2**32 - 1))
def test_a_random_orthogonal_matrix_is_orthogonal(n: int, seed: int) -> None:
    assert orthogonality_defect(random_orthogonal(n, np.random.default_rng(seed))) < 1e-12


def test_no_direction_is_preferred() -> None:
    # given many draws; LAPACK alone gives the diagonal a sign, and n = 1 always the same number
    rng = np.random.default_rng(0)
    draws = np.array([random_orthogonal(3, rng) for _ in range(4000)])
    # then every entry has mean 0 and mean square 1/3, within four standard errors
    assert np.abs(draws.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 4000)
    assert np.abs((draws**2).mean(axis=0) - 1 / 3).max() < 4 * np.sqrt(4 / 45 / 4000)
    assert {float(random_orthogonal(1, rng)[0, 0]) for _ in range(50)} == {-1.0, 1.0}


def test_the_same_seed_draws_the_same_readings() -> None:
    planted = Planted(np.eye(3), density=0.5, snr_db=10)
    one, two = (planted.draw(20, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("density", [0.1, 0.3, 1.0])
def test_codes_are_as_dense_as_asked_and_of_unit_variance(density: float) -> None:
    # given no noise
    rng = np.random.default_rng(1)
    planted = Planted(random_orthogonal(8, rng), density)
    # when
    codes = planted.draw(20_000, rng) @ planted.dictionary
    # then
    used = np.abs(codes) > 1e-9
    assert used.mean() == pytest.approx(density, abs=0.01)
    assert codes[used].var() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_every_channel_has_the_asked_ratio_of_signal_to_noise(snr_db: float) -> None:
    # given the same draw with and without noise
    dictionary = random_orthogonal(4, np.random.default_rng(2))
    clean = Planted(dictionary, 0.3).draw(50_000, np.random.default_rng(3))
    noisy = Planted(dictionary, 0.3, snr_db).draw(50_000, np.random.default_rng(3))
    # when
    ratio = (clean**2).mean(axis=0) / ((noisy - clean) ** 2).mean(axis=0)
    # then
    np.testing.assert_allclose(10 * np.log10(ratio), snr_db, atol=0.2)


def test_sensors_tell_each_channel_in_its_own_unit() -> None:
    # given
    mean, gain = np.array([20.0, 1013.0]), np.array([0.5, 10.0])
    sensors = Sensors(Planted(np.eye(2), density=1.0), mean, gain)
    # when
    readings = sensors.draw(50_000, np.random.default_rng(4))
    # then
    np.testing.assert_allclose(readings.mean(axis=0), mean, atol=0.2)
    np.testing.assert_allclose(readings.std(axis=0), gain, rtol=0.02)


@pytest.mark.parametrize("density", [0.0, -0.1, 1.1, np.nan])
def test_a_density_that_is_no_share_is_refused(density: float) -> None:
    with pytest.raises(ValueFault, match="density: expected a share"):
        Planted(np.eye(2), density)


@pytest.mark.parametrize("snr_db", [-np.inf, np.nan])
def test_a_signal_to_noise_ratio_that_leaves_no_signal_is_refused(snr_db: float) -> None:
    with pytest.raises(ValueFault, match="snr_db: expected decibels"):
        Planted(np.eye(2), 0.5, snr_db)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"dictionary: expected shape \(N, N\), got \(2, 3\)"):
        Planted(np.ones((2, 3)), 0.5)
    with pytest.raises(ShapeError, match=r"gain: expected shape \(2,\), got \(3,\)"):
        Sensors(Planted(np.eye(2), 0.5), mean=np.zeros(2), gain=np.ones(3))
