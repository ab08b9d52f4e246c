import threading

from flows.tools.feed import ticks


class Timeline(threading.Event):
    """A stop flag whose waits take no time, and the clock that they move."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


def test_ticks_come_at_their_rate_and_a_late_one_is_made_up_for() -> None:
    timeline = Timeline()
    at = []

    for tick in ticks(50.0, timeline, seconds=0.4, clock=lambda: timeline.now):
        at.append(round(timeline.now - 100.0, 6))
        if tick == 3:
            timeline.now += 0.1  # the receiver holds the feed up for five ticks

    assert at[:4] == [0.0, 0.02, 0.04, 0.06]
    assert at[4:9] == [0.16] * 5
    assert at[9:] == [round(tick / 50, 6) for tick in range(9, 20)]


def test_ticks_end_in_the_middle_of_a_wait_when_asked_to() -> None:
    stop = threading.Event()
    ticking = ticks(0.001, stop)  # the second one would be due in 17 minutes
    next(ticking)

    threading.Timer(0.05, stop.set).start()

    assert list(ticking) == []
