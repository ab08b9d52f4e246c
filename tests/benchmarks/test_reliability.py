import pytest

from benchmarks.reliability import PAGE, RECORDS, TABLES
from benchmarks.report import BLOCK, filled, load
from tests.fault.table import FAULTS


def test_the_tables_of_the_page_are_those_of_the_records() -> None:
    text = PAGE.read_text()
    assert filled(text, TABLES) == text
    assert sorted(BLOCK.findall(text)) == sorted(TABLES)


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_record_claims_to_hold_does(name: str) -> None:
    for bar in load(name)["bars"]:
        measured = bar["measured"]
        assert bar["holds"] == (measured is not None and measured <= bar["bar"]), bar["name"]


def test_each_row_is_one_of_the_table_and_none_lost_a_reading() -> None:
    rows = load("faults")["rows"]
    assert {row["fault"] for row in rows} <= {repr(fault) for fault in FAULTS}
    for row in rows:
        assert (row["missing"], row["both"], row["strange"], row["off"]) == (0, 0, 0, 0)
        assert row["coded"] + row["buried"] == row["sent"]
        assert row["repeats"] <= row["allowed"]
