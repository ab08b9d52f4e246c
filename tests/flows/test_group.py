"""The engine's shell around a group's step: snapshots, settings that change, and large blocks."""

import numpy as np
import pytest

from flows.events import Tally
from flows.group import GroupLogic, Steps
from flows.items import Encoded, Expiry
from flows.settings import Settings
from flows.wire import CodeMessage, decode_codes
from tests.checks.sink import block


def test_a_restored_group_goes_on_as_if_nothing_had_happened() -> None:
    straight, stopped = logic(), logic()
    straight.on_batch([block("press-0", range(100))])
    stopped.on_batch([block("press-0", range(100))])

    restored = logic(resume=stopped.snapshot())

    expected, _ = straight.on_batch([block("press-0", range(100, 200))])
    got, _ = restored.on_batch([block("press-0", range(100, 200))])
    assert codes(got) == codes(expected)
    assert codes(got)[-1].version > 0


def test_a_snapshot_is_the_same_object_until_a_block_comes() -> None:
    group = logic()
    group.on_batch([block("press-0", range(10))])
    packed = group.snapshot()
    assert group.snapshot() is packed

    group.on_batch([block("press-0", range(10, 20))])

    assert group.snapshot() != packed


def test_a_restored_group_that_got_no_block_keeps_its_snapshot() -> None:
    group = logic()
    group.on_batch([block("press-0", range(10))])
    packed = group.snapshot()

    assert logic(resume=packed).snapshot() == packed


def test_a_group_starts_anew_when_what_it_learned_under_has_changed() -> None:
    tally = Tally()
    before = logic()
    before.on_batch([block("press-0", range(100))])
    smaller = Settings.model_validate({"channels": {"max_frame": 100}})

    changed = logic(smaller, tally, before.snapshot())
    got, _ = changed.on_batch([block("press-0", range(100, 110))])

    assert {code.version for code in codes(got)} == {0}
    assert tally.oddities["group_restarted"] == 1


def test_a_group_without_a_snapshot_goes_on_with_the_dictionary_that_is_remembered() -> None:
    [*_, encoded], _ = logic().on_batch([block("press-0", range(300))])
    version = encoded.published[-1].version
    remembered = {"press-0": version}.get

    known = Steps(Settings(), Tally(), remembered)(None)
    got, _ = known.on_batch([block("press-0", range(300, 310))])
    other = Steps(Settings(), Tally(), remembered)(None)
    new, _ = other.on_batch([block("press-1", range(300, 310))])

    assert {code.id for code in codes(got)} == {version.id}
    assert {code.version for code in codes(new)} == {0}


def test_a_setting_that_acts_at_once_keeps_what_was_learned() -> None:
    tally = Tally()
    before = logic()
    before.on_batch([block("press-0", range(100))])
    looser = Settings.model_validate({"coding": {"tolerance": 0.5}})

    changed = logic(looser, tally, before.snapshot())
    got, _ = changed.on_batch([block("press-0", range(100, 110))])

    assert min(code.version for code in codes(got)) > 0
    assert max(code.error or 0.0 for code in codes(got)) > 0.1
    assert tally.oddities["group_restarted"] == 0


def test_codes_of_a_block_are_halved_until_each_message_is_small_enough() -> None:
    settings = Settings.model_validate(
        {"codes": {"layout": "block"}, "kafka": {"max_message_bytes": 4096}}
    )
    rows = block("press-0", range(64), channels=64)
    rows.stamps[:] = [float(row) for row in range(64)]

    [encoded], _ = logic(settings).on_batch([rows])

    assert all(len(output.value or b"") <= 4096 for output in encoded.codes)
    assert sum(output.readings for output in encoded.codes) == 64
    assert [code.offset for code in codes([encoded])] == list(range(64))
    firsts = np.cumsum([0, *(output.readings for output in encoded.codes)])[:-1]
    assert [output.stamp for output in encoded.codes] == firsts.tolist()


@pytest.mark.parametrize("layout", ["reading", "block"])
def test_a_dictionary_is_handed_on_beside_the_codes_that_name_it(layout: str) -> None:
    settings = Settings.model_validate({"codes": {"layout": layout}})

    [encoded], _ = logic(settings).on_batch([block("press-0", range(300))])

    published = {each.version.id for each in encoded.published}
    assert {code.id for code in codes([encoded])} == published


def test_what_a_batch_did_is_counted_by_group() -> None:
    tally = Tally()
    group = logic(tally=tally)

    group.on_batch([block("press-0", range(40)), block("press-0", range(40, 70))])
    packed = group.snapshot()

    assert tally.readings_coded == {"press-0": 70}
    assert tally.version["press-0"] > 0
    assert tally.state_bytes == {"press-0": len(packed)}


def test_a_group_whose_time_is_over_is_let_go_of() -> None:
    tally = Tally()
    group = logic(tally=tally)
    group.on_batch([block("press-0", range(100))])
    group.snapshot()

    got, let_go = group.on_batch([Expiry("press-0", 0, 500, 7.0)])

    assert (got, let_go) == ([], True)
    assert (tally.groups_begun, tally.groups_expired) == (1, 1)
    assert (tally.surprise, tally.version, tally.last_reading, tally.state_bytes) == ({},) * 4


def test_a_group_that_comes_again_after_its_time_begins_anew() -> None:
    tally = Tally()
    group, anew = logic(tally=tally), logic()
    rows = [block("press-0", range(200, 300)), block("press-0", range(300, 400))]
    group.on_batch([block("press-0", range(200))])

    got, let_go = group.on_batch([rows[0], Expiry("press-0", 0, 500, 7.0), rows[1]])

    expected, _ = anew.on_batch([rows[1]])
    assert not let_go
    assert codes(got)[0].version > 0
    assert codes(got)[100:] == codes(expected)
    assert (tally.groups_begun, tally.groups_expired) == (2, 1)
    assert tally.readings_coded == {"press-0": 100, "__other__": 300}


def test_a_restored_group_may_be_forgotten_before_any_block_comes() -> None:
    before = logic()
    before.on_batch([block("press-0", range(100))])

    restored = logic(resume=before.snapshot())
    _, let_go = restored.on_batch([Expiry("press-0", 0, 500, 7.0)])

    assert let_go


def test_a_group_on_a_second_partition_is_told_once_for_each() -> None:
    tally = Tally()
    group = logic(tally=tally)

    for number in (0, 0, 2, 0, 2, 5):
        group.on_batch([block("press-0", range(number, number + 1), partition=number)])

    assert tally.oddities["second_partition"] == 2


def logic(
    settings: Settings | None = None, tally: Tally | None = None, resume: bytes | None = None
) -> GroupLogic:
    step = Steps(settings or Settings(), tally or Tally())(resume)
    assert isinstance(step, GroupLogic)
    return step


def codes(batch: object) -> list[CodeMessage]:
    assert isinstance(batch, list)
    found: list[CodeMessage] = []
    for encoded in batch:
        assert isinstance(encoded, Encoded)
        for output in encoded.codes:
            found += decode_codes(output.value or b"")
    return found


@pytest.mark.parametrize("layout", ["reading", "block"])
def test_a_message_knows_the_positions_of_its_readings(layout: str) -> None:
    group = logic(Settings.model_validate({"codes": {"layout": layout}}))

    [encoded], _ = group.on_batch([block("press-0", range(7, 300, 3), partition=2)])

    for output in encoded.codes:
        offsets = [code.offset for code in decode_codes(output.value or b"")]
        assert (output.partition, output.first, output.last) == (2, offsets[0], offsets[-1])
        assert output.readings == len(offsets)
