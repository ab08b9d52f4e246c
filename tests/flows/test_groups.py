"""The groups of a partition: what is known of them, how many there may be, and for how long."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from flows.groups import Groups
from flows.items import Arrived, Expiry, GroupBlock
from flows.settings import Settings
from flows.state import StateError
from flows.wire import Reading, Rejected
from oodl.channels import Refusal, Row
from tests.flows.partition import Raw, opened

HOUR = 3600.0


def settings(**groups: object) -> Settings:
    return Settings.model_validate({"groups": groups})


def reading(group: str, time: float = 0.0, *values: float) -> Reading:
    return Reading(group, time, list(values) or [1.0, 2.0])


def admitted(groups: Groups, *names: str) -> list[bool]:
    return [isinstance(groups.admit(reading(name)), Row) for name in names]


def test_what_is_known_of_the_channels_outlives_a_snapshot() -> None:
    groups = Groups(Settings())
    for moment in range(25):
        groups.admit(Reading("press-0", float(moment), {"flow": 1.0, "speed": 2.0}))

    restored = Groups(Settings(), groups.pack())

    row = restored.admit(Reading("press-0", 25.0, {"speed": 2.0}))
    assert isinstance(row, Row)
    assert (row.channels, row.settled) == (("flow", "speed"), True)


def test_a_group_of_which_only_the_channels_are_remembered_goes_on_with_them() -> None:
    known = {"press-0": ("flow", "speed"), "press-1": ("0", "1")}
    groups = Groups(Settings(), remembered=lambda group: known.get(group, ()))

    named = groups.admit(Reading("press-0", 0.0, {"speed": 2.0}))
    other = [groups.admit(reading("press-1", float(row), 1.0, 2.0, 3.0)) for row in range(100)]

    assert isinstance(named, Row)
    assert (named.channels, named.settled) == (("flow", "speed"), True)
    assert [isinstance(row, Refusal) for row in other] == [True] * 99 + [False]


def test_channels_are_packed_anew_only_when_some_have_changed() -> None:
    groups = Groups(Settings())
    for row in range(25):
        groups.admit(reading("press-0", float(row)))
    packed = groups.pack()
    groups.admit(reading("press-0", 26.0))
    assert groups.pack() is packed

    groups.admit(reading("press-0", 27.0, 1.0, 2.0, 3.0))
    changed = groups.pack()
    assert changed != packed
    groups.admit(reading("press-0", 28.0))

    assert groups.pack() not in (packed, changed)


def test_a_group_beyond_the_bound_is_refused_and_those_known_go_on() -> None:
    groups = Groups(settings(max=2))

    assert admitted(groups, "a", "b", "c", "a", "c", "b") == [True, True, False, True, False, True]

    refused = groups.admit(reading("c"))
    assert refused == Refusal(
        "groups-full", "expected at most groups.max = 2 groups a partition, got 'c'"
    )


def test_a_reading_that_does_not_fit_takes_no_one_s_place() -> None:
    groups = Groups(settings(max=1))
    too_many = [1.0] * 300

    for name in ("a", "b", "c"):
        refused = groups.admit(reading(name, 0.0, *too_many))
        assert isinstance(refused, Refusal)
        assert refused.reason == "length"

    assert admitted(groups, "d", "e") == [True, False]


def test_a_restart_knows_who_is_in() -> None:
    groups = Groups(settings(max=2))
    admitted(groups, "a", "b")

    restored = Groups(settings(max=2), groups.pack())

    assert len(restored) == 2
    assert admitted(restored, "c", "b", "a") == [False, True, True]


def test_a_bound_that_was_lowered_takes_no_one_out() -> None:
    groups = Groups(settings(max=3))
    admitted(groups, "a", "b", "c")

    lowered = Groups(settings(max=1), groups.pack())

    assert admitted(lowered, "a", "b", "c", "d") == [True, True, True, False]


def test_a_group_that_is_forgotten_leaves_its_place_to_another() -> None:
    bounded = settings(max=2, ttl=60)
    groups = Groups(bounded)
    for name, moment in (("a", 0.0), ("b", 0.0), ("b", 50.0)):
        assert groups.expire(reading(name, moment)) == []
        groups.admit(reading(name, moment))
    assert admitted(groups, "c") == [False]

    assert groups.expire(reading("c", 61.0)) == ["a"]

    assert "a" not in groups
    assert admitted(groups, "c", "a") == [True, False]
    assert admitted(Groups(bounded, groups.pack()), "a", "b", "c") == [False, True, True]


def test_groups_that_are_refused_move_the_time_so_that_full_is_not_for_ever() -> None:
    groups = Groups(settings(max=2, ttl=60))
    for name in ("a", "b"):
        groups.expire(reading(name, 0.0))
        groups.admit(reading(name, 0.0))

    assert groups.expire(reading("c", 61.0)) == ["a", "b"]
    assert admitted(groups, "c") == [True]


def test_a_bound_on_silence_that_is_taken_up_again_starts_from_then() -> None:
    # given groups that were counted by event time, then not
    bounded, unbounded = settings(ttl=60), settings()
    groups = Groups(bounded)
    for moment in range(0, 50, 10):
        for name in ("a", "b"):
            assert groups.expire(reading(name, float(moment))) == []
            groups.admit(reading(name, float(moment)))
    without = Groups(unbounded, groups.pack())
    assert without.expire(reading("b", 1e6)) == []
    # when they are again
    again = Groups(bounded, without.pack())
    # then none is forgotten at once
    for later in (1e6, 1e6 + 59):
        for name in ("b", "c"):
            assert again.expire(reading(name, later)) == []
            again.admit(reading(name, later))
    assert again.expire(reading("b", 1e6 + 61)) == ["a"]


def test_channels_whose_dictionary_would_not_fit_a_message_are_dead_letters() -> None:
    # given a limit that a dictionary of 64 channels is beyond
    small = Settings.model_validate({"kafka": {"max_message_bytes": 16_384}})
    groups = Groups(small)

    refused = groups.admit(reading("a", 0.0, *[1.0] * 64))

    assert isinstance(refused, Refusal)
    assert refused.reason == "length"
    assert "16384" in refused.detail
    assert "a" not in groups
    assert isinstance(groups.admit(reading("a", 0.0, *[1.0] * 32)), Row)
    # nor one whose names are as long, with channels that were settled before or not
    for _ in range(30):
        named = groups.admit(Reading("b", 0.0, {"x" * 20_000: 1.0}))
        assert isinstance(named, Refusal)
    held = Groups(Settings.model_validate({"kafka": {"max_message_bytes": 1_048_576}}))
    for _ in range(30):
        held.admit(reading("a", 0.0, *[1.0] * 64))
    lowered = Groups(small, held.pack())
    for _ in range(3):
        assert isinstance(lowered.admit(reading("a", 0.0, *[1.0] * 64)), Refusal)
        lowered.pack()


@pytest.mark.parametrize(
    "packed", [b"x", b"\x91\x01", b"\x94\x63\x90\xc4\x00\x94\x00\xc0\xc0\xa0", bytes(100)]
)
def test_what_another_release_packed_is_refused_by_name(packed: bytes) -> None:
    with pytest.raises(StateError, match="state of the source: expected format 2"):
        Groups(Settings(), packed)


def test_damage_of_any_byte_is_refused_or_read() -> None:
    groups = Groups(settings(ttl=60))
    admitted(groups, *(f"press-{number}" for number in range(5)))
    packed = groups.pack()
    for place in range(len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 0xFF
        try:
            Groups(settings(ttl=60), bytes(damaged))
        except StateError:
            continue


def test_a_million_names_take_no_more_memory_than_the_bound_allows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given a topic whose every reading has another group
    caplog.set_level(logging.CRITICAL, "flows")
    size, turns = 5000, 200

    def batches() -> Iterator[list[Raw]]:
        for turn in range(turns):
            first = turn * size
            yield [
                Raw(offset, b"group-%d" % offset, b'{"ts": 1, "values": [1, 2]}')
                for offset in range(first, first + size)
            ]

    bounded = settings(max=20_000)
    part, process, held = opened(bounded, batches()).part, psutil.Process(), []
    blocks = letters = 0
    # when it is read
    for turn in range(turns):
        for _, item in part.next_batch():
            blocks += isinstance(item, GroupBlock)
            letters += isinstance(item, Rejected)
        if turn % 20 == 19:
            part.snapshot()
        held.append(process.memory_info().rss)
    # then the first are in, the others dead letters, and memory grows with neither
    assert (blocks, letters) == (20_000, 980_000)
    after_bound = held[20_000 // size + 20]
    assert held[-1] < 1.1 * after_bound


def test_names_that_come_once_leave_nothing_behind() -> None:
    # given a topic whose every reading has another group, and groups that are forgotten
    size, turns, ttl = 5000, 45, 600  # settings remember up to 100,000 names

    def batches() -> Iterator[list[Raw]]:
        for turn in range(turns):
            first = turn * size
            yield [
                Raw(offset, b"group-%d" % offset, b'{"ts": %d, "values": [1, 2]}' % (offset // 2))
                for offset in range(first, first + size)
            ]

    part = opened(settings(ttl=ttl), batches()).part
    alive, held, packed = set[str](), [], []
    expired = 0
    # when it is read
    for turn in range(turns):
        for group, item in part.next_batch():
            if isinstance(item, Expiry):
                alive.remove(group)
                expired += 1
            else:
                assert isinstance(item, GroupBlock)
                alive.add(group)
        if turn % 4 == 3:
            packed.append(len(part.snapshot()[1]))
        held.append(sys.getallocatedblocks())
    # then each was let in, those that are silent go, and neither memory nor snapshots grow
    assert len(alive) + expired == size * turns
    assert len(alive) < 2 * ttl + size
    assert packed[-1] < 1.1 * packed[0]
    assert held[44] - held[24] < 10_000  # 100,000 names have passed in between


def traffic(seed: int = 7) -> list[Raw]:
    """Readings of groups of which some are silent for a while, and some come late."""
    rng = np.random.default_rng(seed)
    raws = []
    for offset in range(6000):
        awake = range(12) if offset % 3000 < 1500 else range(4)
        group = int(rng.choice(awake))
        body = {"ts": offset * 2.0 - 100 * (group == 1), "values": rng.standard_normal(3).tolist()}
        raws.append(Raw(offset, b"press-%d" % group, json.dumps(body).encode()))
    return raws


def told(items: list[Arrived]) -> list[tuple[str, str, Any]]:
    """Items by group: readings and where they are forgotten, in order; then what is refused."""
    found: list[tuple[str, str, Any]] = []
    refused: list[tuple[str, str, Any]] = []
    for group, item in items:
        match item:
            case GroupBlock():
                found += [(group, "row", offset) for offset in item.block.offsets.tolist()]
            case Expiry():
                found.append((group, "expiry", None))
            case Rejected():
                refused.append((group, item.reason, item.message.offset))
    return sorted(found, key=lambda each: each[0]) + sorted(
        refused
    )  # stable: a group's order stays


@pytest.mark.parametrize(("size", "restarts"), [(1, 0), (7, 3), (613, 1), (5000, 0)])
def test_a_replay_decides_the_same_however_it_is_cut(size: int, restarts: int) -> None:
    raws, bounded = traffic(), settings(max=10, ttl=1200)

    def decide(size: int, restarts: int) -> list[tuple[str, str, Any]]:
        batches = [raws[first : first + size] for first in range(0, len(raws), size)]
        items, state = list[Arrived](), None
        part = opened(bounded, batches).part
        for number in range(len(batches)):
            items += part.next_batch()
            if restarts and number % restarts == 0:
                state = part.snapshot()
                part = opened(bounded, batches[number + 1 :], state).part
        return told(items)

    expected = decide(97, 0)
    kinds = [kind for _, kind, _ in expected]
    assert kinds.count("expiry") >= 6
    assert kinds.count("groups-full") > 0
    assert decide(size, restarts) == expected


def test_a_snapshot_s_work_grows_with_what_has_changed_and_not_with_the_groups() -> None:
    def work(count: int) -> float:
        """CPU seconds of snapshots between which one group changes."""
        groups = Groups(settings(max=10**6))
        admitted(groups, *(f"press-{number}" for number in range(count)))
        groups.pack()
        began = time.process_time()
        for turn in range(200):
            groups.admit(reading(f"press-{turn * 37 % count}", 0.0, *[1.0] * (turn % 5 + 1)))
            groups.pack()
        return time.process_time() - began

    small, large = work(500), work(50_000)

    assert large < 10 * small  # it was 100 times the work when all groups were packed together
