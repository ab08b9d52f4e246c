import base64
import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.tables import TableError
from flows.tools.try_file import try_file
from flows.wire import encode_codes
from oodl.coding import Codes
from oodl.errors import ValueFault
from oodl.stream import Block, GroupCoder

ROOT = Path(__file__).parents[2]
PUMPS = ROOT / "docs" / "examples" / "pumps.csv"
DATA = ROOT.parent / "shared" / "data"
HEADER, *GIVEN = PUMPS.read_text().splitlines()
CHANNELS = tuple(HEADER.split(",")[2:])
EACH = len(GIVEN) // 2  # readings of a pump; their rows take turns
WORN_FROM = "2026-03-02T09:00:00Z"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def summary(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return told


def values_of(path: Path, group: str, name: str, channels: tuple[str, ...]) -> np.ndarray:
    packed = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text()
    return np.array(
        [
            [float(row[channel] or "nan") for channel in channels]
            for row in csv.DictReader(text.splitlines())
            if row[group] == name
        ]
    )


def decode(out: Path, group: str) -> tuple[np.ndarray, np.ndarray]:
    """Rebuild a group's readings from the files alone; also their errors in deviations' units."""
    versions = {d["id"]: d for d in lines(out / "dictionaries.jsonl") if d["group"] == group}
    readings, scales = [], []
    for code in (code for code in lines(out / "codes.jsonl") if code["group"] == group):
        version = versions[code["id"]]
        n = len(version["channels"])
        D = np.frombuffer(base64.b64decode(version["dictionary"]), "<f4").reshape(n, n)
        x = np.zeros(n)
        x[code["atoms"]] = code["values"]
        reading = version["mean"] + np.array(version["scale"]) * (D.astype(float) @ x)
        reading[code.get("missing", [])] = np.nan
        readings.append(reading)
        scales.append(version["scale"])
    return np.array(readings), np.array(scales)


def errors(out: Path, group: str, values: np.ndarray) -> np.ndarray:
    rebuilt, scales = decode(out, group)
    assert (np.isnan(rebuilt) == np.isnan(values)).all()
    squares: np.ndarray = np.nanmean(((rebuilt - values) / scales) ** 2, axis=1)
    rms: np.ndarray = np.sqrt(squares)
    return rms


@pytest.fixture(scope="module")
def pumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pumps")
    try_file(PUMPS, group_column=["pump"], out=out)
    return out


@pytest.mark.parametrize("pump", ["pump-1", "pump-2"])
def test_the_pumps_come_back_within_the_tolerance(pumps: Path, pump: str) -> None:
    values = values_of(PUMPS, "pump", pump, CHANNELS)
    assert errors(pumps, pump, values).max() <= 0.1
    assert summary(pumps)["groups"][pump]["density"] < 0.7


def test_every_row_has_a_code_with_its_place_and_time(pumps: Path) -> None:
    codes = lines(pumps / "codes.jsonl")
    assert sorted(code["offset"] for code in codes) == list(range(len(GIVEN)))
    assert {code["partition"] for code in codes} == {0}
    ((time,),) = [{code["ts"] for code in codes if code["offset"] in (2, 3)}]
    assert time == np.datetime64("2026-03-02T08:00:10").astype(float)


def test_the_pump_that_wears_out_is_most_surprising_while_it_does(pumps: Path) -> None:
    worn, sound = (summary(pumps)["groups"][name] for name in ("pump-2", "pump-1"))
    assert worn["highest_surprise"]["time"] > WORN_FROM
    assert worn["highest_surprise"]["surprise"] > 1 > sound["highest_surprise"]["surprise"]
    assert worn["surprised_readings"] > 0 == sound["surprised_readings"]
    assert worn["surprise"][-1] > 1 > max(filter(None, worn["surprise"][:-1]))


def test_the_summary_says_what_the_files_hold(pumps: Path) -> None:
    told = summary(pumps)["groups"]["pump-2"]
    codes = [code for code in lines(pumps / "codes.jsonl") if code["group"] == "pump-2"]
    values = values_of(PUMPS, "pump", "pump-2", CHANNELS)
    rebuilt, _ = decode(pumps, "pump-2")
    learned = np.array([code["version"] > 0 for code in codes])

    off = (rebuilt - values)[learned]
    errors_by_channel = np.sqrt((off**2).mean(axis=0))
    errors_of_codes = np.array([code["error"] for code in codes])[learned]
    surprises = np.array([code["surprise"] for code in codes], dtype=float)

    assert told["readings"] == len(codes) == EACH
    assert told["readings_version_0"] == EACH - learned.sum()
    assert told["channels"] == list(CHANNELS)
    assert told["versions"] == max(code["version"] for code in codes)
    assert told["density"] == sum(len(code["atoms"]) for code in codes) / values.size
    assert told["error"] == pytest.approx(np.sqrt((errors_of_codes**2).mean()))
    assert list(told["channel_errors"].values()) == pytest.approx(errors_by_channel.tolist())
    assert told["surprise"][5:] == pytest.approx(surprises.reshape(10, EACH // 10).mean(axis=1)[5:])
    assert told["bytes_out"]["codes"] == sum(
        len(line)
        for line in (pumps / "codes.jsonl").read_text().splitlines()
        if '"group":"pump-2"' in line
    )
    assert told["bytes_in"]["text"] == sum(
        len(line) + 1 for line in PUMPS.read_text().splitlines() if "pump-2" in line
    )


def test_the_codes_are_those_of_the_group_step(pumps: Path) -> None:
    values = values_of(PUMPS, "pump", "pump-1", CHANNELS)
    start = np.datetime64("2026-03-02T08:00:00").astype(float)
    rows = np.arange(EACH)
    block = Block(
        channels=CHANNELS,
        settled=True,
        values=values,
        times=start + 10.0 * rows,
        offsets=2 * rows,
    )
    _, outputs = GroupCoder().step(GroupCoder().start(), block)
    expected = [
        line.decode()
        for output in outputs
        if isinstance(output, Codes)
        for line in encode_codes("pump-1", 0, output, "reading")
    ]
    written = (pumps / "codes.jsonl").read_text().splitlines()
    assert [line for line in written if '"group":"pump-1"' in line] == expected


def test_the_output_explains_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try_file(PUMPS, out=tmp_path)
    told = capsys.readouterr().out
    assert "time: 'time' (ISO 8601" in told
    assert "left out: 'pump' (text such as 'pump-1')" in told
    assert "--group-column 'pump'" in told
    assert f"oodl decode --codes {tmp_path}/codes.jsonl" in told


def test_the_highest_surprise_fits_a_narrow_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a machine with a long name that markup could be read into
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "pumps.csv"
    path.write_text(PUMPS.read_text().replace("pump-1", "[b]hall three north side pump-1"))
    # when it is tried
    try_file(path, group_column=["pump"], out=tmp_path / "out")
    # then its name gives way, in its one line
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[b]hall")]
    place = summary(tmp_path / "out")["groups"]["[b]hall three north side pump-1"]
    assert line.endswith(place["highest_surprise"]["time"][:16].replace("T", " "))
    assert "…" in line


def test_without_a_folder_the_results_stand_in_one_named_after_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try_file(PUMPS)
    assert sorted(path.name for path in (tmp_path / "pumps-oodl").iterdir()) == [
        "codes.jsonl",
        "dead-letters.jsonl",
        "dictionaries.jsonl",
        "summary.json",
    ]


def test_rows_that_cannot_be_read_are_dead_letters_and_all_others_are_coded(
    tmp_path: Path,
) -> None:
    rows = PUMPS.read_text().splitlines()
    rows[100] = rows[100].replace(",", ";")
    rows[200] = rows[200] + "V"
    rows[300] = "soon" + rows[300][19:]
    path = tmp_path / "pumps.csv"
    path.write_text("\n".join(rows))

    try_file(path, group_column=["pump"], out=tmp_path)

    letters = lines(tmp_path / "dead-letters.jsonl")
    assert [(letter["reason"], letter["line"]) for letter in letters] == [
        ("length", 101),
        ("schema", 201),
        ("time", 301),
    ]
    assert [letter["text"] for letter in letters] == [rows[100], rows[200], rows[300]]
    offsets = {entry["offset"] for entry in lines(tmp_path / "codes.jsonl") + letters}
    assert offsets == set(range(len(GIVEN)))
    assert summary(tmp_path)["dead_letters"] == 3


def test_missing_values_come_back_missing(tmp_path: Path) -> None:
    rows = [row.split(",") for row in PUMPS.read_text().splitlines()]
    for row in rows[1::7]:
        row[3] = ""
    path = tmp_path / "holes.csv"
    path.write_text("\n".join(",".join(row) for row in rows))
    try_file(path, group_column=["pump"], out=tmp_path)
    values = values_of(path, "pump", "pump-1", CHANNELS)
    assert np.isnan(values).any()
    assert errors(tmp_path, "pump-1", values).max() <= 0.1


def test_a_column_that_a_group_never_fills_is_none_of_its_channels(tmp_path: Path) -> None:
    rows = [row.split(",") for row in PUMPS.read_text().splitlines()]
    for row in rows:
        row[3] = "" if row[1] == "pump-2" else row[3]
    path = tmp_path / "holes.csv"
    path.write_text("\n".join(",".join(row) for row in rows))
    try_file(path, group_column=["pump"], out=tmp_path)
    groups = summary(tmp_path)["groups"]
    assert groups["pump-1"]["channels"] == list(CHANNELS)
    assert groups["pump-2"]["channels"] == [CHANNELS[0], *CHANNELS[2:]]


def test_a_looser_tolerance_keeps_fewer_numbers(tmp_path: Path, pumps: Path) -> None:
    try_file(PUMPS, group_column=["pump"], tolerance=0.3, out=tmp_path)
    values = values_of(PUMPS, "pump", "pump-1", CHANNELS)
    loose, tight = (summary(out)["groups"]["pump-1"]["density"] for out in (tmp_path, pumps))
    assert loose < tight
    assert 0.1 < errors(tmp_path, "pump-1", values).max() <= 0.3


def test_a_number_of_atoms_is_never_exceeded(tmp_path: Path) -> None:
    try_file(PUMPS, group_column=["pump"], atoms=2, out=tmp_path)
    kept = [len(code["atoms"]) for code in lines(tmp_path / "codes.jsonl") if code["version"]]
    assert max(kept) == 2


REAL = {
    "skab": ("skab/skab_dev.csv.gz", "group", ["anomaly,changepoint"], "valve1/0"),
    "beijing_air": ("beijing_air/beijing_dev.csv.gz", "station", ["wd"], "Aotizhongxin"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_sensors_come_back_within_the_tolerance(name: str, tmp_path: Path) -> None:
    file, group, ignore, first = REAL[name]
    if not (DATA / file).is_file():
        pytest.skip(f"{DATA / file} is not there")
    with gzip.open(DATA / file, "rt") as whole:
        text = "".join(line for line, _ in zip(whole, range(4001), strict=False))
    path = tmp_path / "slice.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))

    try_file(path, group_column=[group], ignore=ignore, out=tmp_path)

    told = summary(tmp_path)["groups"][first]
    assert told["versions"] >= 1
    values = values_of(path, group, first, tuple(told["channels"]))
    assert errors(tmp_path, first, values).max() <= 0.1


def test_both_rules_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueFault, match="expected one of them"):
        try_file(PUMPS, tolerance=0.1, atoms=2, out=tmp_path)


def test_more_channels_than_a_dictionary_may_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = ",".join(f"s{i}" for i in range(300))
    path.write_text("\n".join([names] + [",".join(["1.5"] * 300)] * 10))
    with pytest.raises(TableError, match="at most 256 channels, got 300"):
        try_file(path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
