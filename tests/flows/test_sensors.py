"""Messages of one sensor each, through the source: a reading is where its last message was."""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from flows.items import Arrived, GroupBlock
from flows.outbox import letter_of
from flows.settings import Settings
from flows.wire import Message, Rejected, origin_headers
from tests.flows.partition import Raw, opened

SENSORS = ("heat", "flow", "speed")


def sample(at: int, group: str, sensor: str, time: float, value: float | None = 1.0) -> Raw:
    body = {"sensor": sensor, "ts": time, "value": value}
    return Raw(at, group.encode(), json.dumps(body).encode())


def machine(seconds: int, groups: tuple[str, ...] = ("oven", "press")) -> list[Raw]:
    """Each second each sensor of each group."""
    places = ((s, g, n) for s in range(seconds) for g in groups for n in SENSORS)
    return [
        sample(at, group, name, second + 0.1 * (at % 3), float(at))
        for at, (second, group, name) in enumerate(places)
    ]


Told = tuple[str, float, tuple[str, ...], list[float], int, list[Any] | None]


def told(items: Iterable[Arrived]) -> list[Told]:
    """The rows of each group, with the position of each and what it is made of."""
    rows: list[Told] = []
    for _, item in items:
        if isinstance(item, GroupBlock):
            block = item.block
            lists = [None] * len(block) if block.origins is None else block.origins.lists()
            rows += zip(
                [item.group] * len(block), block.times.tolist(), [block.channels] * len(block),
                block.values.tolist(), block.offsets.tolist(), lists, strict=True,
            )  # fmt: skip
    return rows


def test_samples_of_a_second_are_a_row_at_the_position_of_what_closed_it() -> None:
    part, _, tally, _ = opened(Settings(), [machine(4, ("oven",))])

    rows = told(part.next_batch())

    assert rows == [
        ("oven", 0.0, ("heat", "flow", "speed"), [0.0, 1.0, 2.0], 6, [0, 1, 2]),
        ("oven", 1.0, ("heat", "flow", "speed"), [3.0, 4.0, 5.0], 9, [3, 4, 5]),
    ]
    assert (tally.readings_received, tally.samples_assembled) == (12, 6)


def test_a_message_with_values_beside_samples_is_a_row_of_its_own() -> None:
    whole = Raw(6, b"oven", b'{"ts": 2.0, "values": {"heat": 7}}')
    part, *_ = opened(Settings(), [[*machine(2, ("oven",)), whole, *machine(0)]])

    [row] = told(part.next_batch())

    assert row == ("oven", 2.0, ("heat",), [7.0], 6, None)


def test_a_cut_anywhere_and_a_start_from_the_snapshot_change_nothing() -> None:
    stream = machine(20)
    whole, *_ = opened(Settings(), [stream])
    expected = sorted(told(whole.next_batch()))
    for cut in range(1, len(stream), 7):
        first, *_ = opened(Settings(), [stream[:cut]])
        rows = told(first.next_batch())
        second, *_ = opened(Settings(), [stream[cut:]], first.snapshot())
        assert sorted(rows + told(second.next_batch())) == expected


def test_a_snapshot_from_before_there_were_samples_is_gone_on_from() -> None:
    first, *_ = opened(Settings(), [machine(4)])
    first.next_batch()
    offset, known, _ = first.snapshot()

    assert offset == 24
    second, *_ = opened(Settings(), [[]], (offset, known, b""))
    assert second.next_batch() == []


def test_no_more_is_committed_than_what_does_not_wait() -> None:
    part, queue, *_ = opened(Settings(), [machine(4, ("oven",)), []])
    part.next_batch()

    assert part.snapshot()[0] == 12
    assert queue.committed == [6]


def test_a_late_sample_is_a_dead_letter_as_it_came() -> None:
    late = sample(12, "oven", "heat", 0.5)
    part, _, tally, _ = opened(Settings(), [[*machine(4, ("oven",)), late]])

    [(_, rejected)] = [item for item in part.next_batch() if isinstance(item[1], Rejected)]

    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.message.value, rejected.at) == ("late", late.body, None)
    assert tally.readings_rejected == {"late": 1}


def test_a_reading_that_does_not_fit_is_a_dead_letter_a_sample_told_by_what_closed_it() -> None:
    chosen = Settings(channels={"max_frame": 2})
    stream = machine(3, ("oven",))
    part, *_ = opened(chosen, [stream])

    found = [item for _, item in part.next_batch() if isinstance(item, Rejected)]

    assert [(each.reason, each.message.offset, each.at) for each in found] == [
        ("length", 0, (0, 6)), ("length", 1, (0, 6)), ("length", 2, (0, 6)),
    ]  # fmt: skip
    assert [each.message.value for each in found] == [raw.body for raw in stream[:3]]
    outputs = [letter_of(chosen, each) for each in found]
    assert {(each.partition, each.first, each.last) for each in outputs} == {(0, 6, 6)}
    assert [dict(each.headers)["oodl-offset"] for each in outputs] == [b"0", b"1", b"2"]


def test_sensors_that_come_seldom_are_missing_and_belong_to_the_group() -> None:
    stream = [
        sample(at, "oven", name, float(second))
        for at, (second, name) in enumerate(
            (s, n) for s in range(40) for n in SENSORS if n != "speed" or s % 5 == 0
        )
    ]
    part, *_ = opened(Settings(), [stream])

    rows = told(part.next_batch())

    assert {row[2] for row in rows} == {SENSORS}
    assert [row[3][2] == 1.0 for row in rows] == [second % 5 == 0 for second in range(len(rows))]


def test_out_of_order_samples_are_counted_by_the_next_snapshot() -> None:
    stream = [sample(at, "oven", "heat", time) for at, time in enumerate((0.0, 0.1, 1.5, 0.9))]
    part, _, tally, _ = opened(Settings(), [stream])
    part.next_batch()
    part.snapshot()

    assert tally.oddities == {"out_of_order": 1}


@pytest.mark.parametrize("mode", ["bucket", "last"])
def test_a_group_whose_time_is_over_is_forgotten_by_both(mode: str) -> None:
    chosen = Settings(sensors={"mode": mode}, groups={"ttl": 60.0, "max": 2})
    stream = machine(2) + [
        sample(12 + second, "oven", "heat", 10.0 * second) for second in range(1, 20)
    ] + [sample(40, "saw", "heat", 190.0)]  # fmt: skip
    part, _, tally, _ = opened(chosen, [stream])

    part.next_batch()

    assert not tally.readings_rejected


def test_what_came_out_of_order_is_told_of_a_forgotten_group_as_well() -> None:
    chosen = Settings(sensors={"mode": "last"}, groups={"ttl": 60.0})
    oven = [sample(0, "oven", "heat", 1.0), sample(1, "oven", "flow", 0.5)]
    part, _, tally, _ = opened(
        chosen, [oven + [sample(2 + at, "press", "heat", 10.0 * at) for at in range(20)]]
    )
    part.next_batch()

    part.snapshot()

    assert tally.oddities == {"out_of_order": 1}


@pytest.mark.parametrize("mode", ["bucket", "last"])
def test_a_group_of_which_nothing_fits_takes_no_place(mode: str) -> None:
    chosen = Settings(sensors={"mode": mode}, groups={"max": 2}, channels={"names": ["heat"]})
    strange = [sample(at, f"saw-{at}", "noise", 0.1 * at) for at in range(2)]
    fitting = [sample(2 + at, "oven", "heat", 5.0 * at) for at in range(5)]
    part, _, tally, _ = opened(chosen, [strange, fitting])
    part.next_batch()

    part.next_batch()

    assert tally.readings_rejected["channel"] == 2
    # then it has one only while something of it waits
    full = tally.readings_rejected.get("groups-full", 0)
    assert full == (2 if mode == "bucket" else 0)


class Internal(Raw):
    """A message of the internal topic, with where it comes from."""

    def headers(self) -> Any:
        was = Message("readings", 3, 100 + self.at // 2, b"heat", self.body, [("h", b"1")], 0.5)
        return origin_headers(was)


def test_of_the_internal_topic_what_came_twice_is_left_out_and_told() -> None:
    chosen = Settings(topics={"repartitioned": "internal"})
    stream: list[Raw] = [Internal(*sample(at, "oven", "heat", at / 2)) for at in range(8)]
    part, _, tally, _ = opened(chosen, [stream])

    rows = told(part.next_batch())

    assert [row[-1] for row in rows] == [[[3, 100]], [[3, 101]]]
    assert tally.oddities == {"repartitioned_twice": 4}
    again, _, tally, _ = opened(chosen, [stream[6:]], part.snapshot())
    assert again.next_batch() == []
    assert tally.oddities == {"repartitioned_twice": 2}


def test_a_dead_letter_of_the_internal_topic_is_the_message_as_it_was_sent() -> None:
    chosen = Settings(topics={"repartitioned": "internal"})
    part, *_ = opened(chosen, [[Internal(7, b"oven", b"{")]])

    [(_, rejected)] = part.next_batch()

    assert isinstance(rejected, Rejected)
    assert rejected.message == Message("readings", 3, 103, b"heat", b"{", [("h", b"1")], 0.5)
    assert rejected.at == (0, 7)
    output = letter_of(chosen, rejected)
    assert (output.partition, output.first, output.last) == (0, 7, 7)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("partition", b"9" * 30), ("partition", b"-1"), ("offset", b"9" * 30), ("offset", b"-1"),
        ("offset", b"9" * 5000), ("timestamp", b"9" * 400), ("timestamp", b"9" * 5000),
    ],
)  # fmt: skip
def test_an_origin_that_is_none_of_ours_costs_no_message_and_does_not_end_the_flow(
    name: str, content: bytes
) -> None:
    class Forged(Internal):
        def headers(self) -> Any:
            return [*super().headers(), (f"oodl-origin-{name}", content)]

    chosen = Settings(topics={"repartitioned": "internal"})
    body = b'{"ts": 1, "values": {"heat": 7}}'
    part, _, tally, _ = opened(chosen, [[Forged(0, b"oven", body), Forged(1, b"oven", b"{")]])

    rows = [item for _, item in part.next_batch() if isinstance(item, GroupBlock)]
    part.snapshot()

    assert [row.block.values.tolist() for row in rows] == [[[7.0]]]
    told = (tally.readings_rejected, tally.oddities)
    assert told in (({"json": 1}, {}), ({}, {"repartitioned_twice": 1}))


def test_large_samples_wait_by_their_bytes_and_what_is_closed_for_it_is_told() -> None:
    # given samples of a megabyte, and a bound of four
    raws = [sample(at, "oven", "heat", 0.1 * at) for at in range(6)]
    large = [raw._replace(body=raw.body[:-1] + b" " * 1_000_000 + b"}") for raw in raws]
    settings = Settings(groups={"max_waiting_bytes": 4_000_000}, sensors={"wait": 1e9})
    case = opened(settings, [large])
    # when they come, and a snapshot is taken
    items = case.part.next_batch()
    case.part.snapshot()
    # then those that had no room any more have become a reading, and what comes late is refused
    assert [row[5] for row in told(items)] == [[0, 1, 2, 3]]
    assert case.tally.oddities["samples_closed_early"] == 1
    assert case.tally.readings_rejected["late"] == 2


def strange(count: int) -> list[Raw]:
    """Samples in every order and form, some of them none, with readings between."""
    rng = np.random.default_rng(5)
    raws = []
    for at in range(count):
        group, sensor = f"press-{at % 3}".encode(), SENSORS[int(rng.integers(3))]
        time = at / 20 + float(rng.normal(0, 0.4)) + 1e6 * (rng.random() < 0.01)
        body: dict[str, Any] = {"sensor": sensor, "ts": time, "value": at}
        odd: list[dict[str, Any]] = [
            {"value": None}, {"value": math.nan}, {"ts": None}, {"ts": int(time)},
            {"ts": "1970-01-01T00:00:05Z"}, {"sensor": ""}, {"sensor": "h\u00f6he"},
            {"group": "other"}, {"group": group.decode()}, {"values": [1.0, 2.0]},
            {"more": "\u00e9"},
        ]  # fmt: skip
        if rng.random() < 0.2:
            body |= odd[int(rng.integers(len(odd)))]
        raws.append(Raw(at, group, json.dumps(body, ensure_ascii=rng.random() < 0.5).encode()))
    return raws


@pytest.mark.parametrize("size", [1, 7, 400])
def test_the_short_way_of_samples_and_the_long_one_lead_to_the_same(size: int) -> None:
    # given that groups whose silence has a bound go the long way
    found = []
    for ttl in (0, 10**12):
        raws = strange(1200)
        batches = [raws[first : first + size] for first in range(0, len(raws), size)]
        groups = {"ttl": ttl, "max_waiting_bytes": 40_000}
        settings = Settings.model_validate({"groups": groups, "sensors": {"max_open": 60}})
        part, _, tally, _ = opened(settings, batches)
        items = [item for _ in batches for item in part.next_batch()]
        part.snapshot()
        letters = [
            (item.message.offset, item.reason, item.detail, item.at)
            for _, item in items
            if isinstance(item, Rejected)
        ]
        counts = tally.samples_assembled, dict(tally.readings_rejected), dict(tally.oddities)
        found.append((told(items), letters, counts))
    # then they do not differ, and what is missing is so in both
    assert repr(found[0]) == repr(found[1])
    assert len(found[0][0]) > 40
    assert len(found[0][1]) > 20
