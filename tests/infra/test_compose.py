"""docker-compose.yml fits its schema, the code that it starts and the settings that it gives."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.cli import app
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.settings import load
from oodl import __version__
from tests.compose import COMPOSE, DOCKERFILE, OURS, ROOT, SERVICES, SETTINGS, health_check, image

PINNED = re.compile(r"[a-z0-9/.-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*")

VOLUMES = YAML(typ="safe").load(COMPOSE)["volumes"]

every_service = pytest.mark.parametrize("name", SERVICES)
every_one_of_ours = pytest.mark.parametrize("name", OURS)


def test_the_file_fits_the_schema_of_compose() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")

    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_topics_pipeline_and_simulator_are_ours() -> None:
    assert OURS == ["topics", "pipeline", "simulator"]


def test_the_simulator_alone_is_for_the_demo() -> None:
    assert {name: service.get("profiles") for name, service in SERVICES.items()} == {
        **dict.fromkeys(SERVICES),
        "simulator": ["demo"],
    }


@every_service
def test_every_port_is_bound_to_this_host_alone(name: str) -> None:
    ports = SERVICES[name].get("ports", [])

    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


@every_service
def test_every_service_is_started_again_and_bounded(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] in ("unless-stopped", "on-failure", "on-failure:5")
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


@every_service
def test_every_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only", False) == (name != "kafka")  # writes its settings there


@every_service
def test_what_is_mounted_is_there(name: str) -> None:
    sources = [volume.split(":")[0] for volume in SERVICES[name]["volumes"]]

    missing = [at for at in sources if at.startswith(".") and not (ROOT / at).exists()]

    assert missing == []
    assert {at for at in sources if not at.startswith(".")} <= VOLUMES.keys()


def test_what_the_pipeline_writes_is_in_volumes() -> None:
    mounted = {volume.split(":")[1] for volume in SERVICES["pipeline"]["volumes"]}
    compiled = re.findall(r"NUMBA_CACHE_DIR=(\S+)", image("ENV"))
    kept = SERVICES["pipeline"]["environment"]["OODL_RECOVERY__FOLDER"]

    assert {*compiled, kept} <= mounted
    assert {*compiled, kept} <= set(image("RUN").split())  # there, and of the user that writes


@every_service
def test_every_image_has_a_pinned_version(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_every_base_image_has_a_pinned_version() -> None:
    lines = DOCKERFILE.read_text().splitlines()

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
    port = load(SETTINGS).metrics.port
    program, option, asked = health_check()
    assert (program, option) == ("python", "-c")
    assert f"http://127.0.0.1:{port}/healthz" in asked
    assert "healthcheck" not in SERVICES["pipeline"]  # the image's holds
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
