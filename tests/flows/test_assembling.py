"""Samples become readings by their own time alone: no order within the bound, no cut matters."""

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.assembling import Assembler
from flows.samples import Assembled, Refused
from flows.settings import Settings
from flows.state import StateError
from flows.wire import Message, Sample, record_size

EVERY, WAIT = 1.0, 3.0
BUCKETS = Settings(sensors={"every": EVERY, "wait": WAIT})
LAST = Settings(sensors={"mode": "last", "hold": 5.0})
Came = tuple[Sample, Message]
Outcome = Assembled | Refused
SIZE = record_size(b"key", b"0", [("h", b"1")])  # of a message of `came`


def came(samples: Iterable[Sample]) -> list[Came]:
    """Each with a message of its own; the offset tells which."""
    return [
        (sample, Message("in", 0, at, b"key", b"%d" % at, [("h", b"1")], 0.0))
        for at, sample in enumerate(samples)
    ]


def take(assembler: Assembler, sample: Sample, message: Message) -> Sequence[Outcome]:
    given = sample.group, sample.time, sample.sensor, sample.value
    size = record_size(message.key, message.value, message.headers)
    return assembler.add(*given, message.offset, message, size)


def run(stream: Sequence[Came], chosen: Settings, cuts: Iterable[int] = ()) -> list[Outcome]:
    """What comes of a stream that is cut into snapshots before each of these places."""
    assembler, cuts = Assembler(chosen, "in", 0), set(cuts)
    outcome: list[Outcome] = []
    for place, (sample, message) in enumerate(stream):
        if place in cuts:
            assembler = Assembler(chosen, "in", 0, assembler.pack())
        outcome += take(assembler, sample, message)
    return outcome


def ending(time: float) -> list[Sample]:
    """Samples of two groups that close all that came before."""
    return [Sample(group, time, "end", 0.0) for group in ("x", "y", "x", "y")]


def readings(outcome: Iterable[Outcome]) -> list[tuple[str, float, object, list[int]]]:
    """The readings in order of group and time, with the samples that they are of."""
    return sorted(
        (each.group, each.time, sorted(each.values.items(), key=str), offsets(each))
        for each in outcome
        if isinstance(each, Assembled)
    )


def offsets(each: Outcome) -> list[int]:
    if isinstance(each, Refused):
        return [each.message.offset]
    return sorted(message.offset for message in each.messages)


SAMPLES = st.builds(
    Sample,
    st.sampled_from(["oven", "press", "saw"]),
    st.integers(0, 600).map(lambda tenths: tenths / 10),
    st.sampled_from(["heat", "flow", "speed"]),
    st.sampled_from([1.0, 2.0, None]),
)
WILD = st.builds(
    Sample,
    st.sampled_from(["oven", "press"]),
    st.one_of(st.integers(0, 90).map(float), st.sampled_from([1e6, 1e6 + 1, -1e6, 4e9])),
    st.sampled_from(["heat", "flow"]),
    st.sampled_from([1.0, None]),
)
CHOSEN = [
    BUCKETS,
    LAST,
    Settings(sensors={"every": 2.5, "wait": 0.0, "max_open": 3}),
    Settings(
        sensors={"wait": 2.0},
        groups={"oven": {"sensors": {"every": 10.0}}, "press": {"sensors": {"mode": "last"}}},
    ),
]
each_way = pytest.mark.parametrize("chosen", CHOSEN, ids=["bucket", "last", "count", "groups"])


@given(st.lists(SAMPLES, max_size=40), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_within_the_bound_does_not_matter(
    samples: list[Sample], chance: random.Random
) -> None:
    distinct = {(each.group, each.time, each.sensor): each for each in samples}
    known = sorted(distinct.values(), key=lambda each: each.time)
    begin = [Sample(group, -1.0, "begin", 0.0) for group in ("oven", "press", "saw") * 2]
    end = [Sample(group, 900.0, "end", 0.0) for group in ("oven", "press", "saw")]
    numbered = came([*begin, *known, *end])
    middle = numbered[len(begin) : len(begin) + len(known)]
    late = sorted(middle, key=lambda each: each[0].time + chance.uniform(0, 0.99 * WAIT))

    outcome = run([*numbered[: len(begin)], *late, *numbered[len(begin) + len(known) :]], BUCKETS)

    assert not [each for each in outcome if isinstance(each, Refused)]
    assert readings(outcome) == readings(run(numbered, BUCKETS))


@each_way
@given(st.lists(st.one_of(SAMPLES, WILD), max_size=40))
@settings(deadline=None)
def test_every_sample_is_in_one_reading_or_refused_or_waits(
    chosen: Settings, samples: list[Sample]
) -> None:
    stream, assembler = came(samples), Assembler(chosen, "in", 0)
    outcome: list[Outcome] = []
    for sample, message in stream:
        outcome += take(assembler, sample, message)

    placed = [offset for each in outcome for offset in offsets(each)]
    assert len(set(placed)) == len(placed)
    assert len(placed) + assembler.waiting == len(stream)
    left = set(range(len(stream))) - set(placed)
    assert assembler.earliest() == min(left, default=None)


@each_way
@given(st.lists(st.one_of(SAMPLES, WILD), max_size=40), st.sets(st.integers(0, 40)))
@settings(deadline=None)
def test_cutting_the_stream_into_snapshots_changes_nothing(
    chosen: Settings, samples: list[Sample], cuts: set[int]
) -> None:
    stream = came(samples)

    assert run(stream, chosen, cuts) == run(stream, chosen)


@given(st.lists(st.one_of(SAMPLES, WILD), max_size=60))
@settings(deadline=None)
def test_no_more_waits_than_the_count_allows(samples: list[Sample]) -> None:
    assembler = Assembler(Settings(sensors={"wait": 1e9, "max_open": 5}), "in", 0)
    for sample, message in came(samples):
        take(assembler, sample, message)
        assert assembler.waiting <= 5 * len(assembler)


@given(st.lists(st.one_of(SAMPLES, WILD), max_size=60), st.sets(st.integers(0, 60)))
@settings(deadline=None)
def test_no_more_waits_than_the_bytes_allow_wherever_it_is_cut(
    samples: list[Sample], cuts: set[int]
) -> None:
    chosen = Settings(sensors={"wait": 1e9}, groups={"max_waiting_bytes": 5 * SIZE})
    stream, assembler = came(samples), Assembler(chosen, "in", 0)
    for sample, message in stream:
        take(assembler, sample, message)
        assert assembler.waiting <= 5

    assert run(stream, chosen, cuts) == run(stream, chosen)


def test_the_group_with_most_bytes_is_closed_and_told_where_too_many_wait() -> None:
    assembler = Assembler(Settings(groups={"max_waiting_bytes": 5 * SIZE}), "in", 0)
    samples = [Sample(name, 0.1 * at, "heat", 1.0) for at, name in enumerate("xyyyxz")]

    *_, outcome = [take(assembler, *each) for each in came(samples)]

    [reading] = outcome
    assert isinstance(reading, Assembled)
    assert reading.group == "y"
    assert offsets(reading) == [1, 2, 3]
    assert assembler.waiting == 3
    assert [*assembler.relieved()] == [("y", 1)]
    assert [*assembler.relieved()] == []


def test_a_late_sample_is_refused_and_says_when_it_should_have_come() -> None:
    stream = came([Sample("oven", time, "heat", 1.0) for time in (0.0, 0.5, 5.0, 0.7)])

    *_, refused = run(stream, BUCKETS)

    assert isinstance(refused, Refused)
    assert (refused.reason, refused.message.offset) == ("late", 3)
    assert refused.detail == "expected `ts` from 2.0 on, got 0.7"


def test_the_latest_value_of_a_sensor_counts_however_it_came() -> None:
    samples = [Sample("oven", time, "heat", value) for time, value in ((0.0, 1.0), (0.9, 2.0),
               (0.5, 3.0), (9.0, 4.0))]  # fmt: skip

    [reading] = run(came(samples), BUCKETS)

    assert isinstance(reading, Assembled)
    assert reading.values == {"heat": 2.0}
    assert offsets(reading) == [0, 1, 2]


def test_one_wrong_clock_closes_nothing_and_is_a_reading_of_its_own() -> None:
    times = [0.0, 0.1, 4e9, 0.2, 9.0]
    outcome = run(came([Sample("oven", time, "heat", 1.0) for time in times]), BUCKETS)

    assert [(each.time, offsets(each)) for each in outcome if isinstance(each, Assembled)] == [
        (4e9, [2]),
        (0.0, [0, 1, 3]),
    ]


def test_a_silent_group_is_closed_by_the_time_of_the_others() -> None:
    quiet = [Sample("oven", 0.0, "heat", 1.0), Sample("oven", 0.2, "flow", 2.0)]
    others = [Sample("saw", float(time), "speed", 1.0) for time in range(6)]

    outcome = run(came([*quiet, *others]), BUCKETS)

    assert ("oven", 0.0, [("flow", 2.0), ("heat", 1.0)], [0, 1]) in readings(outcome)
    assert not [each for each in run(came([*quiet, *others[:4]]), BUCKETS)
                if each.group == "oven"]  # type: ignore[union-attr]  # fmt: skip


def test_a_time_that_stands_still_is_closed_by_count() -> None:
    chosen = Settings(sensors={"max_open": 3})
    outcome = run(came([Sample("oven", 7.0, "heat", float(at)) for at in range(5)]), chosen)

    reading, refused = outcome
    assert offsets(reading) == [0, 1, 2, 3]
    assert isinstance(refused, Refused)
    assert refused.reason == "late"


def test_a_group_too_many_is_refused() -> None:
    chosen = Settings(groups={"max": 1})
    [refused] = run(came([Sample(name, 0.0, "heat", 1.0) for name in ("oven", "saw")]), chosen)

    assert isinstance(refused, Refused)
    assert (refused.reason, refused.message.offset) == ("groups-full", 1)


def test_a_group_that_is_forgotten_gives_its_place_away_unless_something_of_it_waits() -> None:
    assembler = Assembler(Settings(groups={"max": 1}, sensors={"mode": "last"}), "in", 0)
    [(one, first), (other, second)] = came([Sample(g, 0.0, "heat", 1.0) for g in ("oven", "saw")])
    take(assembler, one, first)
    assembler.forget("oven")
    [reading] = take(assembler, other, second)
    assert isinstance(reading, Assembled)

    waiting = Assembler(BUCKETS, "in", 0)
    take(waiting, one, first)
    waiting.forget("oven")
    assert waiting.waiting == 1


@pytest.mark.parametrize("other", [{"every": 5.0}, {"mode": "last"}, {"wait": 0.0}])
def test_other_settings_close_what_waits_and_lose_nothing(other: dict[str, object]) -> None:
    stream = came([Sample("oven", time, "heat", 1.0) for time in (0.0, 0.5, 2.5, 2.7, 9.0, 99.0)])
    before = Assembler(BUCKETS, "in", 0)
    outcome = [one for sample, message in stream[:3] for one in take(before, sample, message)]
    assert not outcome

    after = Assembler(Settings(sensors=other), "in", 0, before.pack())
    for sample, message in stream[3:]:
        outcome += take(after, sample, message)

    assert offsets(outcome[0]) == [0, 1]
    placed = [offset for each in outcome for offset in offsets(each)]
    assert len(placed) == len(set(placed)) == len(stream) - after.waiting


def test_how_many_came_out_of_order_is_told_once() -> None:
    assembler = Assembler(BUCKETS, "in", 0)
    for sample, message in came([Sample("oven", t, "heat", 1.0) for t in (0.0, 0.5, 2.5, 1.5)]):
        take(assembler, sample, message)

    assert list(assembler.disordered()) == [("oven", 1)]
    assert not list(assembler.disordered())


def test_what_has_not_changed_is_not_packed_again() -> None:
    assembler = Assembler(BUCKETS, "in", 0)
    for sample, message in came([Sample("oven", 0.0, "heat", 1.0)]):
        take(assembler, sample, message)

    packed = assembler.pack()
    assert assembler.pack() is packed
    assert Assembler(BUCKETS, "in", 0, packed).pack() is packed


@pytest.mark.parametrize("damaged", [b"\x93\x63\x90\x90", b"\xc1", b"\x90"])
def test_what_another_release_packed_is_refused(damaged: bytes) -> None:
    with pytest.raises(StateError, match="samples of the source: expected format 1"):
        Assembler(BUCKETS, "in", 0, damaged)
