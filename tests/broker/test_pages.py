"""What the pages tell to type is typed, in their order, on an Apache Kafka.

Addresses stand for those of this broker; a pipeline that a command leaves running is asked to end
when the next one takes its place, and at the page's end.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import access
from flows.dataflow import SINK_PARTS
from flows.settings import Settings
from tests.brokers import ApacheKafka
from tests.docs.pages import ROOT, blocks, commands
from tests.docs.ways import here
from tests.fault.conftest import apache_kafka  # noqa: F401  (a fixture)
from tests.fault.workers import PATIENCE, free_port
from tests.secure import SecureKafka, grant_of

LASTING = re.compile(r"(\S*/)?oodl (run|repartition|(simulate|sense)\b(?!.*--seconds))\b")
ONE_OF_SEVERAL = re.compile(r" (-i|--process-id) ")
BEFORE_A_START = re.compile(r"oodl check\b")  # it tells what is taken, by a pipeline that runs too
ENDING = "kill %1"
SECONDS = 120
SELF_MADE = ("README.md", "docs/start.md")  # pages that make their settings and topics themselves

TYPED = {
    page: [command for block in blocks("sh") if block.page == page
           for command in commands(block.text) if here(command)]
    for page in dict.fromkeys(block.page for block in blocks("sh"))
}  # fmt: skip
RIGHTS = next(block.text for block in blocks("sh") if "kafka-acls" in block.text)


class Terminal:
    """Where somebody reads a page and types.

    Parameters
    ----------
    folder : Path
    address : str
        Of the broker.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.port = folder, free_port()
        ours = Path(sys.executable).parent
        (folder / "oodl").mkdir()
        (folder / "oodl" / ".venv").symlink_to(ours.parent)
        for name in ("docs", "infra", "Makefile"):
            (folder / name).symlink_to(ROOT / name)
        self._stands_for = {
            "127.0.0.1:9092": address,
            "127.0.0.1:9464": f"127.0.0.1:{self.port}",
            "a:2101;b:2101": f"127.0.0.1:{free_port()};127.0.0.1:{free_port()}",
            "kafka-1.example:9093": address,
        }
        self._environment = os.environ | {
            "PATH": f"{folder}:{ours}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OODL_KAFKA__BOOTSTRAP": address,
            "OODL_METRICS__PORT": str(self.port),
        }
        self._lasting: list[subprocess.Popen[bytes]] = []

    def type(self, command: str) -> None:
        """Do as a reader does who is told a command."""
        for address, ours in self._stands_for.items():
            command = command.replace(address, ours)
        if BEFORE_A_START.match(command):
            self.end()
        if command == ENDING:
            self.end()
        elif LASTING.match(command):
            if not self._goes_with(command):
                self.end()
            self._begin(command.removesuffix("&"))
        else:
            self._run(command)

    def end(self) -> None:
        """Ask what still runs to end; all of it has to be well, and ends with 0."""
        if self._lasting:
            self._await_ready()
        codes = [_ended(process) for process in self._lasting]
        self._lasting = []
        assert not any(codes), codes

    def kill(self) -> None:
        """Leave nothing behind."""
        for process in self._lasting:
            process.kill()
            process.wait()

    def _begin(self, command: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self._environment
        )
        self._lasting.append(process)
        if not ONE_OF_SEVERAL.search(command):  # that one waits for the others
            self._await_ready()

    def _goes_with(self, command: str) -> bool:
        """Whether a command starts another process of the cluster that is being started."""
        running = [str(process.args) for process in self._lasting]
        return all(map(ONE_OF_SEVERAL.search, [command, *running]))

    def _await_ready(self) -> None:
        asked = ["curl", "-sf", f"http://127.0.0.1:{self.port}/readyz"]
        deadline = time.monotonic() + PATIENCE
        while True:
            ready = subprocess.run(asked, check=False, capture_output=True).returncode == 0
            for process in self._lasting:
                assert process.poll() is None, f"ended with {process.returncode}: {process.args!r}"
            if ready:
                return
            assert time.monotonic() < deadline, f"not ready: {self._lasting[-1].args!r}"
            time.sleep(0.2)

    def _run(self, command: str) -> None:
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder, env=self._environment, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"


def _ended(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE)


@pytest.fixture
def terminal(
    apache_kafka: ApacheKafka,  # noqa: F811  (the fixture above)
    tmp_path: Path,
) -> Iterator[Terminal]:
    made = Terminal(tmp_path, apache_kafka.address)
    yield made
    made.kill()


@pytest.mark.operation
@pytest.mark.parametrize("page", [page for page in TYPED if TYPED[page]])
def test_each_command_of_a_page_does_what_it_is_told(terminal: Terminal, page: str) -> None:
    # given a pipeline that runs, where a page takes it for granted
    if page not in SELF_MADE:
        (terminal.folder / "oodl.toml").write_text("[kafka]\ngroup = 'oodl'\n")
        terminal.type("oodl topics --settings oodl.toml")
        terminal.type("oodl run --settings oodl.toml")
    # then each command ends with 0, or runs until it is asked to end
    for command in TYPED[page]:
        terminal.type(command)
    terminal.end()


def test_the_rights_are_granted_as_the_page_says(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    # given Kafka's command for it, and an administrator's settings
    terminal = Terminal(tmp_path, secure_kafka.address)
    acls = tmp_path / "kafka-acls"
    acls.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.broker.kafka_acls "$@"\n')
    acls.chmod(0o755)
    (tmp_path / "admin.properties").touch()
    # when the block is typed as a whole
    terminal.type(RIGHTS)
    # then the pipeline has the rights that it asks for, and no other
    settings = Settings.model_validate({"recovery": {"delivery": "exactly-once"}})
    asked = {grant_of(right) for right in access.to_run(settings, SINK_PARTS)}
    assert secure_kafka.granted("User:oodl") == asked
