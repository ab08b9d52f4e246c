"""Readings to codes: rows that come together, and rows that come alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from oodl.coding import Codes, Rule, Tolerance, Version
from oodl.encoding import Encoder, encode, encoder, left_by_atoms
from tests.checks import encoding as suite


def together(chosen: Version, rule: Rule, readings: suite.Floats) -> list[Codes]:
    rows = np.arange(len(readings))
    return encode(chosen, rule, readings, rows, rows.astype(np.float64))


def alone(chosen: Version, rule: Rule, readings: suite.Floats) -> list[Codes]:
    rows = [np.array([row]) for row in range(len(readings))]
    coded = (encode(chosen, rule, readings[row], row, row.astype(np.float64)) for row in rows)
    return [codes for each in coded for codes in each]


WAYS: list[suite.Encode] = [together, alone]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_contract(way: suite.Encode, check: Callable[[suite.Encode], None]) -> None:
    check(way)


@pytest.mark.parametrize("n", [1, 2, 16, 200])
def test_a_row_has_the_same_code_alone_and_in_company(n: int) -> None:
    rng = np.random.default_rng(n)
    readings = 10 + rng.standard_normal((300, n)) * 10 ** rng.uniform(-2, 1.5, (300, 1))
    readings[::9, 0] = np.nan
    readings[::50] *= 1e7
    chosen = suite.version(n)
    ours, theirs = (
        [(codes.version.number, *row) for codes in way(chosen, Tolerance(0.1), readings)
         for row in codes.rows()]
        for way in WAYS
    )  # fmt: skip
    assert ours == theirs


@pytest.mark.parametrize("n", [1, 2, 16, 200])
def test_what_coefficients_tell_of_a_tame_row_is_what_is_left_of_it(n: int) -> None:
    rng = np.random.default_rng(n)
    readings = 10 + rng.standard_normal((300, n)) * 10 ** rng.uniform(-1, 1, (300, 1))
    chosen, rows = suite.version(n), np.arange(300)
    (tame,) = together(chosen, Tolerance(0.1), readings)
    wary = Encoder(chosen, Tolerance(0.1))
    wary._rule[9] = -1  # as if no row were tame
    (wild,), _ = wary(readings, rows, rows.astype(np.float64))
    assert np.array_equal(tame.ends, wild.ends)
    assert np.array_equal(tame.atoms, wild.atoms)
    assert np.array_equal(tame.values, wild.values)
    assert np.allclose(tame.errors, wild.errors, atol=2e-5, rtol=0)
    assert np.allclose(tame.surprises, wild.surprises, atol=2e-4, rtol=1e-4)


def test_a_loud_neighbour_changes_no_code() -> None:
    readings = 10 + 2 * np.random.default_rng(6).standard_normal((5, 8))
    (quiet,) = together(suite.version(8), Tolerance(0.1), readings)
    readings[2] = 1e30
    first, _, last = together(suite.version(8), Tolerance(0.1), readings)
    rows = list(quiet.rows())
    assert [*first.rows(), *last.rows()] == rows[:2] + rows[3:]


@pytest.mark.parametrize("way", [slice(0, 4), slice(0, 1)], ids=["together", "alone"])
def test_rows_come_back_in_deviations_not_a_number_where_missing(way: slice) -> None:
    readings: suite.Floats = np.array([[np.nan, 14.0], [8.0, 10.0], [np.inf, 10.0], [1e30, 10.0]])[
        way
    ]
    places = np.arange(len(readings))
    times = places.astype(np.float64)
    _, rows = encoder(suite.version(2), Tolerance())(readings, places, times)
    expected = np.array([[np.nan, 2.0], [-1.0, 0.0], [np.nan, 0.0], [1e6, 0.0]], np.float32)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, expected[way], equal_nan=True)


def test_rows_in_deviations_do_not_depend_on_their_company_to_the_last_bit() -> None:
    """What is learned follows from them, and a version's name from every bit of that."""
    rng = np.random.default_rng(8)
    readings = 10 + rng.standard_normal((50, 7))
    chosen = replace(suite.version(7), scale=rng.uniform(0.1, 9, 7))
    places = np.arange(50)
    _, together = encoder(chosen, Tolerance())(readings, places, places / 1.0)
    holed = np.vstack([readings, np.full(7, np.nan)])
    _, beside = encoder(chosen, Tolerance())(holed, np.arange(51), np.zeros(51))
    alone = [
        encoder(chosen, Tolerance())(row[None], places[:1], np.zeros(1))[1] for row in readings
    ]
    assert beside[:50].tobytes() == together.tobytes() == np.concatenate(alone).tobytes()


def test_another_rule_makes_another_encoder() -> None:
    chosen = suite.version(4)
    fine, coarse = Tolerance(0.1), Tolerance(1.0)
    assert encoder(chosen, fine) is encoder(chosen, fine)
    assert encoder(chosen, coarse).rule is coarse


def test_what_atoms_leave_is_that_of_the_definition() -> None:
    chosen = suite.version(6)
    rows = np.random.default_rng(6).standard_normal((10, 6)).astype(np.float32)
    left = left_by_atoms(rows, chosen.dictionary)
    for row, u in enumerate(rows):
        z = chosen.exact.T @ u
        order = np.argsort(-np.abs(z))
        for k in range(7):
            rest = u - chosen.exact[:, order[:k]] @ z[order[:k]]
            assert left[row, k] == pytest.approx(np.mean(rest**2), abs=1e-5)


@pytest.mark.parametrize("n", [100, 200])
def test_sums_of_many_columns_are_those_of_few(n: int) -> None:
    rows = np.random.default_rng(7).standard_normal((3, n)).astype(np.float32)
    left = left_by_atoms(rows, np.eye(n, dtype=np.float32))
    squares = np.sort(rows.astype(np.float64) ** 2, axis=1)[:, ::-1]
    assert left[:, 3] == pytest.approx(squares[:, 3:].sum(axis=1) / n, rel=1e-5)


def test_no_rows_have_no_codes() -> None:
    for chosen in (suite.version(3), Version.zero(("a", "b", "c"))):
        runs = together(chosen, Tolerance(), np.empty((0, 3)))
        assert sum(map(len, runs)) == 0
