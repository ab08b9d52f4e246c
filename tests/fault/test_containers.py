"""The commands and health checks of our containers, run outside of one on Apache Kafka.

As docker-compose.yml and the StatefulSet give them, with the image's variables; paths, ports and
the broker's address are this machine's. Where root may do so the root is read-only to them and
what they may write is what is mounted there.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.brokers import ApacheKafka
from tests.compose import ROOT, SERVICES, SETTINGS, health_check
from tests.confined import confined, why_not
from tests.fault.workers import PATIENCE, Worker, free_port, wait_until

pytestmark = pytest.mark.operation

SETS = ROOT / "infra" / "kubernetes" / "base"
ROLES = ("readings", "codes", "dictionaries", "dead_letters")


class Host:
    """What stands here for a container's mounts and network.

    Parameters
    ----------
    broker : ApacheKafka
    folder : Path
        Of the volume that is kept, and of the logs.
    compiled : Path
        The volume of what is compiled.
    """

    def __init__(self, broker: ApacheKafka, folder: Path, compiled: Path) -> None:
        self.folder, self.volume, self.compiled = folder, folder / "volume", compiled
        self.volume.mkdir()
        self.port = free_port(2)
        names = {f"OODL_TOPICS__{role.upper()}": f"{folder.name}.{role}" for role in ROLES}
        self.variables = {
            "OODL_KAFKA__BOOTSTRAP": broker.address,
            "OODL_KAFKA__GROUP": folder.name,
            "OODL_METRICS__ADDRESS": "127.0.0.1",
            "OODL_METRICS__PORT": str(self.port),
            "OODL_RECOVERY__FOLDER": str(self.volume / "recovery"),
            "NUMBA_CACHE_DIR": str(self.compiled),
            "PYTHONDONTWRITEBYTECODE": "1",
            **names,
        }

    def command(self, arguments: list[str], settings: Path) -> list[str]:
        """What the image's entry point does with a container's arguments."""
        assert arguments[1:] == ["--settings", "/etc/oodl/oodl.toml"]
        own = [sys.executable, "-m", "flows", arguments[0], "--settings", str(settings)]
        if why_not(ROOT):
            return own
        return confined(own, [self.volume, self.compiled] if arguments[0] == "run" else [])

    def run(self, service: str) -> "subprocess.CompletedProcess[str]":
        """Run a service that ends by itself."""
        return subprocess.run(
            self.command(SERVICES[service]["command"], SETTINGS),
            cwd=ROOT, env=os.environ | self.variables,
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip

    @contextmanager
    def started(
        self, arguments: list[str], settings: Path = SETTINGS, number: int = 0, **variables: str
    ) -> Iterator[Worker]:
        """Run a service until the end is asked for."""
        log_file = self.folder / f"{arguments[0]}-{number}.log"
        with Worker(
            settings, self.port + number, log_file=log_file,
            command=self.command(arguments, settings),
            environment={**self.variables, **variables},
        ) as worker:  # fmt: skip
            yield worker

    def healthy(self) -> bool:
        """Whether the image's health check says so."""
        _, option, asked = health_check()
        here = asked.replace("9464", str(self.port))
        ended = subprocess.run([sys.executable, option, here], capture_output=True, check=False)
        return ended.returncode == 0


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def host(apache_kafka: ApacheKafka, tmp_path: Path, compiled: Path) -> Host:
    return Host(apache_kafka, tmp_path, compiled)


def test_topics_pipeline_and_simulator_of_compose_work_together(host: Host) -> None:
    # given topics, which are also well at the next `docker compose up`
    assert [host.run("topics").returncode for _ in range(2)] == [0, 0]
    assert not host.healthy()
    # when the pipeline runs, and the simulator of the demo besides
    with ExitStack() as running:
        pipeline = running.enter_context(host.started(SERVICES["pipeline"]["command"]))
        pipeline.await_metrics()
        simulator = running.enter_context(host.started(SERVICES["simulator"]["command"], number=1))
        # then readings are coded, what is compiled is kept, and the health check says well
        wait_until(lambda: pipeline.metrics()["oodl_codes_sent_total", ""] > 500)
        assert host.healthy()
        assert list(host.compiled.rglob("*.nbc"))
        # and both end as `docker compose stop` asks them to
        assert simulator.end(signal.SIGTERM) in (0, 130, -signal.SIGTERM)
        assert pipeline.end(signal.SIGTERM) == 0
    assert not host.healthy()
    assert (host.volume / "recovery" / "manifest.json").exists()


def test_pods_of_the_stateful_set_are_processes_of_one_cluster(host: Host) -> None:
    # given the pods' command and settings, and a volume that fsGroup lets them write
    pod = YAML(typ="safe").load(SETS / "statefulset.yaml")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    host.volume.chmod(0o2775)
    assert host.run("topics").returncode == 0
    settings = SETS / "oodl.toml"
    addresses = ";".join(f"127.0.0.1:{port}" for port in (free_port(), free_port()))
    # a variable outranks the file: of the pipeline's own only what differs on this machine
    for _ in range(2):  # the second time they come back to their folder
        with ExitStack() as running:
            pods = [
                running.enter_context(
                    host.started(
                        container["args"], settings, number,
                        OODL_METRICS__PORT=str(host.port),
                        BYTEWAX_PROCESS_ID=str(number), BYTEWAX_ADDRESSES=addresses,
                    )
                )
                for number in range(2)
            ]  # fmt: skip
            # when both are there, each is ready
            for each in pods:
                each.await_metrics()
                for path in paths(container):
                    assert each.ask(path)[0] == 200
            # then one that Kubernetes ends, ends the other
            assert pods[1].end(signal.SIGTERM) == 0
            assert pods[0].process.wait(PATIENCE) == 0


def paths(container: dict[str, Any]) -> list[str]:
    """Where a container's probes ask."""
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    return [container[probe]["httpGet"]["path"].lstrip("/") for probe in probes]
