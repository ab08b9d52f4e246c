"""The right alert fires when something goes wrong, no other does, and it resolves.

With the real Prometheus and Alertmanager, and the pipeline on Apache Kafka. ALERTS_FACTOR says how
many times as fast the rules are as they ship, ALERTS_HEALTHY for how many seconds all is well at
first, ALERTS_RECORD the file that the times go to.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.record import Bar, record
from tests.stack import scaling
from tests.stack.plant import LINE, stuck, turned
from tests.stack.scaling import FACTOR
from tests.stack.stage import Stage, Times

HEALTHY = float(os.environ.get("ALERTS_HEALTHY", "60"))
SENSOR = "vibration-1"
Cause = Callable[[Stage], None]

UNCLOSED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = [
    pytest.mark.alerts,
    pytest.mark.timeout(1500),
    pytest.mark.usefixtures("stack_programs"),
    pytest.mark.filterwarnings(UNCLOSED),  # kafka-python leaves those of refused connections
]


def drift(stage: Stage) -> None:
    """The planted dictionary of a sensor is turned."""
    stage.pipeline.plant.change(SENSOR, turned(stage.pipeline.plant.fleet.sources[SENSOR]))


def stick(stage: Stage) -> None:
    """One channel of a line is stuck."""
    stage.pipeline.plant.change(LINE, stuck(3))


def poison(stage: Stage) -> None:
    """One message in ten is none."""
    stage.pipeline.plant.poison(0.1)


def heal(stage: Stage) -> None:
    """The plant sends as before."""
    stage.pipeline.plant.heal()


CASES: dict[str, tuple[str, str, Cause, Cause]] = {
    "a drifting group": ("OodlGroupSurprised", SENSOR, drift, heal),
    "a stuck sensor": ("OodlGroupSurprised", LINE, stick, heal),
    "poison": ("OodlDeadLetters", "", poison, heal),
    "a frozen broker": (
        "OodlBrokerAway",
        "",
        lambda stage: stage.pipeline.broker.freeze(),
        lambda stage: stage.pipeline.broker.thaw(),
    ),
    "a stopped worker": (
        "OodlWorkerDown",
        "",
        lambda stage: stage.pipeline.freeze(),
        lambda stage: stage.pipeline.thaw(),
    ),
    "a killed worker": (
        "OodlWorkerDown",
        "",
        lambda stage: stage.pipeline.kill(),
        lambda stage: stage.pipeline.restart(),
    ),
}


@pytest.fixture(scope="module")
def times() -> Iterator[dict[str, Times]]:
    """What was measured, case by case; recorded where that is asked for."""
    began, found = time.monotonic(), dict[str, Times]()
    yield found
    if file := os.environ.get("ALERTS_RECORD"):
        write(Path(file), found, began)


def test_nothing_is_told_while_all_is_well(stage: Stage) -> None:
    assert stage.watch(HEALTHY) == set()
    assert [rule["name"] for rule in stage.prometheus.rules() if rule["health"] != "ok"] == []
    assert stage.prometheus.value("job:oodl_readings_coded:rate5m") > 0


@pytest.mark.parametrize("case", CASES)
def test_an_alert_fires_in_time_alone_and_resolves(
    case: str, stage: Stage, times: dict[str, Times]
) -> None:
    alert, about, cause, mend = CASES[case]

    times[case] = stage.perform(alert, lambda: cause(stage), lambda: mend(stage), about)


def write(file: Path, found: dict[str, Times], began: float) -> None:
    """Record the times, with the bar that each is held to."""
    waits = scaling.waits(scaling.rules(FACTOR))
    bars = [
        Bar(f"{case}: seconds until {each.alert}", each.fired, waits[each.alert] + 60)
        for case, each in found.items()
    ]
    cases = {case: asdict(each) for case, each in found.items()}
    question = "How long does it take until an alert tells what went wrong?"
    said = record(question, bars, began, factor=FACTOR, healthy_seconds=HEALTHY, cases=cases)
    file.write_text(json.dumps(said, indent=1) + "\n")
