"""What fills a gap."""

import numpy as np

from oodl.imputing import filled
from oodl.synthetic import random_orthogonal


def test_what_is_present_stays_as_it_was_and_nothing_is_written_into() -> None:
    rng = np.random.default_rng(0)
    absent = rng.random((50, 8)) < 0.3
    U = np.where(absent, 0, rng.standard_normal((50, 8))).astype(np.float32)
    before = U.copy()
    rows = filled(U, absent, random_orthogonal(8, rng).astype(np.float32), 3)
    assert rows.dtype == np.float32
    assert np.array_equal(U, before)
    assert np.array_equal(rows[~absent], U[~absent])


def test_a_row_of_one_atom_comes_back() -> None:
    D = random_orthogonal(16, np.random.default_rng(1))
    U = 3 * D.T[:4]
    absent = np.zeros(U.shape, np.bool_)
    absent[:, 2] = absent[1, 7] = True
    rows = filled(np.where(absent, 0, U), absent, D, 1)
    assert np.abs(rows - U).max() < 0.1


def test_a_row_without_any_value_stays_empty() -> None:
    D = random_orthogonal(4, np.random.default_rng(2))
    assert not filled(np.zeros((1, 4)), np.ones((1, 4), np.bool_), D, 2).any()


def test_a_row_is_filled_alike_in_any_company() -> None:
    rng = np.random.default_rng(3)
    D = random_orthogonal(6, rng)
    absent = rng.random((30, 6)) < 0.3
    U = np.where(absent, 0, rng.standard_normal((30, 6)))
    alone = [filled(U[[row]], absent[[row]], D, 2) for row in range(30)]
    assert np.allclose(filled(U, absent, D, 2), np.concatenate(alone))


def test_one_and_two_channels_and_no_usual_atoms_are_no_special_case() -> None:
    for n in (1, 2):
        rows = filled(np.ones((1, n)), np.zeros((1, n), np.bool_), np.eye(n), 0)
        assert np.array_equal(rows, np.ones((1, n)))
