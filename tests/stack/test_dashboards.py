"""What the dashboards ask is answered by a Prometheus that scrapes a pipeline at work.

Each expression, with its variables filled in: an error, no answer, a NaN, or a series without a
label that its name is made of, fails. That they look as they should is not tried.
"""

import json
import math
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from infra.grafana.queries import Query
from tests.brokers import ApacheKafka
from tests.compose import ROOT
from tests.stack.pipeline import Pipeline
from tests.stack.plant import LINE
from tests.stack.prometheus import Prometheus, Sample
from tests.traffic import Record, send

pytestmark = pytest.mark.alerts

BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((ROOT / "infra" / "grafana" / "dashboards").glob("*.json"))
}
FILLED = {"$job": "oodl", "$group": LINE, "$__rate_interval": "10s"}
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
SECONDS, STEP = 10.0, 2.0


class Asked(NamedTuple):
    """One of a panel's queries."""

    board: str
    panel: str
    kind: str
    letter: str
    query: Query

    def __repr__(self) -> str:
        return f"{self.board}: {self.panel} {self.letter}"


ASKED = [
    Asked(
        name,
        panel["title"],
        panel["type"],
        target["refId"],
        Query(target["expr"], target["legendFormat"]),
    )
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
VARIABLES = [
    (name, variable["query"]["query"])
    for name, board in BOARDS.items()
    for variable in board["templating"]["list"]
]


@pytest.fixture(scope="module")
def prometheus(
    apache_kafka: ApacheKafka,
    stack_programs: None,  # noqa: ARG001  (whether they can start here)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A Prometheus that has seen readings of groups that are learned, poison and an oddity."""
    folder = tmp_path_factory.mktemp("dashboards")
    with (
        Pipeline(apache_kafka, folder, "dashboards") as pipeline,
        Prometheus({"oodl": [pipeline.address]}) as server,
    ):
        pipeline.plant.poison(0.05)
        other = json.dumps({"group": "another", "values": [1.0]}).encode()
        send(apache_kafka.address, pipeline.topics["readings"], [Record(LINE.encode(), other)])
        pipeline.await_versions(1)
        server.await_value("rate(oodl_oddities_total[10s])")
        server.await_value("rate(oodl_dead_letters_sent_total[10s]) > 0")
        time.sleep(SECONDS)
        yield server


@pytest.mark.parametrize("asked", ASKED, ids=repr)
def test_a_panel_is_answered(asked: Asked, prometheus: Prometheus) -> None:
    filled = fill(asked.query)
    now = time.time()

    at_once = prometheus.query(filled.expression)
    over_time = prometheus.query_range(filled.expression, now - SECONDS, now, STEP)

    assert list(problems(filled, at_once)) == []
    if asked.kind == "table":  # its columns are joined by all labels that there are
        assert {tuple(sample.labels) for sample in at_once} == {filled.labels}
    matrix = [
        Sample(series["metric"], float(value))
        for series in over_time
        for _, value in series["values"]
    ]
    assert list(problems(filled, matrix)) == []


@pytest.mark.parametrize("board", BOARDS)
def test_alerts_can_be_shown_in_charts(board: str, prometheus: Prometheus) -> None:
    [shown] = BOARDS[board]["annotations"]["list"]

    fired = prometheus.query(fill(Query(shown["expr"])).expression)

    assert {sample.labels["alertstate"] for sample in fired} <= {"firing"}  # none has to


@pytest.mark.parametrize(("board", "query"), VARIABLES)
def test_a_variable_has_the_value_that_panels_are_asked_with(
    board: str, query: str, prometheus: Prometheus
) -> None:
    found = LABEL_VALUES.fullmatch(fill(Query(query)).expression)
    assert found is not None, board
    series, label = found.groups()

    values = [sample.labels[label] for sample in prometheus.query(f"count by ({label}) ({series})")]

    assert FILLED[f"${label}"] in values


@pytest.mark.parametrize(
    ("expression", "legend", "problem"),
    [
        ('oodl_surprise{job="$job", group="nobody"}', "", "no answer"),
        ("0 * oodl_groups / 0", "", "NaN"),
        ("sum(oodl_groups)", "{{group}}", "no label group"),
    ],
)
def test_what_would_leave_a_panel_empty_is_noticed(
    expression: str, legend: str, problem: str, prometheus: Prometheus
) -> None:
    wrong = fill(Query(expression, legend))

    [found] = problems(wrong, prometheus.query(wrong.expression))

    assert found.startswith(problem)


def problems(query: Query, samples: list[Sample]) -> Iterator[str]:
    """Say why a panel would show nothing, or nothing that can be told apart."""
    if not samples:
        yield f"no answer: {query.expression}"
    for sample in samples:
        if not math.isfinite(sample.value):
            yield f"NaN or infinite: {query.expression} {sample.labels}"
        for label in query.labels:
            if not sample.labels.get(label):
                yield f"no label {label}: {query.expression} {sample.labels}"


def fill(query: Query) -> Query:
    expression = query.expression
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return Query(expression, query.legend)
