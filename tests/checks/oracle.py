"""What every linear oracle of the spectral-norm ball keeps."""

from collections.abc import Callable

import numpy as np
import pytest

from oodl.contrast import Array
from oodl.distance import orthogonality_defect
from oodl.errors import ShapeError, ValueFault
from oodl.oracle import Oracle, Svd
from oodl.synthetic import random_orthogonal

SIZES = [1, 2, 3, 16, 64]
TOLERANCES: dict[type[np.floating], float] = {np.float32: 1e-5, np.float64: 1e-12}


def matrices(dtype: type[np.floating] = np.float64) -> list[Array]:
    """Square matrices of every size, condition about N."""
    rng = np.random.default_rng(0)
    return [
        (random_orthogonal(n, rng) * np.linspace(1, 1 / n, n) @ random_orthogonal(n, rng)).astype(
            dtype
        )
        for n in SIZES
    ]


def check_answer_is_orthogonal(oracle: Oracle) -> None:
    for dtype, tolerance in TOLERANCES.items():
        for G in matrices(dtype):
            assert orthogonality_defect(oracle(G)) <= tolerance


def check_answer_reaches_the_nuclear_norm(oracle: Oracle) -> None:
    for G in matrices():
        score = (G * oracle(G)).sum()
        np.testing.assert_allclose(score, np.linalg.svd(G, compute_uv=False).sum(), rtol=1e-9)


def check_no_feasible_rival_scores_higher(oracle: Oracle) -> None:
    rng = np.random.default_rng(1)
    for G in matrices():
        best = (G * oracle(G)).sum()
        for _ in range(20):
            corner = random_orthogonal(len(G), rng)
            inside = corner * rng.random(len(G)) @ random_orthogonal(len(G), rng)
            assert max((G * corner).sum(), (G * inside).sum()) <= best * (1 + 1e-9)


def check_scale_does_not_matter(oracle: Oracle) -> None:
    for dtype, tolerance in TOLERANCES.items():
        for G in matrices(dtype):
            for scale in (1e-20, 1e-3, 1e20):
                np.testing.assert_allclose(oracle(G * dtype(scale)), oracle(G), atol=tolerance)


def check_an_orthogonal_matrix_is_its_own_answer(oracle: Oracle) -> None:
    rng = np.random.default_rng(2)
    for n in SIZES:
        Q = random_orthogonal(n, rng)
        np.testing.assert_allclose(oracle(Q), Q, atol=1e-12)


def check_turning_the_question_turns_the_answer(oracle: Oracle) -> None:
    rng = np.random.default_rng(3)
    for G in matrices():
        Q = random_orthogonal(len(G), rng)
        np.testing.assert_allclose(oracle(Q @ G), Q @ oracle(G), atol=1e-9)


def check_any_rank_gives_an_orthogonal_answer_of_full_score(oracle: Oracle) -> None:
    rng = np.random.default_rng(4)
    for n in SIZES:
        for rank in {0, 1, n // 2}:
            G = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, n))
            S = oracle(G)
            assert orthogonality_defect(S) <= 1e-10
            nuclear = np.linalg.svd(G, compute_uv=False).sum()
            np.testing.assert_allclose((G * S).sum(), nuclear, rtol=1e-9, atol=1e-12)


def check_a_number_that_is_none_is_refused(oracle: Oracle) -> None:
    for bad in (np.nan, np.inf, -np.inf):
        G = np.eye(3)
        G[1, 2] = bad
        with pytest.raises(ValueFault, match=r"at \(1, 2\)"):
            oracle(G)


def check_another_shape_is_refused(oracle: Oracle) -> None:
    for shape in ((2, 3), (3,), (1, 2, 2)):
        with pytest.raises(ShapeError, match="expected shape"):
            oracle(np.ones(shape))


def check_it_agrees_with_svd(oracle: Oracle) -> None:
    for dtype, tolerance in TOLERANCES.items():
        for G in matrices(dtype):
            np.testing.assert_allclose(oracle(G), Svd()(G), atol=10 * tolerance)


def check_type_is_kept_and_input_not_written(oracle: Oracle) -> None:
    for dtype in TOLERANCES:
        G = np.array([[2.0, 1.0], [0.0, 1.0]], dtype)
        before = G.copy()
        assert oracle(G).dtype == dtype
        np.testing.assert_array_equal(G, before)


CHECKS: list[Callable[[Oracle], None]] = [
    check_answer_is_orthogonal,
    check_answer_reaches_the_nuclear_norm,
    check_no_feasible_rival_scores_higher,
    check_scale_does_not_matter,
    check_an_orthogonal_matrix_is_its_own_answer,
    check_turning_the_question_turns_the_answer,
    check_any_rank_gives_an_orthogonal_answer_of_full_score,
    check_a_number_that_is_none_is_refused,
    check_another_shape_is_refused,
    check_it_agrees_with_svd,
    check_type_is_kept_and_input_not_written,
]
