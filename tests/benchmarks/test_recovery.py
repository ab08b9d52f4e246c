import json

import numpy as np
import pytest

from benchmarks import recovery
from benchmarks.record import Bar
from benchmarks.recovery import Setting, errors, spiked, stream
from benchmarks.rivals import Ours
from oodl.distance import distance

SETTING = Setting(16, 0.1, 16)


def test_the_start_knows_nothing_of_what_is_planted() -> None:
    given = stream(SETTING, 1)
    assert distance(given.initial, given.planted) > 0.5


def test_ours_does_not_depend_on_the_block() -> None:
    given = stream(SETTING, 1)
    checkpoints = (10, 30)
    assert errors(Ours(), given, 1, checkpoints) == errors(Ours(), given, 37, checkpoints)


@pytest.mark.parametrize(("whole_rows", "entries"), [(True, 16), (False, 1)])
def test_one_row_in_a_hundred_is_struck(whole_rows: bool, entries: int) -> None:  # noqa: FBT001
    clean = stream(SETTING, 1)
    struck = spiked(clean, whole_rows=whole_rows, loud=10.0, seed=1)
    changed = (struck.rows != clean.rows).sum(axis=1)
    assert set(np.unique(changed)) == {0, entries}
    assert 0.005 < np.mean(changed > 0) < 0.02


def test_quick_prints_one_json_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[recovery.Stage] = [("one", lambda _: ([], [Bar("error", 0.5, 0.1)]))]
    monkeypatch.setattr(recovery, "stages", lambda *_: measured)
    monkeypatch.setattr("sys.argv", ["recovery", "--quick", "--json"])
    recovery.main()
    told = json.loads(capsys.readouterr().out)
    assert told["bars"] == [{"name": "error", "measured": 0.5, "bar": 0.1, "holds": False}]
    assert {"machine", "commit", "seconds", "skipped"} <= told.keys()
