from collections.abc import Callable

import numpy as np
import pytest

from oodl import oracle
from oodl.distance import orthogonality_defect
from oodl.oracle import Oracle, PolarExpress, Svd, WarmStart, renewed
from tests.checks import oracle as suite

CASES: list[Oracle] = [Svd(), PolarExpress(), WarmStart()]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_contract(case: Oracle, check: Callable[[Oracle], None]) -> None:
    check(case)


def test_every_oracle_is_a_case() -> None:
    offered = {getattr(oracle, name) for name in oracle.__all__} - {Oracle}
    assert offered == {type(case) for case in CASES}


@pytest.mark.parametrize("G", suite.matrices(), ids=lambda G: f"N={len(G)}")
def test_svd_agrees_with_the_definition_of_the_polar_factor(G: np.ndarray) -> None:
    # given the inverse square root of G'G, by its eigenvectors
    energies, V = np.linalg.eigh(G.T @ G)
    inverse_root = V / np.sqrt(energies) @ V.T
    # then G = S (G'G)^(1/2)
    np.testing.assert_allclose(Svd()(G), G @ inverse_root, atol=1e-9)


def test_the_polar_factor_of_a_turn_by_hand() -> None:
    # given a turn by 30 degrees of lengths 2 and 5
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[c, -s], [s, c]])
    # then only the turn is left
    np.testing.assert_allclose(Svd()(turn * np.array([2.0, 5.0])), turn, atol=1e-12)


class Refusing:
    """An oracle that must not be asked."""

    def __call__(self, G: np.ndarray) -> np.ndarray:
        raise AssertionError(G)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_a_settled_gradient_needs_no_decomposition(
    dtype: type[np.floating], tolerance: float
) -> None:
    rng = np.random.default_rng(3)
    G = (np.diag(rng.uniform(1, 3, 64)) + 0.01 * rng.standard_normal((64, 64))).astype(dtype)
    np.testing.assert_allclose(WarmStart(exact=Refusing())(G), Svd()(G), atol=tolerance)


def test_products_alone_reach_the_polar_factor() -> None:
    G = np.random.default_rng(5).standard_normal((64, 64))
    np.testing.assert_allclose(PolarExpress(exact=Refusing())(G), Svd()(G), atol=1e-10)


def test_products_that_do_not_get_there_are_not_believed() -> None:
    rng = np.random.default_rng(6)
    G = rng.standard_normal((64, 40)) @ rng.standard_normal((40, 64))
    np.testing.assert_array_equal(PolarExpress()(G), Svd()(G))


def test_one_turn_is_enough_where_the_next_step_asks_again() -> None:
    rng = np.random.default_rng(7)
    G = np.diag(rng.uniform(1, 3, 64)) + 0.002 * rng.standard_normal((64, 64))
    answer = WarmStart(exact=Refusing(), enough=0.1)(G)
    assert orthogonality_defect(renewed(answer)) < 1e-12
    np.testing.assert_allclose(answer, Svd()(G), atol=1e-4)
    assert np.abs(answer - Svd()(G)).max() > 1e-9


def test_a_matrix_that_lapack_misses_has_its_factor_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Met in a stream of 38 channels: divide and conquer did not converge, on the transpose did."""
    G = np.random.default_rng(8).standard_normal((5, 5))
    expected, svd = Svd()(G), np.linalg.svd

    def missing(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if matrix is G:
            message = "SVD did not converge"
            raise np.linalg.LinAlgError(message)
        return svd(matrix)

    monkeypatch.setattr(np.linalg, "svd", missing)
    np.testing.assert_allclose(Svd()(G), expected, atol=1e-12)


def test_a_gradient_far_from_settled_is_decomposed() -> None:
    G = np.random.default_rng(4).standard_normal((16, 16))
    np.testing.assert_array_equal(WarmStart()(G), Svd()(G))
