"""Where the dictionary is found late."""

import numpy as np
import pytest

from benchmarks.limits import (
    Amplitudes,
    Case,
    Slopes,
    bell,
    kurtosis,
    l3,
    normal,
    offline,
    signs,
    sixth,
    tanh,
)  # fmt: skip
from oodl.synthetic import random_orthogonal


@pytest.mark.parametrize("slopes", [l3, kurtosis, sixth, tanh, bell])
def test_a_curvature_is_the_derivative_of_the_slope(slopes: Slopes) -> None:
    Z = np.array([[-1.3, -0.2, 0.4, 2.0]])
    difference = (slopes(Z + 1e-6)[0] - slopes(Z - 1e-6)[0]) / 2e-6
    assert slopes(Z)[1] == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize("amplitudes", [normal, signs])
def test_readings_have_unit_power(amplitudes: Amplitudes) -> None:
    rng = np.random.default_rng(0)
    case = Case(8, 0.3, amplitudes, streams=1, most=1)
    rows = case.draw(random_orthogonal(8, rng), 20_000, rng)
    assert float((rows**2).mean()) == pytest.approx(1, abs=0.02)


def test_corrected_steps_find_amplitudes_on_either_side_of_gaussian() -> None:
    for density in (0.2, 0.8):
        case = Case(4, density, signs, streams=1, most=1)
        assert float(str(offline(kurtosis, case, 0, corrected=True)["error"])) < 0.01
