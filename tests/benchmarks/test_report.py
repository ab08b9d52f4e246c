import json

import pytest

from benchmarks.record import RESULTS
from benchmarks.report import BLOCK, README, RECORDS, TABLES, filled, load


def test_the_tables_of_the_readme_are_those_of_the_records() -> None:
    text = README.read_text()
    assert filled(text, TABLES) == text


def test_every_table_is_told() -> None:
    assert sorted(BLOCK.findall(README.read_text())) == sorted(TABLES)


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_record_claims_to_hold_does(name: str) -> None:
    for bar in load(name)["bars"]:
        measured = bar["measured"]
        assert bar["holds"] == (measured is not None and measured <= bar["bar"]), bar["name"]


def test_records_name_no_folder_of_a_machine() -> None:
    for path in RESULTS.glob("*.json"):
        told = json.dumps(json.loads(path.read_text()))
        assert "/home/" not in told
        assert "/tmp/" not in told
