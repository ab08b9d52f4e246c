"""The ways to a polar factor that are compared: right where they may be, and wrong where said."""

import numpy as np
import pytest

from benchmarks.polar import Adapted, Eigh, Express, NewtonSchulz, adapted, reached
from oodl.oracle import Oracle, PolarExpress, Svd

SOUND: list[Oracle] = [Eigh(), NewtonSchulz(), Express()]


def conditioned(n: int, condition: float, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(1000)
    U, _, Vt = np.linalg.svd(rng.standard_normal((n, n)))
    G: np.ndarray = ((U * np.geomspace(1, 1 / condition, n)) @ Vt).astype(dtype)
    return G


def away(oracle: Oracle, G: np.ndarray) -> float:
    exact = Svd()(G.astype(np.float64))
    return float(np.linalg.norm(oracle(G) - exact) / np.sqrt(len(G)))


@pytest.mark.parametrize("oracle", SOUND, ids=repr)
def test_a_well_conditioned_matrix_has_its_polar_factor(oracle: Oracle) -> None:
    assert away(oracle, conditioned(32, 3, "float64")) < 1e-6


@pytest.mark.parametrize("oracle", [*SOUND, Adapted()], ids=repr)
def test_the_type_is_kept(oracle: Oracle) -> None:
    assert oracle(conditioned(16, 3, "float32")).dtype == np.float32


@pytest.mark.parametrize("oracle", [*SOUND, Adapted()], ids=repr)
def test_without_a_check_an_ill_conditioned_matrix_is_answered_wrongly(oracle: Oracle) -> None:
    G = conditioned(64, 1e5, "float32")
    assert away(oracle, G) > 0.05
    assert away(PolarExpress(), G) < 0.01


def test_coefficients_adapted_to_a_dimension_serve_it_better_than_those_of_another() -> None:
    rng = np.random.default_rng(1001)
    values = np.linalg.svd(rng.standard_normal((20, 128, 128)), compute_uv=False)
    values /= np.linalg.norm(values, axis=1, keepdims=True)

    def left(n: int) -> float:
        return float(np.mean((reached(values, [adapted(n)] * 5) - 1) ** 2))

    assert left(128) < left(16)
