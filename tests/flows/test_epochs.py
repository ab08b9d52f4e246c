"""When snapshots take too much of the time; no engine and no broker here."""

import time

import pytest

from flows.epochs import LONGEST, Epochs
from flows.events import Tally
from flows.health import Beats


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def minute(epochs: Epochs, tally: Tally, clock: Clock, held: float) -> None:
    """Let a minute pass in which snapshots held the flow for so many seconds."""
    for _ in range(60):
        clock.now += 1.0
        tally.beats.held_by_snapshots += held / 60
        epochs.look()


@pytest.mark.parametrize(("held", "remembered"), [(5.9, []), (6.1, [2.0])])
def test_a_longer_epoch_is_remembered_where_snapshots_take_a_tenth(
    held: float, remembered: list[float]
) -> None:
    tally, clock, found = Tally(), Clock(), list[float]()
    epochs = Epochs(tally, 1.0, found.append, clock)
    minute(epochs, tally, clock, held)
    assert found == remembered
    assert tally.oddities["snapshots_slow"] == len(remembered)


def test_it_is_the_last_minute_that_counts() -> None:
    tally, clock, found = Tally(), Clock(), list[float]()
    epochs = Epochs(tally, 1.0, found.append, clock)
    for held in (0.0, 0.0, 0.0, 7.0):
        minute(epochs, tally, clock, held)
    assert found == [2.0]


def test_it_is_said_once_a_run() -> None:
    tally, clock, found = Tally(), Clock(), list[float]()
    epochs = Epochs(tally, 1.0, found.append, clock)
    for _ in range(3):
        minute(epochs, tally, clock, 30.0)
    assert (found, tally.oddities["snapshots_slow"]) == ([2.0], 1)


@pytest.mark.parametrize(
    ("seconds", "remembered"), [(20.0, [LONGEST]), (LONGEST, []), (2 * LONGEST, [])]
)
def test_an_epoch_grows_to_half_a_minute_and_never_shrinks(
    seconds: float, remembered: list[float]
) -> None:
    tally, clock, found = Tally(), Clock(), list[float]()
    minute(Epochs(tally, seconds, found.append, clock), tally, clock, 30.0)
    assert found == remembered
    assert tally.oddities["snapshots_slow"] == 1


def test_snapshots_hold_the_flow_from_the_first_group_until_readings_are_asked_for() -> None:
    beats = Beats()
    beats.go_on()
    assert beats.held_by_snapshots == 0.0
    beats.snap()
    time.sleep(0.02)
    beats.snap()
    beats.go_on()
    held = beats.held_by_snapshots
    assert held >= 0.02
    beats.go_on()
    assert beats.held_by_snapshots == held


@pytest.mark.parametrize("snapshot", [True, False])
def test_what_is_written_meanwhile_is_not_the_snapshots_doing(snapshot: bool) -> None:  # noqa: FBT001
    beats = Beats()
    began = time.monotonic()
    beats.snap()
    with beats.in_sink(snapshot=snapshot):
        time.sleep(0.05)
    beats.go_on()
    took = time.monotonic() - began
    assert (beats.held_by_snapshots > took - 0.05) == snapshot
