import base64

import msgspec
import numpy as np
import pytest

from flows.tools.feed import Sent
from flows.tools.fleet import Fleet
from flows.tools.ledger import PATIENCE, VERSIONS_KEPT, Ledger
from flows.tools.second_decoder import content_id
from tests.flows import short_run
from tests.flows.short_run import PARTITION, ShortRun

FOREVER = float("inf")


@pytest.fixture(params=["press-1", "vibration-1"])
def run(request: pytest.FixtureRequest) -> ShortRun:
    return short_run.run(Fleet(seed=1).sources[request.param])


def test_a_run_without_a_flaw_leaves_nothing_open(run: ShortRun) -> None:
    ledger = Ledger()

    compared = run.enter(ledger)

    assert ledger.lost(FOREVER) == 0
    assert ledger.readings == ledger.codes == ledger.decoded == len(compared) == 200
    assert 0 < ledger.codes_version_0 < 200
    assert 1 <= ledger.versions < len(run.dictionaries)
    assert 0.05 < ledger.largest_error <= 0.1
    assert ledger.recomputed_error_difference < 1e-5
    assert ledger.problems == {}


def test_missing_channels_are_compared_over_those_that_are_there() -> None:
    gaps = [(3, "coolant_bar"), (150, "coolant_bar"), (150, "spindle_rpm"), (199, "motor_volts")]
    run = short_run.run(Fleet(seed=1).sources["press-1"], missing=gaps)
    ledger = Ledger()

    compared = run.enter(ledger)

    assert [int(np.isnan(compared[row].sent).sum()) for row in (3, 4, 150, 199)] == [1, 0, 2, 1]
    assert ledger.lost(FOREVER) == 0
    assert ledger.largest_error <= 0.1
    assert ledger.recomputed_error_difference < 1e-5


def test_the_order_in_which_news_arrives_does_not_matter(run: ShortRun) -> None:
    in_order, late = Ledger(), Ledger()

    run.enter(in_order)
    for code in run.codes:
        late.code(code, now=0.0)
    first = late.settle(now=0.0)
    for document in run.dictionaries:
        late.dictionary(document)
    second = late.settle(now=1.0)
    for reading in run.sent:
        late.sent(reading)
    third = late.settle(now=2.0)

    assert (first, second) == ([], [])
    assert [each.code for each in third] == run.codes
    assert late.largest_error == in_order.largest_error
    assert late.lost(FOREVER) == 0


def test_a_reading_whose_code_never_came_is_lost(run: ShortRun) -> None:
    run.codes = run.codes[:120] + run.codes[121:]
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.lost(FOREVER) == 1
    assert ledger.decoded == 199


def test_a_reading_sent_after_the_time_asked_for_is_not_lost_yet(run: ShortRun) -> None:
    ledger = Ledger()
    run.codes = run.codes[:-10]

    run.enter(ledger)

    assert ledger.lost(run.sent[-11].ts) == 0
    assert ledger.lost(run.sent[-6].ts) == 5
    assert ledger.lost(FOREVER) == 10


def test_a_dead_letter_accounts_for_its_reading_whichever_comes_first(run: ShortRun) -> None:
    ledger = Ledger()
    ledger.dead_letter((PARTITION, 5), now=0.0)
    ledger.settle(now=0.0)
    run.codes = [code for code in run.codes if code.offset not in (5, 7)]

    run.enter(ledger, now=1.0)
    ledger.dead_letter((PARTITION, 7), now=2.0)
    ledger.settle(now=2.0)

    assert ledger.lost(FOREVER) == 0
    assert ledger.dead_letters == 2


def test_a_dead_letter_of_another_partition_accounts_for_nothing(run: ShortRun) -> None:
    ledger = Ledger()
    run.codes.pop(5)

    run.enter(ledger)
    ledger.dead_letter((PARTITION + 1, 5), now=0.0)
    ledger.settle(now=0.0)

    assert ledger.lost(FOREVER) == 1


def test_an_error_that_is_stated_wrongly_shows_as_a_difference(run: ShortRun) -> None:
    code = run.codes[-1]
    assert code.error is not None
    code.error += 0.01
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.recomputed_error_difference == pytest.approx(0.01, abs=1e-5)


def test_an_error_that_is_not_stated_shows_as_a_difference(run: ShortRun) -> None:
    run.codes[-1].error = None
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.recomputed_error_difference > 0.01


def test_a_value_that_is_off_shows_as_a_larger_error(run: ShortRun) -> None:
    code = run.codes[-1]
    code.values = [code.values[0] + 2.0, *code.values[1:]]
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.largest_error > 0.25
    assert ledger.recomputed_error_difference > 0.15


def test_a_reading_that_was_sent_otherwise_shows_as_a_larger_error(run: ShortRun) -> None:
    run.sent[-1] = msgspec.structs.replace(run.sent[-1], values=run.sent[-2].values)
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.largest_error > 0.25


def test_a_version_0_that_is_not_exact_shows(run: ShortRun) -> None:
    code = run.codes[0]
    code.values = [code.values[0] * (1 + 1e-3), *code.values[1:]]
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.recomputed_error_difference > 1e-4


def test_a_dictionary_whose_content_has_another_name_is_refused(run: ShortRun) -> None:
    document = run.dictionaries[-1]
    document.dictionary = document.dictionary[:-4] + np.float32(0.5).tobytes()
    of_it = sum(code.id == document.id for code in run.codes)
    ledger = Ledger()

    run.enter(ledger)
    ledger.settle(now=PATIENCE)

    assert of_it > 0
    assert ledger.lost(FOREVER) == of_it
    assert any("its content is named" in problem for problem in ledger.problems)
    assert ledger.problems[
        f"codes of {document.group}: name the dictionary {document.id}, which is not there"
    ] == of_it  # fmt: skip


def test_a_transposed_dictionary_under_its_right_name_shows_as_an_error(run: ShortRun) -> None:
    document = run.dictionaries[-1]
    size = len(document.channels)
    stored = np.frombuffer(document.dictionary, "<f4").reshape(size, size)
    document.dictionary = np.ascontiguousarray(stored.T).tobytes()
    named = content_id(document)
    for code in run.codes:
        code.id = named if code.id == document.id else code.id
    document.id = named
    ledger = Ledger()

    run.enter(ledger)

    assert ledger.largest_error > 0.1
    assert ledger.recomputed_error_difference > 1e-2


@pytest.mark.parametrize(
    "damage",
    [
        {"atoms": [0, 99], "values": [1.0, 1.0]},
        {"atoms": [0], "values": [1.0, 2.0]},
        {"missing": [0]},
        {"missing": [99]},
        {"values": [float("nan")], "atoms": [0]},
    ],
    ids=str,
)
def test_a_code_that_does_not_decode_leaves_its_reading_lost(
    run: ShortRun, damage: dict[str, list[float]]
) -> None:
    for name, content in damage.items():
        setattr(run.codes[-1], name, content)
    ledger = Ledger()

    run.enter(ledger)
    ledger.settle(now=PATIENCE)

    assert ledger.lost(FOREVER) == 1
    assert ledger.decoded == 199
    assert list(ledger.problems.values()) == [1]


def test_a_code_for_a_position_at_which_nothing_was_sent_is_told(run: ShortRun) -> None:
    run.codes[-1].offset = 1_000_000
    ledger = Ledger()

    run.enter(ledger)
    ledger.settle(now=PATIENCE)

    assert ledger.lost(FOREVER) == 1
    assert [problem for problem in ledger.problems if "nothing was sent" in problem]


def test_a_tail_of_old_versions_is_forgotten_and_version_0_is_not(run: ShortRun) -> None:
    ledger = Ledger()
    newest = run.dictionaries[-1]
    for number in range(3 * VERSIONS_KEPT):
        renamed = msgspec.structs.replace(newest, usual=number + 1, version=number + 1)
        ledger.dictionary(msgspec.structs.replace(renamed, id=content_id(renamed)))
    run.codes = [code for code in run.codes if code.version == 0]

    run.enter(ledger)
    kept = [code.offset for code in run.codes]

    assert ledger.decoded == len(kept) > 0


def test_a_dictionary_read_again_is_counted_once(run: ShortRun) -> None:
    ledger = Ledger()
    run.enter(ledger)
    once = ledger.versions

    for document in run.dictionaries:
        ledger.dictionary(document)

    assert ledger.versions == once


def test_the_content_s_name_is_made_from_the_json_message_alone() -> None:
    document = short_run.run(Fleet(seed=1).sources["press-2"]).dictionaries[-1]
    as_json = msgspec.json.decode(msgspec.json.encode(document))

    assert base64.b64decode(as_json["dictionary"]) == document.dictionary
    assert content_id(document) == as_json["id"] == document.id


def test_readings_of_one_message_are_told_apart_by_their_row(run: ShortRun) -> None:
    # given the same run, sent as ten messages of twenty readings
    run.sent = [
        msgspec.structs.replace(reading, offset=place // 20, row=place % 20)
        for place, reading in enumerate(run.sent)
    ]
    run.codes = [
        msgspec.structs.replace(code, offset=code.offset // 20, row=code.offset % 20)
        for code in run.codes
    ]
    ledger = Ledger()
    # when the codes of the last message are missing, which is a dead letter instead
    lost, run.codes = run.codes[180:], run.codes[:180]
    run.enter(ledger)
    assert (len(lost), ledger.decoded, ledger.lost(FOREVER)) == (20, 180, 20)
    ledger.dead_letter((PARTITION, 9), now=0.0)
    ledger.settle(now=0.0)
    # then all are accounted for
    assert ledger.settled
    assert ledger.largest_error <= 0.1


@pytest.mark.parametrize("window", [1, 3])
def test_a_reading_of_samples_is_compared_with_all_of_them(window: int) -> None:
    run = short_run.run(Fleet(seed=1).sources["press-1"], 1002, window=window)
    ledger = Ledger()
    for document in run.dictionaries:
        ledger.dictionary(document)
    for reading in run.sent:
        assert isinstance(reading.values, dict)
        for place, (name, value) in enumerate(reading.values.items()):
            at = 16 * reading.offset + place
            ledger.sent(Sent(reading.group, reading.ts, {name: value}, reading.partition, at))
    for code in run.codes:
        first = code.offset - window + 1
        samples = [16 * first + place for place in range(16 * window)]
        ledger.code(msgspec.structs.replace(code, offset=samples[-1], offsets=samples), now=0.0)

    compared = ledger.settle(now=0.0)

    assert len(compared) == len(run.codes)
    assert ledger.decoded == ledger.readings == 16 * window * len(run.codes)
    assert ledger.lost(FOREVER) == 0
    assert ledger.largest_error <= 0.1
    assert ledger.problems == {}
