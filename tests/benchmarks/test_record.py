import doctest
import json

import pytest

from benchmarks import record as recording
from benchmarks.record import Bar, record, tell


def test_the_examples_hold() -> None:
    assert doctest.testmod(recording).failed == 0


def test_a_bar_that_was_not_measured_does_not_hold() -> None:
    assert Bar("cost", None, 1.0).as_json() == {
        "name": "cost",
        "measured": None,
        "bar": 1.0,
        "holds": False,
    }


def test_a_record_is_json_and_says_where_it_comes_from() -> None:
    found = json.loads(json.dumps(record("question", [Bar("error", 0.5, 1.0)], 0.0, runs=[1])))
    assert found["bars"][0]["holds"]
    assert found["runs"] == [1]
    assert {"machine", "commit", "seconds", "date", "versions"} <= found.keys()


def test_bars_are_told_with_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    tell([Bar("a", 2.0, 1.0), Bar("b", None, 1.0), Bar("c", 0.5, 1.0)])
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["FAILS", "FAILS", "holds"]
