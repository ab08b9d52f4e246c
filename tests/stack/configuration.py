"""infra/prometheus as it ships, but for where things are and how often they are looked at."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["INFRA", "alertmanager", "prometheus", "to_yaml"]

INFRA = Path(__file__).parents[2] / "infra" / "prometheus"


def prometheus(
    targets: Mapping[str, Sequence[str]],
    alertmanagers: Sequence[str],
    rules: Iterable[str],
    interval: str,
) -> str:
    """infra/prometheus/prometheus.yml with other addresses.

    Parameters
    ----------
    targets : mapping of str to sequence of str
        By job of the file, what is scraped; a job that is not named is left out.
    alertmanagers : sequence of str
        Where alerts are sent.
    rules : iterable of str
        Names of the rule files, beside the configuration.
    interval : str
        Between two scrapes, and two evaluations: `1s`.
    """
    settings = _read(INFRA / "prometheus.yml")
    settings["global"] |= {"scrape_interval": interval, "evaluation_interval": interval}
    jobs = [job for job in settings["scrape_configs"] if job["job_name"] in targets]
    for job in jobs:
        job["static_configs"] = [{"targets": [*targets[job["job_name"]]]}]
    receivers = [{"static_configs": [{"targets": [*alertmanagers]}]}]
    settings |= {
        "scrape_configs": jobs,
        "rule_files": [*rules],
        "alerting": {"alertmanagers": receivers},
    }
    return to_yaml(settings)


def alertmanager(receiver: str = "") -> str:
    """Alerts of a group at once, repeated seldom, sent to an address or to nobody."""
    hooks = [{"url": receiver, "send_resolved": True}] if receiver else []
    return to_yaml(
        {
            "route": {
                "receiver": "test",
                "group_by": ["..."],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "test", "webhook_configs": hooks}],
        }
    )


def to_yaml(value: object) -> str:
    """YAML in block style."""
    text = StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump(value, text)
    return text.getvalue()


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(path)
    return read
