"""Rules and alerts of infra/prometheus: named well, tested, and with what an operator needs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from flows import events
from flows.events import Tally
from flows.exporter import Collector
from flows.settings import Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra" / "prometheus"
TESTS = sorted((INFRA / "tests").glob("*.yml"))
BOARDS = ROOT / "infra" / "grafana" / "dashboards"
RECORD = re.compile(r"[a-z_]+:oodl_[a-z_]+:[a-z0-9_]+")
METRIC = re.compile(r"\b(?<![:\w])oodl_[a-z_]+\b(?!:)")
EXPRESSIONS = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
SEVERITIES = {"critical", "warning", "info"}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


RULES = [rule for group in read(INFRA / "oodl.rules.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = [rule["record"] for rule in RULES if "record" in rule]

every_alert = pytest.mark.parametrize("name", ALERTS)


def checks() -> Iterator[dict[str, Any]]:
    for path in TESTS:
        for case in read(path)["tests"]:
            yield from case["alert_rule_test"]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_tests_of_the_rules_pass(promtool: str, path: Path) -> None:
    command = [promtool, "test", "rules", str(path)]

    tested = subprocess.run(command, capture_output=True, text=True, check=False)

    assert tested.returncode == 0, tested.stdout + tested.stderr


@every_alert
def test_an_alert_is_shown_to_fire_and_not_to_fire(name: str) -> None:
    expected = [check["exp_alerts"] for check in checks() if check["alertname"] == name]

    assert any(expected)
    assert not all(expected)


@every_alert
def test_an_alert_waits_and_says_how_grave_it_is(name: str) -> None:
    assert ALERTS[name]["for"]
    assert ALERTS[name]["labels"]["severity"] in SEVERITIES
    assert ALERTS[name]["annotations"].keys() >= {"summary", "description"}


@every_alert
def test_an_alert_leads_to_its_section_of_the_runbook(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    text = (ROOT / page).read_text()
    assert anchor == name.lower()
    _, section = text.split(f"\n## {name}\n")
    section = section.split("\n## ")[0]
    for part in ("**Means**", "**Users see**", "**Look at**", "**Do**"):
        assert part in section
    severity, wait = ALERTS[name]["labels"]["severity"], ALERTS[name]["for"]
    assert f"| [{name}](#{anchor}) | {severity} | {wait} |" in text


@every_alert
def test_an_alert_links_to_a_dashboard_that_is_there(name: str) -> None:
    known = {json.loads(path.read_text())["uid"] for path in BOARDS.glob("*.json")}

    link = ALERTS[name]["annotations"]["dashboard"]

    assert link.removeprefix("/d/").partition("?")[0] in known


def test_the_expressions_of_the_runbook_can_be_asked(promtool: str, tmp_path: Path) -> None:
    # given what it has in blocks, a line each
    blocks = EXPRESSIONS.findall((ROOT / "docs" / "runbook.md").read_text())
    expressions = [line for block in blocks for line in block.splitlines()]
    assert len(expressions) > len(ALERTS)
    # when they are rules
    rules = [{"record": f"asked:{number}", "expr": line} for number, line in enumerate(expressions)]
    file = tmp_path / "runbook.rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "runbook", "rules": rules}]}))
    command = [promtool, "check", "rules", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    # then Prometheus takes them, and has what they ask for
    assert f"{len(expressions)} rules found" in checked.stdout, checked.stdout + checked.stderr
    asked = {name for line in expressions for name in METRIC.findall(line)}
    assert asked - names(Tally()) == set()
    assert {name for line in expressions for name in RECORD.findall(line)} - {*RECORDS} == set()


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_named_by_level_metric_and_operation(record: str) -> None:
    assert RECORD.fullmatch(record)


def test_rules_ask_for_metrics_that_are_exported_and_for_records_that_are_made() -> None:
    exported = names(Tally())
    asked = {name for rule in RULES for name in METRIC.findall(rule["expr"])}
    made = {name for rule in RULES for name in RECORD.findall(rule["expr"])}

    assert asked - exported == set()
    assert made - set(RECORDS) == set()


def names(tally: Tally) -> set[str]:
    """Names of all samples; those of a group as soon as there is one."""
    events.epoch_chosen(tally, seconds=1.0)
    events.broker_heard(tally, silent_seconds=0.0)
    registry = CollectorRegistry()
    registry.register(Collector(tally, Settings()))
    found = set()
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        found |= {family.name, f"{family.name}_total", f"{family.name}_bucket"}
    return found
