"""Debian's Prometheus with the project's own configuration and rules, and what it is asked."""

import json
import math
import urllib.error
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.stack import configuration
from tests.stack.programs import Program, wait_until

__all__ = ["Alert", "Prometheus", "QueryError", "Sample"]


class QueryError(RuntimeError):
    """Prometheus refused an expression; the message has both."""


class Sample(NamedTuple):
    """A series and its value."""

    labels: dict[str, str]
    value: float


class Alert(NamedTuple):
    """An alert that waits for its `for` (pending), or fires."""

    name: str
    state: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Prometheus(Program):
    """A server that scrapes what it is given.

    Parameters
    ----------
    targets : mapping of str to sequence of str
        By job of infra/prometheus/prometheus.yml, addresses to scrape; itself is there anyway, and
        a job that is not named is left out.
    alertmanagers : sequence of str
        Where alerts are sent.
    interval : str
        Between two scrapes, and two evaluations of the rules.
    rules : mapping of str to str, optional
        By file name, what the rule files are to hold; default: as infra/prometheus has them.
    """

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        *,
        alertmanagers: Sequence[str] = (),
        interval: str = "1s",
        rules: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("prometheus")
        if rules is None:
            shipped = configuration.INFRA.glob("*.rules.yml")
            rules = {path.name: path.read_text() for path in shipped}
        own = {"prometheus": [self.address]}
        settings = configuration.prometheus({**own, **targets}, alertmanagers, rules, interval)
        self.write({"prometheus.yml": settings, **rules})

    def options(self) -> Sequence[str]:
        """All that it keeps stays in its folder."""
        return (
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--rules.alert.resend-delay=1s",  # a minute: the first came before it knew where to
            "--log.level=warn",
        )

    def query(self, expression: str) -> list[Sample]:
        """What an expression is now; a scalar is a sample without labels.

        Raises
        ------
        QueryError
            When Prometheus refuses it.
        """
        told = self._ask("/api/v1/query", {"query": expression})
        if told["resultType"] in ("scalar", "string"):
            return [Sample({}, float(told["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in told["result"]]

    def value(self, expression: str) -> float:
        """The only sample of an expression; NaN where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression}: expected one sample, got {found}"
        return found[0].value if found else math.nan

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Any]:
        """A matrix as the API has it: a `metric` and its `values` for each series."""
        asked = {"query": expression, "start": start, "end": end, "step": step}
        matrix: list[Any] = self._ask("/api/v1/query_range", asked)["result"]
        return matrix

    def alerts(self) -> list[Alert]:
        """The alerts that are pending or fire."""
        return [
            Alert(each["labels"]["alertname"], each["state"], each["labels"], each["annotations"])
            for each in self._ask("/api/v1/alerts")["alerts"]
        ]

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        return {alert.name for alert in self.alerts() if alert.state == "firing"}

    def rules(self) -> list[dict[str, Any]]:
        """All rules, as the API has them, with their last error."""
        groups = self._ask("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def await_scrape(self, job: str = "oodl", count: int = 1) -> None:
        """Return when so many targets of a job were scraped."""
        expression = f'sum(up{{job="{job}"}})'
        wait_until(lambda: self.value(expression) >= count, f"{count} targets of {job} are scraped")

    def await_value(self, expression: str, seconds: float = 60.0) -> float:
        """Return when an expression has a value that is no NaN: after how many seconds."""
        return wait_until(
            lambda: any(not math.isnan(sample.value) for sample in self.query(expression)),
            f"{expression} has a value",
            seconds,
        )

    def _ask(self, path: str, asked: Mapping[str, object] | None = None) -> dict[str, Any]:
        question = f"?{urllib.parse.urlencode(asked)}" if asked else ""
        try:
            told = json.loads(self.get(path + question))
        except urllib.error.HTTPError as refused:
            with refused:
                message = f"{path} {asked}: {refused.code}: {refused.read().decode()}"
            raise QueryError(message) from None
        data: dict[str, Any] = told["data"]
        return data
