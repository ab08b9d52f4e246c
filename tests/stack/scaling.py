"""The shipped rules in fast motion: every duration divided by a factor, thresholds as they are."""

import os
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from tests.stack.configuration import INFRA, to_yaml

__all__ = ["FACTOR", "rules", "seconds", "waits"]

FACTOR = float(os.environ.get("ALERTS_FACTOR", "10"))
"""How many times as fast as they ship the rules are tried."""

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
DURATION = re.compile(r"(\d+)(ms|[smhdw])")
# Where an expression has durations: ranges, subqueries, offsets; a name such as rate5m has none.
PLACES = re.compile(r"\[[^\]]*\]|offset \w+")


def rules(factor: float) -> str:
    """infra/prometheus/oodl.rules.yml, so many times as fast; 1: as it ships."""
    if factor == 1:
        return (INFRA / "oodl.rules.yml").read_text()
    found: dict[str, Any] = YAML(typ="safe").load(INFRA / "oodl.rules.yml")
    for group in found["groups"]:
        if "interval" in group:
            group["interval"] = faster(group["interval"], factor)
        for rule in group["rules"]:
            rule["expr"] = PLACES.sub(lambda place: faster(place[0], factor), rule["expr"])
            if "for" in rule:
                rule["for"] = faster(rule["for"], factor)
    return to_yaml(found)


def waits(text: str) -> dict[str, float]:
    """The `for` of each alert of a rules file, in seconds."""
    return {rule["alert"]: seconds(rule["for"]) for rule in _alerts(text)}


def seconds(duration: str) -> float:
    """How long that is.

    >>> seconds("1h30m")
    5400.0
    """
    return sum(int(number) * UNITS[unit] for number, unit in DURATION.findall(duration))


def faster(text: str, factor: float) -> str:
    """Divide the durations in a text, in milliseconds.

    >>> faster("[1w:5m]", 10)
    '[60480000ms:30000ms]'
    """
    return DURATION.sub(lambda found: f"{1000 * seconds(found[0]) / factor:.0f}ms", text)


def _alerts(text: str) -> Iterator[dict[str, Any]]:
    for group in YAML(typ="safe").load(text)["groups"]:
        yield from (rule for rule in group["rules"] if "alert" in rule)
