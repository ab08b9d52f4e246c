"""Counters as rates through the source: each way a reading may come, lanes, restarts, settings."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

from flows.groups import Groups
from flows.items import GroupBlock
from flows.settings import Settings, SettingsError, load
from flows.tools.try_file import try_file
from flows.wire import Reading
from oodl.channels import Row
from oodl.errors import ValueFault
from tests.flows.partition import Raw, opened

KEY = b"press-0"
NAMES = ("bytes_in", "heat")
COUNTED = {"transform": {"bytes_*": "rate"}}
NAMED = COUNTED | {"names": NAMES}
Rated = dict[str, dict[int, list[float | None]]]  # by group, the values of each position


def settings(channels: dict[str, Any], **sections: Any) -> Settings:
    return Settings.model_validate({"channels": channels, **sections})


def arrive(raws: Sequence[Raw], given: Settings, size: int = 10**6, restarts: int = 0) -> Rated:
    """What the source makes of messages, so many a turn; restarted after so many turns."""
    batches = [list(raws[first : first + size]) for first in range(0, len(raws), size)]
    part, *_ = opened(given, batches)
    found: Rated = {}
    for number in range(len(batches)):
        for _, item in part.next_batch():
            assert isinstance(item, GroupBlock)
            own, block = found.setdefault(item.group, {}), item.block
            for offset, row in zip(block.offsets.tolist(), block.values.tolist(), strict=True):
                own.setdefault(offset, []).extend(None if np.isnan(each) else each for each in row)
        if restarts and number % restarts == 0:
            part, *_ = opened(given, batches[number + 1 :], part.snapshot())
    return found


def message(at: int, ts: object, values: object) -> Raw:
    return Raw(at, KEY, json.dumps({"ts": ts, "values": values}).encode())


def float32(rows: list[list[float]]) -> str:
    return base64.b64encode(np.array(rows, "<f4").tobytes()).decode()


SEVERAL = [0.0, 2.0, 4.0]
COUNTS, HEATS = [10.0, 30.0, 31.0], [1.0, 2.0, 3.0]
ROWS = [list(row) for row in zip(COUNTS, HEATS, strict=True)]
TURNED = [None, 1.0, 10.0, 2.0, 0.5, 3.0]


@pytest.mark.parametrize(
    "raws",
    [
        [message(at, 2 * at, row) for at, row in enumerate(ROWS)],
        [message(at, 2 * at, dict(zip(NAMES, row, strict=True))) for at, row in enumerate(ROWS)],
        [message(at, 2 * at, float32([row])) for at, row in enumerate(ROWS)],
        [message(0, SEVERAL, ROWS)],
        [message(0, SEVERAL, float32(ROWS))],
        [message(0, SEVERAL, {"heat": HEATS, "bytes_in": COUNTS})],
        [message(0, 0, ROWS[0]), message(1, SEVERAL[1:], ROWS[1:])],
    ],
    ids=["list", "named", "float32", "lists", "float32 of several", "columns", "one and several"],
)  # fmt: skip
def test_every_way_a_reading_may_come_leads_to_the_same_rates(raws: list[Raw]) -> None:
    found = arrive(raws, settings(NAMED))["press-0"]
    assert [value for _, values in sorted(found.items()) for value in values] == TURNED


def test_channels_that_are_found_and_not_named_are_counted_from_the_first_reading_on() -> None:
    raws = [message(at, at, {"heat": 1.0, "bytes_in": 3.0 * at}) for at in range(40)]
    found = arrive(raws, settings(COUNTED))["press-0"]
    assert list(found.values()) == [[1.0, None], *[[1.0, 3.0]] * 39]


def test_assembled_readings_are_counted_and_an_absent_sensor_is_missing() -> None:
    bodies = [
        {"sensor": name, "ts": float(second), "value": value}
        for second in range(40)
        for name, value in (("bytes_in", 5.0 * second), ("heat", 1.0))
        if not (name == "bytes_in" and second == 30)
    ]
    raws = [Raw(at, KEY, json.dumps(body).encode()) for at, body in enumerate(bodies)]

    rows = list(arrive(raws, settings(COUNTED))["press-0"].values())

    assert rows[0] == [None, 1.0]
    assert rows[30] == [None, 1.0]
    assert rows[1:30] == [[5.0, 1.0]] * 29  # over two seconds as well, behind what is absent
    assert rows[31:] == [[5.0, 1.0]] * len(rows[31:])
    assert len(rows) >= 38


def traffic() -> list[Raw]:
    """Readings with late ones, resets, gaps, a wrong clock, and channels that change."""
    rng = np.random.default_rng(5)
    raws, count = [], 0.0
    for at in range(600):
        count = 0.0 if rng.random() < 0.02 else count + float(rng.integers(0, 50))
        time = at + (rng.random() < 0.05) * float(rng.choice([-7.0, -0.5, 1e6]))
        values: dict[str, float | None] = {"bytes_in": count, "heat": float(at)}
        if rng.random() < 0.1:
            values["bytes_in"] = None
        if at > 300:
            values["bytes_out"] = 2 * count
        body = {"ts": float(time), "values": values}
        raws.append(Raw(at, b"press-%d" % rng.integers(2), json.dumps(body).encode()))
    return raws


@pytest.mark.parametrize(("size", "restarts"), [(1, 0), (1, 1), (7, 2), (113, 1)])
def test_a_replay_decides_the_same_however_it_is_cut(size: int, restarts: int) -> None:
    given, raws = settings(COUNTED | {"grow": 20}), traffic()

    expected = arrive(raws, given)

    assert [max(map(len, rows.values())) for rows in expected.values()] == [3, 3]
    assert arrive(raws, given, size, restarts) == expected


def test_only_groups_with_a_counter_go_without_a_lane() -> None:
    given = Settings.model_validate(
        {"channels": COUNTED, "groups": {"oven": {"channels": {"transform": {}}}}}
    )
    values = {b"press": "bytes_in", b"tank": "heat", b"oven": "bytes_in"}
    raws = [
        Raw(0, key, json.dumps({"ts": ts, "values": {name: 1.0}}).encode())
        for ts in range(30)
        for key, name in values.items()
    ]
    part, _, _, groups = opened(given, [raws])

    part.next_batch()

    assert set(groups.lanes) == {b"tank", b"oven"}


def test_what_was_packed_before_there_were_counters_is_gone_on_with() -> None:
    groups = Groups(Settings())
    for moment in range(25):
        groups.admit(Reading("press-0", float(moment), {"bytes_in": 1.0, "heat": 2.0}))
    now = groups.pack()
    older = now[:1] + b"\x01" + now[2:]
    assert now[1:2] == b"\x02"

    restored = Groups(settings(COUNTED), older)
    rows = [
        restored.admit(Reading("press-0", 25.0 + moment, {"bytes_in": 4.0 * moment}))
        for moment in range(2)
    ]

    assert all(isinstance(row, Row) and row.channels == ("bytes_in", "heat") for row in rows)
    values = [np.frombuffer(cast(Row, row).packed).tolist()[0] for row in rows]
    np.testing.assert_array_equal(values, [np.nan, 4.0])


def test_each_snapshot_has_what_its_counters_had_last() -> None:
    given = settings(NAMED)
    groups, packed = Groups(given), [b""]
    for moment in range(4):
        groups.admit(Reading("press-0", float(moment), [float(moment**2), 0.0]))
        packed.append(groups.pack())

    again = [
        Groups(given, known).admit(Reading("press-0", 4.0, [19.0, 0.0])) for known in packed[1:]
    ]

    rates = [np.frombuffer(cast(Row, row).packed)[0] for row in again]
    assert rates == [19 / 4, 18 / 3, 15 / 2, 10 / 1]


def test_what_is_refused_is_not_remembered() -> None:
    groups = Groups(settings(NAMED))
    lists: list[list[float | None]] = [[1.0, 0.0], [500.0, 0.0, 0.0], [5.0, 0.0]]
    taken = [groups.admit(Reading("press-0", float(at), each)) for at, each in enumerate(lists)]
    assert [isinstance(row, Row) for row in taken] == [True, False, True]
    assert np.frombuffer(cast(Row, taken[2]).packed)[0] == 2.0


def test_a_group_that_was_forgotten_counts_anew() -> None:
    groups = Groups(settings(NAMED, groups={"ttl": 60}))
    expired = []
    for group, time in [("press-0", 0.0), ("press-1", 0.0), ("press-1", 30.0), ("press-1", 61.0)]:
        expired += groups.expire(Reading(group, time, [1.0, 0.0]))
        groups.admit(Reading(group, time, [1.0, 0.0]))
    assert expired == ["press-0"]
    row = groups.admit(Reading("press-0", 61.0, [5.0, 0.0]))
    assert np.isnan(np.frombuffer(cast(Row, row).packed)[0])


def test_a_counter_is_learned_and_groups_without_one_keep_what_they_have() -> None:
    given = Settings.model_validate({"groups": {"press-*": {"channels": COUNTED}}})
    assert given.for_group("press-7").channels.is_counter("bytes_in")
    assert not given.for_group("press-7").channels.is_counter("heat")
    assert given.fingerprint("press-7") != Settings().fingerprint("press-7")
    assert given.fingerprint("oven") == Settings().fingerprint("oven")


def test_a_pattern_s_own_counters_take_the_place_of_those_for_all() -> None:
    own = {"press-*": {"channels": {"transform": {"steps": "rate"}}}}
    found = settings(COUNTED, groups=own).for_group("press-7").channels
    assert (found.is_counter("steps"), found.is_counter("bytes_in")) == (True, False)


def test_another_transform_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "oodl.toml"
    file.write_text('[groups."press-*".channels.transform]\n"bytes_*" = "rat"\n')
    with pytest.raises(SettingsError) as told:
        load(file)
    [line] = str(told.value).splitlines()
    assert line.startswith('oodl.toml: groups."press-*".channels.transform."bytes_*": expected')
    assert "'rate', got 'rat'" in line
    with pytest.raises(ValidationError):
        settings({"transform": "bytes_*"})


def test_the_environment_names_counters_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODL_CHANNELS__TRANSFORM", "bytes_* = rate, steps=rate")
    assert load().channels.transform == {"bytes_*": "rate", "steps": "rate"}


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """Two machines whose counters grow, that start again in row 150."""
    rng = np.random.default_rng(3)
    lines, total = ["time,machine,bytes_in,bytes_out,heat"], 0.0
    for row in range(400):
        work = 100 + 10 * np.sin(row / 9) + rng.standard_normal()
        total = total + 10 * work if row % 150 else 0.0
        for machine in ("a", "b"):
            values = f"{total:.0f},{3 * total:.0f},{20 + work / 50:.3f}"
            lines.append(f"{1.7e9 + 10 * row},{machine},{values}")
    (tmp_path / "counted.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "counted.csv"


def test_a_file_is_coded_as_the_pipeline_codes_its_readings(
    counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = counted.parent / "out"
    try_file(counted, group_column=["machine"], rate=["bytes_*"], out=out)
    assert "rates: bytes_in, bytes_out, a second" in capsys.readouterr().out
    assert json.loads((out / "summary.json").read_text())["rates"] == ["bytes_in", "bytes_out"]

    header, *rows = [line.split(",") for line in counted.read_text().splitlines()]
    groups = Groups(settings(COUNTED | {"names": header[2:]}))
    expected = []
    for time, machine, *values in rows:
        row = groups.admit(Reading(machine, float(time), [float(each) for each in values]))
        expected.append(np.frombuffer(cast(Row, row).packed))
    codes = [json.loads(line) for line in (out / "codes.jsonl").read_text().splitlines()]
    exact = {code["offset"]: code for code in codes if code["version"] == 0}
    assert len(codes) == len(rows)
    assert len(exact) >= 100
    for code in exact.values():
        coded = np.zeros(3)
        coded[code["atoms"]] = code["values"]
        coded[code.get("missing", [])] = np.nan
        np.testing.assert_allclose(coded, expected[code["offset"]], rtol=1e-12)
    missing = {code["offset"] for code in codes if code.get("missing") == [0, 1]}
    assert missing == {at for at in range(len(rows)) if at // 2 % 150 == 0}


def test_a_counter_that_no_column_is_is_refused(counted: Path) -> None:
    with pytest.raises(ValueFault, match="--rate: expected a pattern of channels, got 'packets"):
        try_file(counted, rate=["packets_*"])
