"""A group's event time moves with what its readings agree on."""

from hypothesis import given
from hypothesis import strategies as st

from oodl.clock import EventClock

HOUR = 3600.0


def advance(times: list[float]) -> EventClock:
    return EventClock().advance(times, max_ahead=HOUR)[0]


def test_two_readings_that_agree_start_the_clock() -> None:
    assert advance([100.0]).now is None
    assert advance([100.0, 101.0]).now == 101.0


def test_a_single_stamp_far_ahead_is_counted_and_moves_nothing() -> None:
    clock, ahead, late = EventClock(1000.0).advance([4.07e9, 1001.0], max_ahead=HOUR)
    assert (clock.now, ahead, late) == (1001.0, 1, 0)


def test_a_jump_ahead_counts_once_the_next_reading_confirms_it() -> None:
    clock, ahead, _ = EventClock(1000.0).advance([50_000.0, 50_001.0], max_ahead=HOUR)
    assert (clock.now, ahead) == (50_001.0, 1)


def test_a_first_stamp_of_the_far_future_does_not_stick() -> None:
    assert advance([4.07e9, 1000.0, 1001.0]).now == 1001.0


def test_a_stamp_long_past_is_late_and_moves_nothing() -> None:
    clock, ahead, late = EventClock(1.7e9).advance([0.0, 1.7e9 + 1], max_ahead=HOUR)
    assert (clock.now, ahead, late) == (1.7e9 + 1, 0, 1)


@given(st.lists(st.floats(0, 1e6), max_size=30), st.integers(0, 30))
def test_cutting_the_stream_changes_nothing(times: list[float], cut: int) -> None:
    whole = EventClock().advance(times, max_ahead=HOUR)
    first, ahead, late = EventClock().advance(times[:cut], max_ahead=HOUR)
    second, ahead_2, late_2 = first.advance(times[cut:], max_ahead=HOUR)
    assert whole == (second, ahead + ahead_2, late + late_2)
