import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodl.distance import distance, orthogonality_defect
from oodl.errors import ShapeError
from oodl.synthetic import random_orthogonal

SIZES = st.sampled_from([1, 2, 3, 8])
SEEDS = st.integers(0, 2**32 - 1)


@given(SIZES, SEEDS)
def test_distance_agrees_with_its_definition(n: int, seed: int) -> None:
    # given two dictionaries
    rng = np.random.default_rng(seed)
    D, planted = random_orthogonal(n, rng), random_orthogonal(n, rng)
    # when every pair of atoms is compared by itself
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += sum(D[k, i] * planted[k, j] for k in range(n)) ** 4
    # then
    assert distance(D, planted) == pytest.approx(abs(1 - total / n), abs=1e-12)


@given(SIZES, SEEDS)
def test_order_and_signs_of_atoms_do_not_matter(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    D = random_orthogonal(n, rng)
    renamed = D[:, rng.permutation(n)] * rng.choice([-1.0, 1.0], n)
    assert distance(D, renamed) == pytest.approx(0, abs=1e-12)


def test_the_farthest_dictionary_spreads_every_atom_over_all_others() -> None:
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    assert distance(hadamard, np.eye(4)) == pytest.approx(1 - 1 / 4)


def test_a_float32_dictionary_is_compared_in_float64() -> None:
    D = random_orthogonal(32, np.random.default_rng(0))
    assert distance(D.astype(np.float32), D) < 1e-6


@given(SIZES, SEEDS)
def test_the_defect_agrees_with_its_definition(n: int, seed: int) -> None:
    # given any matrix
    D = np.random.default_rng(seed).standard_normal((n, n))
    # when every pair of atoms is compared with what it should be
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += (sum(D[k, i] * D[k, j] for k in range(n)) - (i == j)) ** 2
    # then
    assert orthogonality_defect(D) == pytest.approx(total**0.5, rel=1e-9)


def test_what_is_not_square_or_not_alike_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"dictionary: expected shape \(N, N\), got \(2, 3\)"):
        distance(np.ones((2, 3)), np.eye(2))
    with pytest.raises(ShapeError, match=r"planted: expected shape \(2, 2\), got \(3, 3\)"):
        distance(np.eye(2), np.eye(3))
    with pytest.raises(ShapeError, match="dictionary: expected shape"):
        orthogonality_defect(np.ones(3))
