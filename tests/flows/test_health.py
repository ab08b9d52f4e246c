"""What the flow leaves behind, and the state that it shows; no thread and no broker here."""

from dataclasses import dataclass

import pytest

from flows.health import (
    BLOCKED_AFTER,
    GIVEN_UP_AFTER,
    LOST_AFTER,
    PAUSE,
    SILENT_AFTER,
    STALLED_AFTER,
    STATES,
    Beats,
    State,
    StateName,
    asks_for_restart,
    state,
)

NOW = 1000.0


@dataclass
class Wire:
    """A connection as a client knows it."""

    error: str = ""
    heard_at: float = NOW - 0.1
    measured_at: float | None = NOW - 0.1
    lost_at: float | None = None


def beats(
    *links: Wire,
    turned: float | None = NOW,
    moved: float | None = NOW - 500,
    behind: int | None = 0,
    waiting: float | None = None,
    writing: float | None = None,
    ended: float | None = None,
    peers: int = 0,
) -> Beats:
    """A flow that has read everything, but for what is said otherwise."""
    left = Beats(started=0.0, links=list(links) or [Wire()])
    left.behind[0], left.waiting = behind, waiting
    left.turned, left.moved, left.busy = turned, moved, moved
    left.writing, left.ended, left.peers = writing, ended, peers
    return left


def silent(seconds: float) -> Wire:
    return Wire(heard_at=NOW - seconds, measured_at=NOW)


def lost(seconds: float, heard: float) -> Wire:
    return Wire("1/1 brokers are down", NOW - heard, None, NOW - seconds)


TABLE: list[tuple[Beats, StateName, float]] = [
    (beats(turned=None), "starting", 0.0),
    (beats(behind=None), "starting", 0.0),
    (beats(silent(1), behind=None), "starting", 0.0),
    (beats(lost(60, 70), behind=None), "broker-away", NOW - 70),
    (beats(), "idle", NOW - 500 + PAUSE),
    (beats(moved=None), "idle", 0.0),
    (beats(moved=NOW), "working", NOW),
    (beats(moved=NOW - PAUSE), "working", NOW - PAUSE),
    (beats(moved=NOW - PAUSE - 0.1), "idle", NOW - 0.1),
    (beats(behind=7, waiting=NOW - STALLED_AFTER), "working", NOW - STALLED_AFTER),
    (beats(behind=7, waiting=NOW - STALLED_AFTER - 1), "stalled", NOW - STALLED_AFTER - 1),
    (beats(turned=NOW - STALLED_AFTER), "idle", NOW - 500 + PAUSE),
    (beats(turned=NOW - STALLED_AFTER - 1), "stalled", NOW - STALLED_AFTER - 1),
    (beats(turned=NOW - 60, moved=NOW - 60, behind=3, waiting=NOW - 60), "stalled", NOW - 60),
    (beats(silent(SILENT_AFTER)), "idle", NOW - 500 + PAUSE),
    (beats(silent(SILENT_AFTER + 1)), "broker-away", NOW - SILENT_AFTER - 1),
    (beats(Wire(), silent(60)), "broker-away", NOW - 60),
    (beats(silent(60), behind=7, waiting=NOW - 60), "broker-away", NOW - 60),
    (beats(silent(60), moved=NOW - 1), "working", NOW - 1),
    (beats(silent(60), turned=NOW - 60), "stalled", NOW - 60),
    (beats(turned=NOW - STALLED_AFTER - 1, peers=1), "blocked", NOW - STALLED_AFTER - 1),
    (beats(turned=NOW - GIVEN_UP_AFTER - 1, peers=1), "stalled", NOW - GIVEN_UP_AFTER - 1),
    (beats(Wire(), lost(60, 200)), "idle", NOW - 500 + PAUSE),
    (beats(lost(LOST_AFTER, 70)), "idle", NOW - 500 + PAUSE),
    (beats(lost(LOST_AFTER + 1, 70)), "broker-away", NOW - 70),
    (beats(writing=NOW - BLOCKED_AFTER), "idle", NOW - 500 + PAUSE),
    (beats(writing=NOW - BLOCKED_AFTER - 1, moved=NOW - 4), "blocked", NOW - BLOCKED_AFTER - 1),
    (beats(writing=NOW - 60, turned=NOW - 60), "blocked", NOW - 60),
    (beats(silent(1), lost(50, 60), writing=NOW - 60), "blocked", NOW - 60),
    (beats(lost(50, 60), writing=NOW - 60, turned=NOW - 60), "broker-away", NOW - 60),
    (beats(writing=NOW - GIVEN_UP_AFTER - 1), "stalled", NOW - GIVEN_UP_AFTER - 1),
    (beats(writing=NOW - 1, turned=NOW - 60), "idle", NOW - 500 + PAUSE),
    (beats(ended=NOW - 3, turned=NOW - 60), "ended", NOW - 3),
]


@pytest.mark.parametrize(("left", "name", "since"), TABLE)
def test_the_state_follows_from_what_the_flow_left(
    left: Beats, name: StateName, since: float
) -> None:
    found = state(NOW, left)

    assert (found.name, found.since) == (name, since)
    assert found.reason


def test_every_state_is_in_the_table() -> None:
    assert {name for _, name, _ in TABLE} == set(STATES)


def test_a_flow_that_nothing_reaches_is_blocked_and_a_restart_would_not_help() -> None:
    unfed = beats()
    unfed.unfed = "5 messages wait for `oodl repartition`"

    found = state(NOW, unfed)

    assert found == State("blocked", NOW - 500 + PAUSE, unfed.unfed)
    assert not asks_for_restart(NOW, found, 60.0)


def test_asking_changes_nothing() -> None:
    for left, _, _ in TABLE:
        assert state(NOW, left) == state(NOW, left)


@pytest.mark.parametrize("name", STATES)
def test_only_a_flow_that_stands_still_for_too_long_asks_for_a_restart(name: StateName) -> None:
    asked = [asks_for_restart(NOW, State(name, NOW - seconds, ""), 60.0) for seconds in (60, 61)]

    assert asked == [False, name in ("stalled", "ended")]


def test_readings_that_come_again_after_a_pause_begin_a_new_stretch_of_work() -> None:
    left = Beats(started=0.0, links=[Wire()])
    left.open(0)
    for now in (10.0, 12.0, 16.0, 16.0 + PAUSE + 1):
        left.turn(now, partition=0, taken=3, behind=0)
        assert state(now, left).name == "working"

    assert state(18.0 + PAUSE, left).since == 17.0 + PAUSE


def test_readings_wait_from_when_they_are_seen_and_not_from_when_the_last_ones_came() -> None:
    # given a flow that was idle for long
    left = Beats(started=0.0, links=[Wire()])
    left.turn(10.0, partition=0, taken=3, behind=0)
    left.turn(NOW, partition=0, taken=0, behind=0)
    # when readings are there that do not come
    left.turn(NOW + 1, partition=0, taken=0, behind=4)
    left.turn(NOW + 2, partition=0, taken=0, behind=5)
    # then they wait since then
    assert state(NOW + 2, left).name == "working"
    left.turn(NOW + 12, partition=0, taken=0, behind=5)
    assert state(NOW + 12, left) == State(
        "stalled", NOW + 1, "5 readings wait, and none has come for 11 s"
    )
    # and once one comes, they wait from then on; once all have come, none does
    left.turn(NOW + 13, partition=0, taken=1, behind=4)
    assert left.waiting == NOW + 13
    left.turn(NOW + 14, partition=0, taken=4, behind=0)
    assert left.waiting is None


def test_one_partition_that_moves_is_work_and_what_waits_is_counted_over_all() -> None:
    left = Beats(started=0.0, links=[Wire()])
    for second in range(30):
        left.turn(float(second), partition=0, taken=0, behind=2)
        left.turn(float(second), partition=1, taken=1, behind=3)
    assert state(30.0, left).name == "working"

    left.turn(100.0, partition=1, taken=0, behind=3)

    assert state(100.0, left).reason.startswith("5 readings wait")


def test_a_flow_without_an_answer_names_the_partitions_but_not_all_of_many() -> None:
    left = Beats(started=0.0, links=[Wire()])
    for partition in range(9):
        left.open(partition)
    left.turn(1.0, partition=1, taken=0, behind=0)

    assert state(2.0, left).reason == "no answer yet for partitions 0, 2, 3, 4, 5, ..."


def test_the_sink_is_left_also_by_a_failure() -> None:
    left, seen = Beats(), []

    def fail() -> None:
        with left.in_sink():
            seen.append(left.writing)
            told = "broken"
            raise ValueError(told)

    with pytest.raises(ValueError, match="broken"):
        fail()

    assert seen != [None]
    assert left.writing is None
