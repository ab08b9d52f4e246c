"""Readings to codes and back, checked against the definition."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oodl.coding import Atoms, Codes, Rule, Tolerance, Version, encode, left_by_atoms
from oodl.errors import ValueFault


def version(n: int, seed: int = 0, *, mean: float = 10.0, scale: float = 2.0) -> Version:
    rng = np.random.default_rng(seed)
    dictionary = np.linalg.qr(rng.standard_normal((n, n)))[0].astype(np.float32)
    names = tuple(f"c{i}" for i in range(n))
    usual = max(1, n // 4)
    return Version(3, names, 1, np.full(n, mean), np.full(n, scale), dictionary, usual, 0.5)


def coded(chosen: Version, rule: Rule, readings: np.ndarray) -> list[Codes]:
    rows = np.arange(len(readings))
    return encode(chosen, rule, readings, rows, rows.astype(np.float64))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


NUMBERS = st.one_of(st.floats(-1e3, 1e3), st.floats(), st.just(float("nan")))


def readings_of(n: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(n)), elements=NUMBERS)


@settings(max_examples=150)
@given(
    st.sampled_from([1, 2, 3, 8]).flatmap(readings_of),
    st.floats(0.01, 2.0),
)
def test_any_reading_is_rebuilt_within_the_tolerance(
    readings: np.ndarray, tolerance: float
) -> None:
    chosen = version(readings.shape[1])
    row = 0
    for codes in coded(chosen, Tolerance(tolerance), readings):
        for _, _, atoms, values, missing, error, surprise in codes.rows():
            present = np.isfinite(readings[row])
            rebuilt = codes.version.decode(atoms, values, missing)
            assert np.isnan(rebuilt).tolist() == (~present).tolist()
            left = ((rebuilt - readings[row]) / codes.version.scale)[present]
            assert rms(left) <= tolerance
            assert error == pytest.approx(rms(left), abs=2e-5)
            assert surprise is None or np.isfinite(surprise)
            row += 1
    assert row == len(readings)


def test_no_fewer_atoms_would_do() -> None:
    chosen = version(8)
    readings = 10 + 2 * np.random.default_rng(1).standard_normal((200, 8))
    (codes,) = coded(chosen, Tolerance(0.3), readings)
    for row, (_, _, atoms, values, *_) in enumerate(codes.rows()):
        shorter = chosen.decode(atoms[:-1], values[:-1])
        assert rms((shorter - readings[row]) / chosen.scale) > 0.3 * 0.999


def test_values_are_multiples_of_half_the_tolerance_the_largest_first() -> None:
    readings = 10 + 2 * np.random.default_rng(2).standard_normal((50, 8))
    (codes,) = coded(version(8), Tolerance(0.1), readings)
    assert np.allclose(codes.values / 0.05, np.rint(codes.values / 0.05))
    for _, _, atoms, values, *_ in codes.rows():
        assert len(set(atoms)) == len(atoms)
        assert np.all(np.diff(np.abs(values)) <= 0.05 + 1e-9)


def test_the_rule_of_atoms_keeps_no_more_than_it_says_and_tells_the_error() -> None:
    chosen = version(8)
    readings = 10 + 2 * np.random.default_rng(3).standard_normal((50, 8))
    (codes,) = coded(chosen, Atoms(3), readings)
    for row, (_, _, atoms, values, _, error, _) in enumerate(codes.rows()):
        assert len(atoms) <= 3
        rebuilt = chosen.decode(atoms, values)
        assert error == pytest.approx(rms((rebuilt - readings[row]) / 2.0), abs=2e-5)


def test_surprise_is_what_the_usual_number_of_atoms_leaves_over_the_limit() -> None:
    chosen = version(8)
    readings = 10 + 2 * np.random.default_rng(4).standard_normal((20, 8))
    readings[0, 1:3] = np.nan
    (codes,) = coded(chosen, Tolerance(0.1), readings)
    for row, surprise in enumerate(codes.surprises):
        present = np.isfinite(readings[row])
        u = np.where(present, (readings[row] - 10) / 2, 0)
        z = chosen.exact.T @ u
        usual = np.argsort(-np.abs(z))[: chosen.usual]
        left = (u - chosen.exact[:, usual] @ z[usual])[present]
        assert surprise == pytest.approx(rms(left) / 0.5, rel=1e-4, abs=1e-4)


def test_version_0_gives_the_values_as_they_came_to_the_last_bit() -> None:
    readings = np.array([[0.1, 0.0, np.nan, -1e300], [np.inf, 5e-324, 2.0, 3.0]])
    zero = Version.zero(("a", "b", "c", "d"))
    (codes,) = coded(zero, Atoms(1), readings)
    for row, (_, _, atoms, values, missing, error, surprise) in enumerate(codes.rows()):
        present = np.isfinite(readings[row])
        assert np.array_equal(zero.decode(atoms, values, missing)[present], readings[row, present])
        assert (error, surprise) == (0.0, None)


def test_a_value_beyond_what_floats_resolve_is_coded_exactly_and_judged_all_the_same() -> None:
    readings = np.full((3, 4), 10.0)
    readings[1, 2] = 1e200
    runs = coded(version(4), Tolerance(0.1), readings)
    assert [(codes.version.number, len(codes)) for codes in runs] == [(3, 1), (0, 1), (3, 1)]
    exact = next(runs[1].rows())
    assert runs[1].version.decode(exact[2], exact[3])[2] == 1e200
    assert runs[1].surprises[0] > 1000 > 1 > runs[0].surprises[0]


def test_a_reading_without_any_value_has_an_empty_code_and_no_surprise() -> None:
    (codes,) = coded(version(3), Tolerance(0.1), np.full((1, 3), np.nan))
    assert next(codes.rows()) == (0, 0.0, [], [], (0, 1, 2), 0.0, None)


def test_parts_of_codes_are_the_codes_of_the_parts() -> None:
    readings = 10 + 2 * np.random.default_rng(5).standard_normal((9, 8))
    readings[4, 2] = np.nan
    (codes,) = coded(version(8), Tolerance(0.1), readings)
    assert [*codes.part(0, 4).rows(), *codes.part(4, 9).rows()] == list(codes.rows())


def test_energy_is_the_sum_of_squares_in_deviations() -> None:
    readings = np.array([[12.0, 10.0], [14.0, np.nan]])
    (codes,) = coded(version(2), Tolerance(0.1), readings)
    assert codes.energies.tolist() == [1.0, 4.0]


def test_the_id_is_that_of_the_documented_bytes() -> None:
    chosen = version(2)
    head = json.dumps([["c0", "c1"], 1, 1, 0.5], separators=(",", ":")).encode()
    arrays = [chosen.mean.astype("<f8"), chosen.scale.astype("<f8")]
    body = b"".join(a.tobytes() for a in arrays) + chosen.dictionary.astype("<f4").tobytes()
    assert chosen.id == hashlib.sha256(head + body).hexdigest()[:16]


def test_the_id_tells_content_apart_and_ignores_the_number() -> None:
    chosen = version(2)
    assert chosen.id == replace(chosen, number=9, restart=True).id
    others = [replace(chosen, limit=0.6), replace(chosen, mean=chosen.mean + 1), version(2, 1)]
    assert len({chosen.id, *(other.id for other in others)}) == 4


def test_what_atoms_leave_is_that_of_the_definition() -> None:
    chosen = version(6)
    rows = np.random.default_rng(6).standard_normal((10, 6)).astype(np.float32)
    left = left_by_atoms(rows, chosen.dictionary, np.ones_like(rows, dtype=bool))
    for row, u in enumerate(rows):
        z = chosen.exact.T @ u
        order = np.argsort(-np.abs(z))
        for k in range(7):
            rest = u - chosen.exact[:, order[:k]] @ z[order[:k]]
            assert left[row, k] == pytest.approx(np.mean(rest**2), abs=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tolerance_that_makes_no_sense_is_refused(value: float) -> None:
    with pytest.raises(ValueFault, match="tolerance: expected a finite number above 0"):
        Tolerance(value)


def test_no_atoms_are_refused() -> None:
    with pytest.raises(ValueFault, match="atoms: expected at least 1, got 0"):
        Atoms(0)
