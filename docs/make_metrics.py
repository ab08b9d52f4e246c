"""The reference of the metrics, made from what is exported: ``python -m docs.make_metrics``."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from prometheus_client import Metric

from flows import events
from flows.events import Tally
from flows.exporter import Collector
from flows.health import STATES
from flows.oddities import ODDITIES
from flows.settings import Settings
from flows.wire import Reason

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).with_name("metrics.md")
UNITS = ("seconds", "bytes", "readings")
BOUND = {"le"}  # a label of Prometheus' own

HEAD = """# Metrics

`oodl run` shows them at `http://127.0.0.1:9464/metrics` (`metrics.address`, `metrics.port`). A
process of a cluster shows what it did itself, and the sum over the processes is what one would
show. The label `group` has at most `metrics.groups` values (1000) and those groups that were
surprised; the rest stand together as `__other__`, counts as their sum, gauges as their largest. No
sensor is a label. Beside these stand `process_*`, what the process takes of the machine, as every
Prometheus client names them. A scrape of 10,000 groups takes .08 s of CPU, of all of them with
labels .7 s (`python -m benchmarks.scrape`).

Rules made of these, and alerts: [runbook](runbook.md). This page is made from the code by
`python -m docs.make_metrics`.

| metric | type | labels | unit | meaning |
|---|---|---|---|---|
"""
LABELS = """
## Values of labels

`state`: {states}; what each means: [how it does](guide/operating.md#how-it-does).

`reason` of a rejected message: {reasons}; what each means: [messages](guide/messages.md).

`kind` of an oddity:

| kind | meaning |
|---|---|
"""


def page() -> str:
    """Return the page: a row for each metric, then what labels may be."""
    rows = "".join(f"| {' | '.join(_row(metric))} |\n" for metric in _metrics())
    labels = LABELS.format(states=_listed(STATES), reasons=_listed(get_args(Reason)))
    kinds = "".join(f"| `{kind}` | {meaning} |\n" for kind, meaning in ODDITIES.items())
    return HEAD + rows + labels + kinds


def _metrics() -> Iterator[Metric]:
    """Yield all metrics, of a tally in which nothing is unknown and a group was seen."""
    tally = Tally()
    tally.readings_coded["a"], tally.surprise["a"] = 1, 0.5
    for name in events.SHOWN_BY_GROUP:
        getattr(tally, name)["a"] = 1
    events.epoch_chosen(tally, seconds=1.0)
    events.broker_heard(tally, silent_seconds=0.0)
    events.lag_measured(tally, 0, 0, 0.0)
    yield from Collector(tally, Settings()).collect()


def _row(metric: Metric) -> tuple[str, ...]:
    suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    labels = {label for sample in metric.samples for label in sample.labels} - BOUND
    unit = next((unit for unit in UNITS if metric.name.endswith(f"_{unit}")), "")
    told = " ".join(f"`{label}`" for label in sorted(labels))
    return f"`{metric.name}{suffix}`", metric.type, told, unit, metric.documentation


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
