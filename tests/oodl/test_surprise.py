"""Surprise rises with what lasts, and does not flicker."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodl.surprise import CALM, LOUDEST, MEMORY, Surprise

TIMES = [float(second) for second in range(100)]


def test_the_mean_weighs_a_reading_by_a_thirty_second() -> None:
    surprise, turns = Surprise(0.5).feel([0.9], TIMES, first=0)
    assert surprise.mean == pytest.approx(0.5 + MEMORY * 0.4)
    assert turns == []


def test_a_reading_adds_no_more_than_the_loudest() -> None:
    wild, _ = Surprise().feel([inf], TIMES, first=0)
    assert wild == Surprise().feel([LOUDEST], TIMES, first=0)[0]


def test_what_cannot_be_told_changes_nothing() -> None:
    before = Surprise(0.7, 3.0, 5)
    assert before.feel([nan, nan], TIMES, first=9) == (before, [])


def test_it_starts_above_one_and_ends_below_four_fifths() -> None:
    # given a group on the brink
    surprise, turns = Surprise(0.99).feel([0.5, 8.0, 1.0], TIMES, first=40)
    assert (surprise.since, surprise.at, turns) == (1.0, 41, ["surprised"])
    # when it calms down
    readings = 0
    while surprise.since is not None:
        assert surprise.mean >= CALM
        surprise, turns = surprise.feel([0.0], TIMES, first=43 + readings)
        readings += 1
    # then not before .8, however often it crosses 1
    assert turns == ["calm"]
    assert readings > 5


def test_without_event_time_it_counts_as_just_begun() -> None:
    surprise, _ = Surprise(0.99).feel([8.0], [None], first=0)
    assert surprise.since == inf


@given(st.lists(st.floats(0, 20) | st.just(nan), max_size=60), st.integers(0, 60))
def test_cutting_the_stream_changes_nothing(surprises: list[float], cut: int) -> None:
    whole, turns = Surprise().feel(surprises, TIMES, first=0)
    first, some = Surprise().feel(surprises[:cut], TIMES, first=0)
    second, more = first.feel(surprises[cut:], TIMES[cut:], first=cut)
    assert (second, some + more) == (whole, turns)
