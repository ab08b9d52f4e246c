import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flows.tables import BadRow, Batch, Columns, Table, TableError, open_table

HEADER = ["time", "flow", "speed"]
ALL = Columns()
FIRST = 1_772_438_400.0  # 2026-03-02T08:00:00Z


def table(folder: Path, text: str | bytes, name: str = "a.csv", asked: Columns = ALL) -> Table:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_table(path, asked)


def rows(count: int = 30) -> list[list[str]]:
    return [[f"2026-03-02T08:00:{i:02d}", f"{i}.5", str(2 * i)] for i in range(count)]


def joined(cells: list[list[str]], separator: str = ",", header: list[str] = HEADER) -> str:
    return "".join(separator.join(row) + "\n" for row in ([header] if header else []) + cells)


def only(opened: Table) -> Batch:
    (batch,) = opened.batches()
    return batch


def bad_rows(opened: Table) -> list[BadRow]:
    return [row for batch in opened.batches() for row in batch.bad]


GERMAN = [[at, flow.replace(".", ","), speed] for at, flow, speed in rows()]
WRITTEN = {
    "comma": joined(rows()),
    "tab": joined(rows(), "\t"),
    "semicolon and decimal comma": joined(GERMAN, ";"),
    "quoted": joined([[f'"{cell}"' for cell in row] for row in rows()]),
    "spaces after commas": joined(rows(), ", "),
    "lines before the header": "made by logger 7\n\n" + joined(rows()),
    "Windows line ends": joined(rows()).replace("\n", "\r\n"),
    "byte order mark": joined(rows()).encode("utf-8-sig"),
    "UTF-16": joined(rows()).encode("utf-16"),
    "gzip": gzip.compress(joined(rows()).encode()),
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_table_is_read_however_it_was_written(text: str | bytes, tmp_path: Path) -> None:
    opened = table(tmp_path, text)

    batch = only(opened)

    assert (opened.channels, opened.time) == (("flow", "speed"), "time")
    assert (batch.times == FIRST + np.arange(30)).all()
    assert (batch.values == np.column_stack([np.arange(30) + 0.5, np.arange(30) * 2])).all()
    assert (batch.offsets == np.arange(30)).all()
    assert batch.bad == []


def test_columns_without_names_are_numbered(tmp_path: Path) -> None:
    opened = table(tmp_path, joined(rows(), header=[]))
    assert (opened.channels, opened.time) == (("column1", "column2"), "column0")
    assert len(only(opened).offsets) == 30


def test_a_header_in_latin_1_is_read(tmp_path: Path) -> None:
    text = joined(rows(), header=["time", "Öltemperatur °C", "speed"])
    assert table(tmp_path, text.encode("latin-1")).channels == ("Öltemperatur °C", "speed")


TIMES = {
    "ISO 8601": "2026-03-02T08:00:{:02d}",
    "with a zone": "2026-03-02T10:30:{:02d}+02:30",
    "with a zone apart": "2026-03-02 03:00:{:02d} -0500",
    "in UTC": "2026-03-02 08:00:{:02d}Z",
    "a comma before the fraction": "2026-03-02 08:00:{:02d},000",
    "German": "02.03.2026 08:00:{:02d}",
    "American": "03/02/2026 8:00:{:02d} AM",
    "seconds": "17724384{:02d}",
    "milliseconds": "17724384{:02d}000",
    "microseconds": "17724384{:02d}000000",
}


@pytest.mark.parametrize("written", TIMES.values(), ids=TIMES)
def test_the_time_is_read_however_it_was_written(written: str, tmp_path: Path) -> None:
    # the last day of the month tells days from months
    cells = [[written.format(i), f"{i}.5", "1"] for i in range(30)]
    if "/" in written:
        cells.append(["03/31/2026 8:00:00 AM", "1", "1"])
    opened = table(tmp_path, joined(cells, ";"))
    assert (only(opened).times[:30] == FIRST + np.arange(30)).all()


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_the_zone_of_this_machine_does_not_matter(tmp_path: Path) -> None:
    assert time.localtime(FIRST).tm_hour == 3
    assert only(table(tmp_path, joined(rows()))).times[0] == FIRST


def test_without_a_time_the_row_number_is_the_time(tmp_path: Path) -> None:
    opened = table(tmp_path, joined([row[1:] for row in rows()], header=HEADER[1:]))
    assert opened.time is None
    assert (only(opened).times == np.arange(30)).all()


def test_the_first_column_of_times_is_the_time_unless_another_is_asked_for(
    tmp_path: Path,
) -> None:
    cells = [[row[0], row[0].replace("2026", "2027"), *row[1:]] for row in rows()]
    text = joined(cells, header=["made", "sent", "flow", "speed"])
    assert table(tmp_path, text).time == "made"
    assert table(tmp_path, text).left_out == {"sent": "times"}
    assert table(tmp_path, text, asked=Columns(time="sent")).time == "sent"


@pytest.mark.parametrize("written", ["", "NaN", "null", "n/a", "-", " ", "inf", "1e999"])
def test_a_cell_without_a_finite_number_is_a_missing_value(written: str, tmp_path: Path) -> None:
    cells = rows()
    cells[7][1] = written
    batch = only(table(tmp_path, joined(cells)))
    assert batch.bad == []
    assert np.argwhere(~np.isfinite(batch.values)).tolist() == [[7, 0]]


FAULTS = {
    "schema": ["2026-03-02T08:00:07", "open", "1"],
    "time": ["soon", "1", "1"],
    "length": ["2026-03-02T08:00:07", "1"],
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_row_that_cannot_be_read_costs_only_itself(reason: str, tmp_path: Path) -> None:
    cells = rows()
    cells[7] = FAULTS[reason]
    opened = table(tmp_path, joined(cells))

    batch = only(opened)

    (bad,) = batch.bad
    assert (bad.reason, bad.offset, bad.line) == (reason, 7, 9)
    assert bad.text == ",".join(FAULTS[reason])
    assert batch.offsets.tolist() == [i for i in range(30) if i != 7]
    assert opened.unreadable == 1


def test_a_row_in_another_encoding_costs_only_itself(tmp_path: Path) -> None:
    text = joined(rows()).encode().replace(b",7.5", b",7\xb05")
    (bad,) = bad_rows(table(tmp_path, text))
    assert (bad.reason, bad.line) == ("encoding", 9)


def test_a_row_of_three_million_characters_costs_only_itself(tmp_path: Path) -> None:
    cells = [[f"{i}", f"{i}.5", "1"] for i in range(25_000)]
    cells[24_000][1] = "9" * 3_000_000
    (bad,) = bad_rows(table(tmp_path, joined(cells)))
    assert (bad.reason, bad.line) == ("size", 24_002)
    assert len(bad.text) < 100_000


def test_every_row_is_read_or_bad_and_bad_ones_name_their_line(tmp_path: Path) -> None:
    cells = [[f"2026-03-02T08:{i // 60:02d}:{i % 60:02d}", f"{i}.5", "1"] for i in range(900)]
    lines = joined(cells).splitlines()
    for i in range(20, 800, 40):
        lines[i] = "soon,1,2"
        lines[i + 1] = "1,2"
        lines[i + 3] = ""
        lines[i + 7] = '"2026-03-02T08:00:00","1","2"'
        lines[i + 9] = "2026-03-02T08:00:00,1,2,3,4"
    lines[-1] = "1,2"
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    opened = open_table(path)

    batches = list(opened.batches(size=100))

    bad = [row for batch in batches for row in batch.bad]
    offsets = np.concatenate([batch.offsets for batch in batches]).tolist()
    assert len(bad) == opened.unreadable == 61
    assert [lines[row.line - 1] for row in bad] == [row.text for row in bad]
    assert sorted(offsets + [row.offset for row in bad]) == list(range(900 - 20))


def test_a_line_break_in_a_cell_moves_the_lines_after_it(tmp_path: Path) -> None:
    cells = [[row[0], row[1], f'"note\n{row[2]}"'] for row in rows()]
    cells[7][1] = "open"
    (bad,) = bad_rows(table(tmp_path, joined(cells)))
    assert bad.line == 2 + 2 * 7


@pytest.mark.parametrize("before", ["# made by\n# logger 7\n\n", "logger 7\n\n", "\n\n", ""])
def test_lines_before_the_header_count_as_lines(before: str, tmp_path: Path) -> None:
    lines = (before + joined(rows())).splitlines()
    lines[20] = "soon,1,2"
    (bad,) = bad_rows(table(tmp_path, "\n".join(lines)))
    assert bad.line == 21


def test_groups_come_with_their_own_channels(tmp_path: Path) -> None:
    cells = [[f"press-{i % 2}", f"{i}.5", "" if i % 2 else "3"] for i in range(30)]
    text = joined(cells, header=["machine", "flow", "speed"])

    opened = table(tmp_path, text, asked=Columns(group=["machine"]))

    assert opened.groups == {"press-0": (15, (0, 1)), "press-1": (15, (0,))}
    assert only(opened).groups[:2] == ["press-0", "press-1"]


def test_several_columns_name_the_group_together(tmp_path: Path) -> None:
    cells = [["hall 1", "press", f"{i}.5"] for i in range(30)]
    text = joined(cells, header=["hall", "machine", "flow"])
    assert list(table(tmp_path, text, asked=Columns(group=["hall,machine"])).groups) == [
        "hall 1/press"
    ]


def test_a_row_without_a_group_is_bad(tmp_path: Path) -> None:
    cells = [["press", f"{i}.5"] for i in range(30)]
    cells[3][0] = ""
    text = joined(cells, header=["machine", "flow"])
    (bad,) = bad_rows(table(tmp_path, text, asked=Columns(group=["machine"])))
    assert (bad.reason, bad.line) == ("group", 5)


def test_without_a_group_column_the_file_is_one_group_and_a_likely_column_is_named(
    tmp_path: Path,
) -> None:
    cells = [[f"press-{i % 2}", f"{i}.5"] for i in range(30)]
    opened = table(tmp_path, joined(cells, header=["machine", "flow"]), "hall.csv")
    assert list(opened.groups) == ["hall"]
    assert opened.perhaps_groups == ("machine",)
    assert opened.left_out == {"machine": "text such as 'press-0'"}


def test_channels_are_chosen_or_left_out_by_name(tmp_path: Path) -> None:
    text = joined(rows())
    assert table(tmp_path, text, asked=Columns(channels=["speed,flow"])).channels == (
        "speed",
        "flow",
    )
    assert table(tmp_path, text, asked=Columns(ignore=["flow"])).channels == ("speed",)


def test_thousands_are_not_taken_for_decimals(tmp_path: Path) -> None:
    cells = [[str(i), f'"{i},500"'] for i in range(1, 31)]
    opened = table(tmp_path, joined(cells, header=["a", "b"]))
    assert opened.channels == ("a",)


def test_batches_together_are_the_file(tmp_path: Path) -> None:
    opened = table(tmp_path, joined(rows()))
    cut = list(opened.batches(size=7))
    whole = only(opened)
    assert [len(batch.offsets) for batch in cut] == [7, 7, 7, 7, 2]
    assert (np.concatenate([batch.values for batch in cut]) == whole.values).all()


WRONG = {
    "a column that is not there": (Columns(channels=["flwo"]), "did you mean 'flow'?"),
    "a group that is not there": (Columns(group=["x"]), "it has time, flow, speed"),
    "a channel of text": (Columns(channels=["time"]), "expected numbers in 'time'"),
    "nothing left": (Columns(ignore=["flow,speed"]), "expected a column of numbers"),
}


@pytest.mark.parametrize(("asked", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_choice_is_told_in_one_line(asked: Columns, told: str, tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        table(tmp_path, joined(rows()), asked=asked)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_time_column_of_text_is_told(tmp_path: Path) -> None:
    cells = [["press", f"{i}.5"] for i in range(30)]
    with pytest.raises(TableError, match="expected times in 'machine'"):
        table(tmp_path, joined(cells, header=["machine", "flow"]), asked=Columns(time="machine"))


@pytest.mark.parametrize(
    "content", [b"", b"Dear all,\nthis is a letter.\n", bytes(range(256)) * 40], ids=len
)
def test_what_is_no_table_is_told_in_one_line(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        table(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_while_packed_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(joined(rows()).encode())
    with pytest.raises(TableError, match="ended before the end-of-stream"):
        table(tmp_path, packed[:-20])


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "pumps.csv").touch()
    with pytest.raises(TableError, match=r"did you mean .*pumps\.csv\?"):
        open_table(tmp_path / "pump.csv")
