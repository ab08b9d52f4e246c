from benchmarks.alerts import PAGE, TABLES
from benchmarks.report import BLOCK, filled, load
from tests.stack.test_alerts import CASES


def test_the_tables_of_the_page_are_those_of_the_record() -> None:
    text = PAGE.read_text()
    assert filled(text, TABLES) == text, "run python -m benchmarks.alerts"
    assert sorted(BLOCK.findall(text)) == sorted(TABLES)


def test_every_case_was_tried_with_the_rules_as_they_ship_and_in_time() -> None:
    found = load("alerts")
    assert (found["factor"], found["healthy_seconds"]) == (1, 600)
    assert found["cases"].keys() == CASES.keys()
    assert len(found["bars"]) == len(CASES)
    assert [bar["name"] for bar in found["bars"] if not bar["measured"] <= bar["bar"]] == []
