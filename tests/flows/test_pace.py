"""Turns last a quarter of a second, however dear a message is."""

import pytest

from flows.pace import LEAST, MOST, TURN, Pace


@pytest.mark.parametrize("cost", [1e-5, 1e-4, 1e-3])
def test_turns_come_to_last_as_long_as_they_should(cost: float) -> None:
    pace, now, most = Pace(), 0.0, 0

    for _ in range(20):
        most = pace.most(now)
        pace.took(most)
        now += most * cost

    assert most == pytest.approx(min(max(TURN / cost, LEAST), MOST), rel=0.01)


def test_a_turn_that_did_not_take_all_says_nothing_of_the_pace() -> None:
    pace = Pace()
    first = pace.most(0.0)
    pace.took(first - 1)

    assert pace.most(30.0) == first


def test_one_long_wait_halves_it_once() -> None:
    pace = Pace()
    first = pace.most(0.0)
    pace.took(first)

    assert pace.most(60.0) == first / 2
