"""Counters as rates: what is missing, what is remembered, and that no cut changes anything."""

import json
from collections.abc import Sequence
from math import isnan, nan
from struct import pack

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oodl.channels import Row
from oodl.rates import MOST, Rates

Given = tuple[float, tuple[str, ...], tuple[float, ...]]  # a time, and what came

SETS = [("a",), ("a", "b"), ("b", "x"), ("x",), ("0", "1"), ("0", "1", "2"), ("2", "a")]
NUMBERS = st.one_of(
    st.integers(0, 9).map(float), st.floats(width=64), st.sampled_from([nan, np.inf, 1e308, -1e308])
)
TIMES = st.one_of(st.integers(0, 30).map(float), st.floats(0, 4e9, allow_subnormal=False))


@st.composite
def arriving(draw: st.DrawFn) -> list[Given]:
    rows = []
    for _ in range(draw(st.integers(0, 25))):
        channels = draw(st.sampled_from(SETS))
        values = draw(st.tuples(*[NUMBERS] * len(channels)))
        rows.append((draw(TIMES), channels, values))
    return rows


def counters(max_ahead: float = 10.0) -> Rates:
    return Rates(lambda name: name != "x", max_ahead)


def turned(rates: Rates, row: Given, *, settled: bool = False) -> list[float]:
    time, channels, values = row
    laid = np.array([values])
    found: list[float] = rates.turn_values(channels, laid, [time], settled=settled)[0].tolist()
    return found


def one(values: Sequence[float], times: Sequence[float], max_ahead: float = 10.0) -> list[float]:
    rows = counters(max_ahead).turn_values(("a",), np.array([values]).T, times)
    return [float(value) for value in rows[:, 0]]


@given(arriving(), st.sets(st.integers(0, 25)), st.booleans())
def test_a_cut_anywhere_changes_nothing(rows: list[Given], cuts: set[int], settled: bool) -> None:  # noqa: FBT001
    whole, cut = counters(), counters()
    for number, row in enumerate(rows):
        if number in cuts:
            crossed = json.loads(json.dumps(cut.snapshot()))
            cut = counters()
            cut.restore(tuple(crossed))
        np.testing.assert_array_equal(
            turned(whole, row, settled=settled), turned(cut, row, settled=settled)
        )
    assert cut.snapshot() == whole.snapshot()


@given(arriving())
def test_each_rate_follows_from_the_last_present_value_of_its_channel(rows: list[Given]) -> None:
    """Recomputed from the definition, where no time is far ahead and no channel is forgotten."""
    rates = counters(max_ahead=1e10)
    seen: dict[str, list[tuple[float, float]]] = {}
    for time, channels, values in [row for row in rows if "0" not in row[1]]:
        expected = []
        for name, value in zip(channels, values, strict=True):
            if name == "x":
                expected.append(value)
                continue
            past = seen.setdefault(name, [])
            taken = np.isfinite(value) and all(time > when for when, _ in past)
            counted = taken and past and value >= past[-1][1]
            before, was = past[-1] if counted else (nan, nan)
            expected.append((value - was) / (time - before))
            if taken:
                past.append((time, value))
        np.testing.assert_array_equal(turned(rates, (time, channels, values)), expected)


@given(
    st.lists(
        st.tuples(st.integers(1, 3600), st.none() | st.integers(0, 10**9)), min_size=1, max_size=40
    )
)
@example([(5, 3), (7, None), (1, 0), (9, 12)])
def test_rates_times_seconds_add_up_to_what_a_counter_has_grown(
    steps: list[tuple[int, int | None]],
) -> None:
    times = np.cumsum([seconds for seconds, _ in steps]).astype(float)
    values = np.cumsum([grown or 0 for _, grown in steps]).astype(float)
    present = np.array([grown is not None for _, grown in steps])

    rates = np.array(one(np.where(present, values, nan).tolist(), times.tolist(), 3600.0))

    came = np.flatnonzero(present)
    assert np.isnan(rates[~present]).all()
    assert np.isnan(rates[came[:1]]).all()
    assert not np.isnan(rates[came[1:]]).any()
    if came.size:
        sums = float(rates[came[1:]] @ np.diff(times[came]))
        assert sums == pytest.approx(values[came[-1]] - values[came[0]], rel=1e-12)


def test_a_late_reading_is_missing_and_moves_nothing() -> None:
    assert one([0, 10, 99, 30], [0, 1, 1, 2])[3] == 20.0
    np.testing.assert_array_equal(one([0, 10, 5, 30], [0, 1, 0.5, 2]), [nan, 10, nan, 20])


def test_a_counter_that_begins_again_counts_from_there() -> None:
    np.testing.assert_array_equal(one([50, 60, 4, 6], [0, 1, 2, 4]), [nan, 10, nan, 1])


@pytest.mark.parametrize("place", [0, 2])
def test_one_wrong_clock_does_not_make_a_counter_late_for_ever(place: int) -> None:
    times, values = [float(time) for time in range(5)], [10.0 * time for time in range(5)]
    times.insert(place, 4e9)
    values.insert(place, 10.0 * place)

    rates = one(values, times)

    assert isnan(rates[place + 1]) is (place == 0)
    assert rates[place + 2 :] == [10.0] * (4 - place)


def test_a_counter_that_comes_once_a_day_has_its_rates() -> None:
    days = [86400.0 * day for day in range(5)]
    assert one(days, days, max_ahead=3600.0)[1:] == [1.0] * 4


def test_lists_of_another_length_count_anew_and_a_channel_more_does_not() -> None:
    rates = counters()
    turned(rates, (0.0, ("0", "1"), (1.0, 2.0)))
    np.testing.assert_array_equal(turned(rates, (1.0, ("0", "1", "2"), (9.0, 9.0, 9.0))), [nan] * 3)
    turned(rates, (2.0, ("a",), (1.0,)), settled=True)
    np.testing.assert_array_equal(
        turned(rates, (3.0, ("a", "b"), (5.0, 1.0)), settled=True), [4.0, nan]
    )


def test_names_that_come_once_leave_nothing_behind() -> None:
    rates = counters()
    sizes = []
    for turn in range(3 * MOST):
        turned(rates, (float(turn), (f"a{turn}", f"b{turn}"), (1.0, 2.0)))
        sizes.append(len(json.dumps(rates.snapshot())))
    assert max(sizes[2 * MOST :]) <= 1.1 * max(sizes[:MOST])


def test_rows_without_counters_stay_as_they_are_and_others_keep_what_else_they_say() -> None:
    plain = Row(("x",), pack("<2f", 1.0, 2.0), settled=True, kind="<f4")
    rates = counters()
    assert rates.turn([plain], [0.0, 1.0])[0] is plain
    assert rates.snapshot() == ()

    several = Row(("a", "x"), pack("<4f", 1.0, 7.0, 4.0, 8.0), ("y",), settled=True, kind="<f4")
    [row] = rates.turn([several], [0.0, 2.0])

    assert (row.channels, row.unknown, row.settled, row.count) == (("a", "x"), ("y",), True, 2)
    np.testing.assert_array_equal(np.frombuffer(row.packed, row.kind), [nan, 7.0, 1.5, 8.0])
