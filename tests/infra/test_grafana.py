"""The dashboards are what their code makes, and what they name is there.

That Prometheus answers what they ask is tried in tests/stack; that they look as they should has
been seen by nobody here.
"""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.events import Tally
from flows.exporter import Collector
from flows.settings import Settings
from infra.grafana.__main__ import rendered
from tests.compose import ROOT, SERVICES

GRAFANA = ROOT / "infra" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("dashboards/*.json"))
}
OWN = {"__rate_interval", "__url_time_range", "__value", "__field"}  # Grafana's variables
WIDTH = 24
NOT_SHOWN: set[str] = set()  # a metric that no chart needs, with the reason

every_board = pytest.mark.parametrize("name", BOARDS)


def test_the_files_are_what_the_code_makes() -> None:
    assert {path: path.read_text() for path in GRAFANA.glob("dashboards/*")} == rendered()


def test_a_file_that_differs_is_named(tmp_path: Path) -> None:
    code = (
        "import infra.grafana.__main__ as made, pathlib, sys;"
        f"made.FOLDER = pathlib.Path({str(tmp_path)!r}); sys.argv.append('--check'); made.main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == [
        str(tmp_path / f"{name}.json") for name in BOARDS
    ]


def test_alerts_and_bookmarks_find_the_dashboards() -> None:
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        "fleet": "oodl-fleet",
        "group": "oodl-group",
        "pipeline": "oodl-pipeline",
    }


@every_board
def test_every_link_leads_to_a_dashboard_that_has_the_variables_it_sets(name: str) -> None:
    known = {board["uid"]: variables(board) for board in BOARDS.values()}

    for address in re.findall(r'"url": "([^"]+)"', json.dumps(BOARDS[name])):
        _, _, uid, *_ = re.split(r"[/?]", address)
        set_there = set(re.findall(r"[?&]var-(\w+)=", address))
        assert set_there <= known[uid]


def test_every_alert_leads_to_a_dashboard_that_has_the_variables_it_sets() -> None:
    known = {board["uid"]: variables(board) for board in BOARDS.values()}
    groups = YAML(typ="safe").load(ROOT / "infra" / "prometheus" / "oodl.rules.yml")["groups"]

    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]

    assert alerts
    for rule in alerts:
        _, _, uid, *_ = re.split(r"[/?]", rule["annotations"]["dashboard"])
        assert set(re.findall(r"var-(\w+)=", rule["annotations"]["dashboard"])) == known[uid]


def test_the_fleet_leads_to_a_group_from_its_charts_and_from_its_table() -> None:
    links = [
        panel["title"]
        for panel in BOARDS["fleet"]["panels"]
        if "/d/oodl-group" in json.dumps(panel)
    ]

    assert len(links) == 5


def test_every_metric_is_in_a_chart_or_stands_behind_a_rule_that_is() -> None:
    rules = (ROOT / "infra" / "prometheus" / "oodl.rules.yml").read_text()
    shown = json.dumps(BOARDS) + "".join(
        rule["expr"]
        for group in YAML(typ="safe").load(rules)["groups"]
        for rule in group["rules"]
        if rule.get("record", "\0") in json.dumps(BOARDS)
    )

    metrics = {family.name for family in Collector(Tally(), Settings()).collect()}

    assert {name for name in metrics if not re.search(rf"\b{name}(_|\b)", shown)} == NOT_SHOWN


@every_board
def test_a_board_asks_only_for_variables_that_it_has(name: str) -> None:
    board = BOARDS[name]
    asked = set(re.findall(r"\$\{?(\w+)", json.dumps(board)))

    assert asked <= variables(board) | OWN
    assert variables(board) <= asked


@every_board
def test_everything_is_asked_of_the_prometheus_that_is_provisioned(name: str) -> None:
    provisioned = YAML(typ="safe").load(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")
    [source] = provisioned["datasources"]

    asked = re.findall(r'"datasource": (\{[^}]*\})', json.dumps(BOARDS[name]))

    expected = {"type": source["type"], "uid": source["uid"]}
    assert [json.loads(each) for each in asked] == [expected] * len(asked)
    assert "prometheus" in SERVICES
    assert source["url"] == "http://prometheus:9090"


def test_the_boards_are_found_where_compose_mounts_them() -> None:
    provisioned = YAML(typ="safe").load(GRAFANA / "provisioning" / "dashboards" / "oodl.yml")
    [provider] = provisioned["providers"]
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])

    assert mounted["./infra/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./infra/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/fleet.json"


@every_board
def test_every_panel_says_what_it_shows_and_none_covers_another(name: str) -> None:
    panels = BOARDS[name]["panels"]

    assert [panel["id"] for panel in panels] == [*range(1, len(panels) + 1)]
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    assert len({panel["title"] for panel in panels}) >= len(panels) - len(numbers(panels))
    places = [panel["gridPos"] for panel in panels]
    assert all(at["x"] >= 0 and at["x"] + at["w"] <= WIDTH for at in places)
    assert not any(overlap(one, other) for one, other in combinations(places, 2))


def variables(board: dict[str, Any]) -> set[str]:
    return {variable["name"] for variable in board["templating"]["list"]}


def numbers(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [panel for panel in panels if panel["type"] == "stat"]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    )  # fmt: skip
