"""A group's event time moves with what its readings agree on."""

from hypothesis import given
from hypothesis import strategies as st

from oodl.clock import EventClock, Ticks

HOUR = 3600.0


def advance(times: list[float]) -> EventClock:
    return EventClock().advance(times, max_ahead=HOUR).clock


def test_two_readings_that_agree_start_the_clock() -> None:
    assert advance([100.0]).now is None
    assert advance([100.0, 101.0]).now == 101.0


def test_a_single_stamp_far_ahead_is_counted_and_moves_nothing() -> None:
    ticks = EventClock(1000.0).advance([4.07e9, 1001.0], max_ahead=HOUR)
    assert ticks == Ticks(EventClock(1001.0), [1000.0, 1001.0], ahead=1, late=0)


def test_a_jump_ahead_holds_once_the_next_reading_confirms_it() -> None:
    ticks = EventClock(1000.0).advance([50_000.0, 50_001.0], max_ahead=HOUR)
    assert (ticks.clock.now, ticks.ahead) == (50_001.0, 0)


def test_readings_hours_apart_move_the_clock_all_the_same() -> None:
    ticks = EventClock().advance([7200.0 * turn for turn in range(10)], max_ahead=HOUR)
    assert (ticks.clock.now, ticks.ahead, ticks.late) == (7200.0 * 8, 0, 0)


def test_a_first_stamp_of_the_far_future_does_not_stick() -> None:
    assert advance([4.07e9, 1000.0, 1001.0]).now == 1001.0


def test_a_stamp_long_past_is_late_and_moves_nothing() -> None:
    ticks = EventClock(1.7e9).advance([0.0, 1.7e9 + 1], max_ahead=HOUR)
    assert (ticks.clock.now, ticks.ahead, ticks.late) == (1.7e9 + 1, 0, 1)


@given(st.lists(st.floats(0, 1e6), max_size=30), st.integers(0, 30))
def test_cutting_the_stream_changes_nothing(times: list[float], cut: int) -> None:
    whole = EventClock().advance(times, max_ahead=HOUR)
    first = EventClock().advance(times[:cut], max_ahead=HOUR)
    second = first.clock.advance(times[cut:], max_ahead=HOUR)
    assert (whole.clock, whole.nows) == (second.clock, first.nows + second.nows)
    assert (whole.ahead, whole.late) == (first.ahead + second.ahead, first.late + second.late)
