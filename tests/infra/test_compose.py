"""docker-compose.yml fits its schema, the code that it starts and the settings that it gives."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.cli import app
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.settings import load
from oodl import __version__

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "docker-compose.yml"
SETTINGS = ROOT / "infra" / "oodl.toml"
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
PINNED = re.compile(r"[a-z0-9/.-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*")

every_service = pytest.mark.parametrize("name", SERVICES)
every_one_of_ours = pytest.mark.parametrize("name", OURS)


def test_the_file_fits_the_schema_of_compose() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")

    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_topics_and_pipeline_are_ours() -> None:
    assert OURS == ["topics", "pipeline"]


@every_service
def test_every_port_is_bound_to_this_host_alone(name: str) -> None:
    ports = SERVICES[name].get("ports", [])

    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


@every_service
def test_every_image_has_a_pinned_version(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_every_base_image_has_a_pinned_version() -> None:
    lines = (ROOT / "infra" / "Dockerfile").read_text().splitlines()

    images = [line.split()[1] for line in lines if line.startswith("FROM ")]

    assert images
    assert [image for image in images if not PINNED.fullmatch(image)] == []


@every_one_of_ours
def test_our_image_has_the_version_of_the_code(name: str) -> None:
    assert SERVICES[name]["image"] == f"oodl:{__version__}"


@every_service
def test_a_service_waits_for_services_that_are_there(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})

    assert needed.keys() <= SERVICES.keys()


@every_service
def test_who_is_waited_for_in_health_has_a_health_check(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})
    in_health = [other for other, how in needed.items() if how["condition"] == "service_healthy"]

    assert [other for other in in_health if "healthcheck" not in SERVICES[other]] == []


@every_one_of_ours
def test_its_command_is_one_that_oodl_has(name: str) -> None:
    command, bound, _ = app.parse_args(
        SERVICES[name]["command"], exit_on_error=False, print_error=False
    )

    assert command.__module__.startswith("flows.tools.")
    assert bound.arguments


@every_one_of_ours
def test_its_environment_is_one_that_the_settings_know(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(key, value)

    settings = load(SETTINGS)

    assert settings.kafka.bootstrap == "kafka:29092"
    assert settings.metrics.address == "0.0.0.0"
    assert str(settings.recovery.folder) == "/var/lib/oodl/recovery"


def test_the_pipeline_s_health_is_asked_where_it_tells_of_it() -> None:
    asked = SERVICES["pipeline"]["healthcheck"]["test"][-1]
    port = load(SETTINGS).metrics.port
    assert f"http://127.0.0.1:{port}/healthz" in asked
    tally = Tally()
    server, bound = serve(Collector(tally, load(SETTINGS)), "127.0.0.1", 0)
    command = [sys.executable, "-c", asked.replace(str(port), str(bound))]

    ended = []
    for seconds in (0.0, 1000.0):  # for which the flow has not come back
        tally.beats.turn(time.monotonic() - seconds, partition=0, taken=0, behind=0)
        ended.append(subprocess.run(command, capture_output=True, check=False).returncode)
    server.shutdown()
    server.server_close()

    assert ended == [0, 1]


def test_the_sample_settings_are_the_defaults_when_nothing_is_set() -> None:
    assert load(SETTINGS) == load(None)
