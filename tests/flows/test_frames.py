"""Frames of several readings on their way: source, group, messages, ledger, and back."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from flows.events import Tally
from flows.group import GroupLogic, Steps
from flows.groups import Groups
from flows.items import ALONE, Expiry, GroupBlock
from flows.settings import Settings
from flows.state import unpack
from flows.tables import TableError
from flows.tools.decode import decode
from flows.tools.fleet import Fleet
from flows.tools.ledger import Ledger
from flows.tools.rebuild import Rebuilder
from flows.tools.try_file import try_file
from flows.wire import CodeMessage, Reading, decode_codes, encode_dictionary, origins, positions
from oodl.block import Ragged
from oodl.channels import Refusal, Row
from oodl.errors import ValueFault
from tests.checks.sink import block
from tests.flows import short_run
from tests.flows.partition import Raw, opened

W = 4


def settings(window: int = W, **sections: dict[str, object]) -> Settings:
    return Settings.model_validate({"coding": {"window": window}, **sections})


def logic(
    given: Settings | None = None, tally: Tally | None = None, resume: bytes | None = None
) -> GroupLogic:
    step = Steps(given or settings(), tally or Tally())(resume)
    assert isinstance(step, GroupLogic)
    return step


def codes(encoded: object) -> list[CodeMessage]:
    assert isinstance(encoded, list)
    outputs = [output for each in encoded for output in each.codes]
    return [code for output in outputs for code in decode_codes(output.value or b"")]


# Through the group's shell


@pytest.mark.parametrize("layout", ["reading", "block"])
def test_every_reading_has_a_place_in_a_message(layout: str) -> None:
    group = logic(settings(codes={"layout": layout}))
    rows = block("press-0", range(7, 307, 3), partition=2)
    rows.stamps[:] = [float(row) for row in range(100)]

    [encoded], _ = group.on_batch([rows])

    assert [offset for code in codes([encoded]) for _, offset in origins(code)] == list(
        range(7, 307, 3)
    )
    assert sum(output.readings for output in encoded.codes) == 100
    for output in encoded.codes:
        closed = [code.offset for code in decode_codes(output.value or b"")]
        assert (output.partition, output.first, output.last) == (2, closed[0], closed[-1])
        assert output.stamp == (closed[0] - 7) / 3


def test_a_restored_group_goes_on_in_the_middle_of_a_frame() -> None:
    straight, stopped = logic(), logic()
    expected, _ = straight.on_batch(
        [block("press-0", range(150)), block("press-0", range(150, 300))]
    )
    first, _ = stopped.on_batch([block("press-0", range(150))])

    restored = logic(resume=stopped.snapshot())
    rest, _ = restored.on_batch([block("press-0", range(150, 300))])

    assert codes([*first, *rest]) == codes(expected)
    assert codes(rest)[0].offsets == [148, 149, 150, 151]
    assert codes(rest)[0].offset == 151


@pytest.mark.parametrize("layout", ["reading", "block"])
@pytest.mark.parametrize("size", [1, 13, 106])
def test_readings_that_share_a_message_are_told_apart(layout: str, size: int) -> None:
    # given messages of ten readings each, and some of one, that arrive in pieces or at once
    offsets = np.repeat(np.arange(40), np.where(np.arange(40) % 4 == 3, 1, 10))[:106]
    places = np.concatenate([[ALONE] if n == 1 else np.arange(n) for n in np.bincount(offsets)])
    whole = block("press-0", range(106))
    group, found = logic(settings(codes={"layout": layout})), list[CodeMessage]()
    for first in range(0, 106, size):
        rows = slice(first, first + size)
        part = replace(whole.block.part(first, first + size), offsets=offsets[rows])
        stamps, numbers = whole.stamps[rows], places[rows].tolist()
        encoded, _ = group.on_batch([GroupBlock("press-0", 0, part, stamps, numbers)])
        found += codes(encoded)
        group = logic(settings(codes={"layout": layout}), resume=group.snapshot())
    # then each has its own place, and none another one's
    told = [place for code in found for place in positions(code)]
    numbered = zip(offsets.tolist(), np.maximum(places, 0).tolist(), strict=True)
    assert told == [(0, *place) for place in numbered][:104]


def test_a_frame_has_readings_of_one_partition_alone() -> None:
    # given a group that comes from two partitions in turn
    group, blocks = logic(), [block("press-0", range(6), partition=turn % 2) for turn in range(6)]
    for turns in (blocks[:3], blocks[3:]):
        found, _ = group.on_batch([*turns])
        # then each code names the positions of its own readings; only the last frame waits
        told = [place for code in codes(found) for place in origins(code)]
        sent = [(each.partition, at) for each in turns for at in range(6)]
        waited = [(turns[0].partition ^ 1, at) for at in (4, 5)] if turns[0] is blocks[3] else []
        assert told == [*waited, *sent[:16]]


def test_assembled_readings_come_back_a_row_a_reading_as_well() -> None:
    # given readings of two messages each, and what a frame of them is decoded to
    rows = block("press-0", range(1, 17, 2))
    origins = Ragged(np.arange(2, 18, 2), np.arange(16))
    rows = GroupBlock("press-0", 0, replace(rows.block, origins=origins), rows.stamps)
    [encoded], _ = logic().on_batch([rows])
    file = StringIO()
    rebuilder = Rebuilder(file)
    for published in encoded.published:
        rebuilder.dictionary(encode_dictionary("press-0", 0, published), "here")
    # then each is there once, at the position of what closed its frame
    for code in [*codes([encoded]), *codes([encoded])]:
        assert (len(code.offsets), len(code.times)) == (2 * W, W)
        rebuilder.write(code, "here")
    assert (rebuilder.outcome.readings, rebuilder.outcome.repeats) == (8, 8)
    given = [line.split(",") for line in file.getvalue().splitlines()[1:]]
    assert [line[3] for line in given] == ["7"] * W + ["15"] * W
    assert np.array_equal(np.array([line[4:] for line in given], float), rows.block.values)


def test_readings_are_counted_and_not_frames() -> None:
    tally = Tally()
    logic(tally=tally).on_batch([block("press-0", range(102))])
    assert tally.readings_coded == {"press-0": 100}


def test_a_group_whose_time_is_over_leaves_no_reading_without_a_code() -> None:
    tally = Tally()
    before = logic()
    before.on_batch([block("press-0", range(402))])
    # given a group that is awake, and one that only has its snapshot
    for group in (before, logic(tally=tally, resume=before.snapshot())):
        [encoded], let_go = group.on_batch([Expiry("press-0", 3, 500, 7.0)])
        # then what was left of a frame stands at the position of what told that its time is over
        [code] = codes([encoded])
        assert let_go
        assert (code.offset, origins(code)) == (500, [(3, 400), (3, 401)])
        assert code.version > 0
        [output] = encoded.codes
        assert (output.first, output.last, output.stamp, output.readings) == (500, 500, 7.0, 2)
    assert tally.readings_coded == {"__other__": 2}
    assert tally.groups_expired == 1


def test_a_frame_is_closed_in_its_own_dictionary_when_settings_start_the_group_anew() -> None:
    before = logic()
    before.on_batch([block("press-0", range(402))])

    changed = logic(settings(2), resume=before.snapshot())
    [encoded], _ = changed.on_batch([block("press-0", range(402, 405))])

    first, second = codes([encoded])
    assert (first.offsets, first.offset) == ([400, 401], 402)
    assert first.version > 0
    assert (second.offsets, second.offset, second.version) == ([402, 403], 403, 0)
    state, _ = unpack(changed.snapshot())
    assert state.version is not None
    assert state.version.window == 2


def test_a_gap_is_an_oddity() -> None:
    tally = Tally()
    rows = block("press-0", range(10))
    rows.block.times[6:] += 1e4
    logic(settings(time={"max_gap": 60}), tally).on_batch([rows])
    assert tally.oddities["gap"] == 1


# Through the source


def test_no_frame_is_larger_than_it_may_be() -> None:
    found = [
        Groups(settings(8)).admit(Reading("press-7", 0.0, [1.0] * count)) for count in (32, 33)
    ]
    assert isinstance(found[0], Row)
    assert found[1] == Refusal("length", "expected at most 32 values, got 33")


def test_a_longer_window_makes_dead_letters_of_a_group_that_is_known() -> None:
    groups = Groups(settings(1))
    for _ in range(20):
        assert isinstance(groups.admit(Reading("press-7", 0.0, [1.0] * 40)), Row)

    longer = Groups(settings(8), groups.pack())

    for _ in range(2):
        found = longer.admit(Reading("press-7", 0.0, [1.0] * 40))
        assert found == Refusal("length", "expected at most 256 numbers a frame, got 320")


def test_an_expiry_names_the_message_that_tells_it() -> None:
    def batches() -> Iterator[list[Raw]]:
        times = {b"press-0": [0], b"oven": [1, 59, 62]}
        named = [(key, ts) for key, stamps in times.items() for ts in stamps]
        yield [
            Raw(10 + place, key, json.dumps({"ts": ts, "values": [1, 2]}).encode())
            for place, (key, ts) in enumerate(named)
        ]

    part = opened(settings(groups={"ttl": 60}), batches()).part
    expired = [item for _, item in part.next_batch() if isinstance(item, Expiry)]
    assert expired == [Expiry("press-0", 0, 13, 1.0)]


# The ledger


@pytest.mark.parametrize("group", ["press-1", "vibration-1"])
def test_a_ledger_knows_every_reading_of_a_frame(group: str) -> None:
    missing = [(3, "coolant_bar"), (301, "spindle_rpm")] if group == "press-1" else []
    run = short_run.run(Fleet(seed=1).sources[group], 1002, missing, window=3)
    ledger = Ledger()

    compared = run.enter(ledger)

    assert (ledger.readings, ledger.decoded, ledger.codes, len(compared)) == (1002, 1002, 334, 334)
    assert ledger.lost(float("inf")) == 0
    assert 0.05 < ledger.largest_error <= 0.1
    assert ledger.recomputed_error_difference < 1e-5
    assert ledger.problems == {}


def test_a_frame_with_a_reading_that_was_never_sent_stays_open() -> None:
    run = short_run.run(Fleet(seed=1).sources["press-1"], 6, window=3)
    del run.sent[4]
    ledger = Ledger()

    run.enter(ledger)

    assert (ledger.decoded, ledger.lost(float("inf"))) == (3, 2)


# A file, and back


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """Two sensors, some rows of one of them, and a night between."""
    rng = np.random.default_rng(2)
    times = np.arange(803) * 10.0 + np.where(np.arange(803) > 400, 3e4, 0)
    lines = ["time,oven,hall"]
    for row, (time, noise) in enumerate(zip(times, rng.standard_normal((803, 2)), strict=True)):
        hall = "" if row % 40 == 7 else f"{20 + np.sin(row / 3) + 0.1 * noise[1]:.3f}"
        lines.append(f"{1.7e9 + time},{200 + 10 * np.sin(row / 5) + noise[0]:.3f},{hall}")
    (tmp_path / "hall.csv").write_text("\n".join(lines) + "\n")
    try_file(tmp_path / "hall.csv", window=8, out=tmp_path)
    return tmp_path


def given_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "hall.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def back(folder: Path, codes: Path | None = None) -> list[dict[str, str]]:
    out = folder / "readings.csv"
    decode(
        codes=codes or folder / "codes.jsonl",
        dictionaries=folder / "dictionaries.jsonl",
        out=out,
    )
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_comes_back_a_row_a_reading(tried: Path) -> None:
    given, rows = given_rows(tried), back(tried)
    assert [row["offset"] for row in rows] == [str(place) for place in range(803)]
    for one, other in zip(given, rows, strict=True):
        assert (one["hall"] == "") == (other["hall"] == "")
    off = np.array([float(o["oven"]) - float(g["oven"]) for g, o in zip(given, rows, strict=True)])
    assert 0 < np.sqrt((off**2).mean()) < 0.1 * np.std([float(row["oven"]) for row in given])


def test_a_night_and_the_end_of_a_file_close_frames_early(tried: Path) -> None:
    read = [json.loads(line) for line in (tried / "codes.jsonl").read_text().splitlines()]
    short = [(code["offsets"], code["offset"]) for code in read if len(code["ts"]) < 8]
    assert short == [([400], 401), ([801, 802], 802)]
    told = json.loads((tried / "summary.json").read_text())
    [group] = told["groups"].values()
    assert group["readings"] == 803


def test_a_repeat_is_told_by_each_reading(tried: Path) -> None:
    whole = back(tried)
    first, *rest = (tried / "codes.jsonl").read_text().splitlines()
    moved = json.loads(rest[0])
    moved["offsets"] = [7, *moved["offsets"][:-1]]  # as if it had begun a reading earlier
    (tried / "again.jsonl").write_text("\n".join([first, first, *rest, json.dumps(moved)]))
    assert back(tried, tried / "again.jsonl") == whole


@pytest.mark.parametrize(
    ("field", "value"),
    [("ts", 5.0), ("ts", [0.0] * 9), ("ts", []), ("missing", [16]), ("offsets", [1])],
)
def test_a_code_that_is_no_frame_of_its_dictionary_is_left_out(
    tried: Path, field: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rest = (tried / "codes.jsonl").read_text().splitlines()
    damaged = json.dumps(json.loads(first) | {field: value})
    (tried / "damaged.jsonl").write_text("\n".join([damaged, *rest]))
    with pytest.raises(ValueError, match=r"1 malformed messages? left out"):
        back(tried, tried / "damaged.jsonl")
    assert "damaged.jsonl, line 1: " in capsys.readouterr().err


def test_a_window_that_cannot_be_is_refused_by_name(tried: Path) -> None:
    with pytest.raises(ValueFault, match="window: expected 1 to 256 readings, got 0; try 8"):
        try_file(tried / "hall.csv", window=0, out=tried)
    with pytest.raises(ValueFault, match="max_gap: expected seconds above 0, got 0; try 7200"):
        try_file(tried / "hall.csv", max_gap=0, out=tried)
    with pytest.raises(TableError, match="at most 256 numbers a frame, got 2 x 129; lower --win"):
        try_file(tried / "hall.csv", window=129, out=tried)
