"""The epoch that the engine works with, from start to start."""

from pathlib import Path

import pytest

from flows import epochs
from flows.events import Tally
from flows.manifest import read
from flows.settings import Settings
from tests.broker.test_flow import run, send_readings
from tests.traffic import machine


def test_where_snapshots_take_too_long_the_next_start_has_fewer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given any share being too large
    monkeypatch.setattr(epochs, "SHARE", 0.0)
    monkeypatch.setattr(epochs, "WINDOW", 0.0)
    send_readings(settings, machine(["press-7"], 100))

    # when snapshots are taken
    first = run(settings, lambda tally: tally.oddities["snapshots_slow"] > 0)

    # then they were measured, and the next start goes on with twice the epoch
    assert first.beats.held_by_snapshots > 0
    assert epoch_of(settings.recovery.folder) == 2 * settings.recovery.epoch_seconds
    second: Tally = run(settings, lambda tally: tally.epoch is not None)
    assert second.epoch == 2 * settings.recovery.epoch_seconds


def epoch_of(folder: Path) -> float | None:
    found = read(folder)
    return None if found is None else found.epoch_seconds
