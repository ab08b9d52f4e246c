"""What every way of coding keeps, checked against the definition: rows together, and one by one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oodl.coding import Atoms, Codes, Rule, Tolerance, Version

Floats = npt.NDArray[np.float64]
Encode = Callable[[Version, Rule, Floats], list[Codes]]

NUMBERS = st.one_of(st.floats(-1e3, 1e3), st.floats(), st.just(float("nan")))
SIZES = st.sampled_from([1, 2, 3, 8])


def version(n: int, seed: int = 0, *, mean: float = 10.0, scale: float = 2.0) -> Version:
    rng = np.random.default_rng(seed)
    dictionary = np.linalg.qr(rng.standard_normal((n, n)))[0].astype(np.float32)
    names = tuple(f"c{i}" for i in range(n))
    usual = max(1, n // 4)
    return Version(3, names, 1, np.full(n, mean), np.full(n, scale), dictionary, usual, 0.5)


def readings_of(n: int) -> st.SearchStrategy[Floats]:
    return hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(n)), elements=NUMBERS)


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _rebuilds(encode: Encode, chosen: Version, rule: Rule, readings: Floats, error: float) -> None:
    """Each reading comes back within an error, and its code tells how far off it is."""
    row = 0
    for codes in encode(chosen, rule, readings):
        for _, _, atoms, values, missing, told, surprise in codes.rows():
            present = np.isfinite(readings[row])
            rebuilt = codes.version.decode(atoms, values, missing)
            assert np.isnan(rebuilt).tolist() == (~present).tolist()
            left = rms(((rebuilt - readings[row]) / codes.version.scale)[present])
            assert left <= error
            assert told == pytest.approx(left, abs=2e-5)
            assert surprise is None or np.isfinite(surprise)
            row += 1
    assert row == len(readings)


def check_any_reading_is_rebuilt_within_the_tolerance(encode: Encode) -> None:
    @settings(max_examples=150)
    @given(SIZES.flatmap(readings_of), st.floats(1e-9, 2.0))
    def law(readings: Floats, tolerance: float) -> None:
        _rebuilds(encode, version(readings.shape[1]), Tolerance(tolerance), readings, tolerance)

    law()


def check_any_reading_has_a_code_of_a_few_atoms_that_tells_its_error(encode: Encode) -> None:
    @settings(max_examples=50)
    @given(SIZES.flatmap(readings_of), st.integers(1, 9))
    def law(readings: Floats, most: int) -> None:
        chosen = version(readings.shape[1])
        _rebuilds(encode, chosen, Atoms(most), readings, 1e6)
        for codes in encode(chosen, Atoms(most), readings):
            if codes.version.number:
                assert np.diff(codes.ends, prepend=0).max() <= most

    law()


def check_rounding_in_float32_never_lets_an_error_slip_beyond_the_tolerance(encode: Encode) -> None:
    """Loud readings whose small coefficients leave a millionth more than the tolerance."""
    rng = np.random.default_rng(1)
    for seed in range(20):
        chosen = version(8, seed)
        coefficients = rng.standard_normal((50, 8))
        coefficients[:, 0] = 0
        norms = np.linalg.norm(coefficients, axis=1, keepdims=True)
        coefficients *= 0.01 * np.sqrt(8) * (1 + 1e-6) / norms
        coefficients[:, 0] = 0.005 * rng.integers(-20000, 20000, 50)
        readings = 10 + 2 * coefficients @ chosen.exact.T
        for codes in encode(chosen, Tolerance(0.01), readings):
            for offset, _, atoms, values, *_ in codes.rows():
                assert rms((chosen.decode(atoms, values) - readings[offset]) / 2) <= 0.01


def check_no_fewer_atoms_would_do(encode: Encode) -> None:
    chosen = version(8)
    readings = 10 + 2 * np.random.default_rng(1).standard_normal((200, 8))
    for codes in encode(chosen, Tolerance(0.3), readings):
        for offset, _, atoms, values, *_ in codes.rows():
            shorter = chosen.decode(atoms[:-1], values[:-1])
            assert rms((shorter - readings[offset]) / chosen.scale) > 0.3 * 0.999


def check_atoms_are_taken_by_size(encode: Encode) -> None:
    chosen = version(8)
    readings = 10 + 2 * np.random.default_rng(2).standard_normal((50, 8))
    for codes in encode(chosen, Tolerance(0.1), readings):
        for offset, _, atoms, *_ in codes.rows():
            sizes = np.abs(((readings[offset] - 10) / 2) @ chosen.exact)
            assert np.argsort(-sizes)[: len(atoms)].tolist() == atoms


def check_values_are_multiples_of_half_the_tolerance_and_short_to_write(encode: Encode) -> None:
    readings = 10 + 2 * np.random.default_rng(2).standard_normal((50, 8))
    for tolerance in (0.1, 0.3, 0.01):
        for codes in encode(version(8), Tolerance(tolerance), readings):
            steps = codes.values / (tolerance / 2)
            assert np.allclose(steps, np.rint(steps))
            assert codes.values.all()
            assert max(len(str(value)) for value in codes.values.tolist()) <= 6


def check_a_coefficient_that_rounds_to_nothing_is_no_atom(encode: Encode) -> None:
    chosen = version(4)
    readings = 10 + 2 * np.array([[0.02, 0.02, 1.0, 0.02], [0.0] * 4]) @ chosen.exact.T
    rows = [row for codes in encode(chosen, Atoms(3), readings) for row in codes.rows()]
    assert [atoms for _, _, atoms, *_ in rows] == [[2], []]
    assert [error for *_, error, _ in rows] == pytest.approx([0.02 * np.sqrt(3 / 4), 0], abs=1e-5)


def check_surprise_is_what_the_usual_number_of_atoms_leaves_over_the_limit(encode: Encode) -> None:
    chosen = version(8)
    readings = 10 + 2 * np.random.default_rng(4).standard_normal((20, 8))
    surprises = [codes.surprises for codes in encode(chosen, Tolerance(0.1), readings)]
    for row, surprise in enumerate(np.concatenate(surprises).tolist()):
        u = (readings[row] - 10) / 2
        z = chosen.exact.T @ u
        usual = np.argsort(-np.abs(z))[: chosen.usual]
        left = u - chosen.exact[:, usual] @ z[usual]
        assert surprise == pytest.approx(rms(left) / 0.5, rel=1e-4, abs=1e-4)


def check_gaps_are_no_error_and_no_fewer_atoms_would_do(encode: Encode) -> None:
    """Of those that are taken by size."""
    chosen = version(12)
    rng = np.random.default_rng(5)
    readings = 10 + 2 * rng.standard_normal((200, 12)) * 10 ** rng.uniform(-1, 1, (200, 1))
    readings[rng.random(readings.shape) < 0.2] = np.nan
    for codes in encode(chosen, Tolerance(0.3), readings):
        for offset, _, atoms, values, missing, error, _ in codes.rows():
            present = np.isfinite(readings[offset])
            assert missing == tuple(np.flatnonzero(~present).tolist())
            off = [
                rms(((chosen.decode(atoms[:k], values[:k]) - readings[offset]) / 2)[present])
                for k in range(len(atoms) + 1)
            ]
            assert error == pytest.approx(off[-1], abs=2e-5)
            assert off[-1] <= 0.3
            assert all(more > 0.3 * 0.999 for more in off[:-1])


def check_gaps_are_rebuilt_from_what_moves_with_them(encode: Encode) -> None:
    # given readings of one or two atoms, and a little noise
    chosen = replace(version(16), usual=2)
    rng = np.random.default_rng(6)
    active = rng.random((400, 16)) < 0.1
    coefficients = rng.standard_normal((400, 16)) * active + 0.02 * rng.standard_normal((400, 16))
    readings = 10 + 2 * coefficients @ chosen.exact.T
    # when one value in six is missing
    gaps = rng.random(readings.shape) < 1 / 6
    # then the codes tell them, and take hardly more atoms than those of the whole readings
    off = np.zeros_like(readings)
    filled = 0
    for codes in encode(chosen, Tolerance(0.1), np.where(gaps, np.nan, readings)):
        for offset, _, atoms, values, *_ in codes.rows():
            off[offset] = (chosen.decode(atoms, values) - readings[offset]) / 2
            filled += len(atoms)
    whole = sum(len(codes.atoms) for codes in encode(chosen, Tolerance(0.1), readings))
    assert rms(off[gaps]) < 0.5 * float(np.std(readings[gaps] / 2))
    assert filled < 1.1 * whole


def check_a_gap_changes_surprise_little(encode: Encode) -> None:
    chosen = version(16)
    readings = 10 + 2 * np.random.default_rng(7).standard_normal((200, 16))
    whole = np.concatenate([c.surprises for c in encode(chosen, Tolerance(0.1), readings)])
    readings[:, 3] = np.nan
    holed = np.concatenate([c.surprises for c in encode(chosen, Tolerance(0.1), readings)])
    assert 0.85 < np.median(holed / whole) < 1.05


def check_energy_is_the_sum_of_squares_in_deviations(encode: Encode) -> None:
    readings = np.array([[12.0, 10.0], [14.0, np.nan]])
    energies = [codes.energies for codes in encode(version(2), Tolerance(0.1), readings)]
    assert np.concatenate(energies).tolist() == pytest.approx([1.0, 4.0])


def check_version_0_gives_the_values_as_they_came_to_the_last_bit(encode: Encode) -> None:
    readings = np.array([[0.1, 0.0, np.nan, -1e300], [np.inf, 5e-324, 2.0, 3.0]])
    zero = Version.zero(("a", "b", "c", "d"))
    rows = [row for codes in encode(zero, Atoms(1), readings) for row in codes.rows()]
    for row, (_, _, atoms, values, missing, error, surprise) in enumerate(rows):
        present = np.isfinite(readings[row])
        assert np.array_equal(zero.decode(atoms, values, missing)[present], readings[row, present])
        assert (error, surprise) == (0.0, None)


def check_a_value_that_floats_cannot_resolve_is_coded_exactly_but_judged(encode: Encode) -> None:
    readings = np.full((3, 4), 10.0)
    readings[1, 2] = 1e200
    for rule in (Tolerance(0.1), Atoms(2)):
        rows = [
            (codes.version, *row) for codes in encode(version(4), rule, readings)
            for row in codes.rows()
        ]  # fmt: skip
        assert [chosen.number for chosen, *_ in rows] == [3, 0, 3]
        assert rows[1][0].decode(rows[1][3], rows[1][4])[2] == 1e200
        surprises = [row[-1] for row in rows]
        assert surprises[0] == 0.0
        assert surprises[1] is not None
        assert surprises[1] > 1000


def check_a_reading_without_any_value_has_an_empty_code_and_no_surprise(encode: Encode) -> None:
    (codes,) = encode(version(3), Tolerance(0.1), np.full((1, 3), np.nan))
    assert next(codes.rows()) == (0, 0.0, [], [], (0, 1, 2), 0.0, None)


CHECKS: list[Callable[[Encode], None]] = [
    check_any_reading_is_rebuilt_within_the_tolerance,
    check_any_reading_has_a_code_of_a_few_atoms_that_tells_its_error,
    check_rounding_in_float32_never_lets_an_error_slip_beyond_the_tolerance,
    check_no_fewer_atoms_would_do,
    check_atoms_are_taken_by_size,
    check_values_are_multiples_of_half_the_tolerance_and_short_to_write,
    check_a_coefficient_that_rounds_to_nothing_is_no_atom,
    check_surprise_is_what_the_usual_number_of_atoms_leaves_over_the_limit,
    check_gaps_are_no_error_and_no_fewer_atoms_would_do,
    check_gaps_are_rebuilt_from_what_moves_with_them,
    check_a_gap_changes_surprise_little,
    check_energy_is_the_sum_of_squares_in_deviations,
    check_version_0_gives_the_values_as_they_came_to_the_last_bit,
    check_a_value_that_floats_cannot_resolve_is_coded_exactly_but_judged,
    check_a_reading_without_any_value_has_an_empty_code_and_no_surprise,
]
