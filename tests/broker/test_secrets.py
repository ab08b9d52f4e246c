"""A secret is seen by nobody whom it was not given to."""

import io
import logging
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import access, events
from flows.dataflow import SINK_PARTS
from flows.kafka import SharedConsumer, describe
from flows.settings import load
from tests.fault.workers import wait_until
from tests.secure import KEY_PASSWORD, PASSWORD, Client, SecureKafka
from tests.traffic import Record, machine, read, send

ROOT = Path(__file__).parents[2]
SECRETS = {"SASL_SSL": ("sasl.password", PASSWORD), "SSL": ("ssl.key.password", KEY_PASSWORD)}
WRONG = "horse-of-another-colour"
COMMANDS = (
    ["run"],
    ["topics"],
    ["decode", "--follow", "--until-end"],
    ["dead-letters", "list", "--json"],
    ["dead-letters", "explain"],
    ["dead-letters", "send-again", "--all", "--json"],
    ["simulate", "--seconds", "1"],
)


@pytest.mark.parametrize("way", ["environment", "file"])
@pytest.mark.parametrize("listener", ["SASL_SSL", "SSL"])
def test_a_worker_shows_its_secret_nowhere(
    secure_kafka: SecureKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listener: str,
    way: str,
) -> None:
    # given a worker that has its secret from the environment, or from a file of its own
    option, secret = SECRETS[listener]
    client = Client(secure_kafka, tmp_path, listener)
    client.allow(*access.to_run(client.settings, SINK_PARTS))
    security = {name: value for name, value in client.security.items() if name != option}
    variable = "OODL_KAFKA__SECURITY__" + option.replace(".", "_").upper()
    if way == "environment":
        monkeypatch.setenv(variable, secret)
    else:
        own = tmp_path / "own-secret"
        own.write_text(f"{secret}\n")
        monkeypatch.setenv(f"{variable}_FILE", str(own))
    file = client.write(security | {"debug": "all"})
    records = [*machine(["press-0"], 20), Record(b"press-0", b"no reading")]
    send(secure_kafka.address, client.topics["readings"], records)
    # when it works and ends
    command = [sys.executable, "-m", "flows", "run", "--settings", str(file)]
    log = tmp_path / "run.log"
    with log.open("wb") as said:
        worker = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        try:
            wait_until(lambda: b"dead_letters_sent_total 1.0" in page(client.port, "metrics"))
            shown = {name: page(client.port, name) for name in ("metrics", "healthz", "readyz")}
            shown["process list"] = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
            shown |= {path.name: path.read_bytes() for path in (tmp_path / "recovery").iterdir()}
            modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "recovery").iterdir()}
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
        finally:
            worker.kill()
    # then it is in nothing that others get to see
    shown["log"] = log.read_bytes()
    for name in client.topics.values():
        shown[name] = repr(read(secure_kafka.address, name)).encode()
    assert {"manifest.json", "part-0.sqlite3"} < shown.keys()
    assert all(shown.values())
    assert not [place for place, content in shown.items() if secret.encode() in content]
    assert modes == {0o600}
    assert secret not in repr(load(file)) + str(load(file))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_tells_a_secret_when_it_is_not_let_in(
    secure_kafka: SecureKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    settings = with_secret(secure_kafka, tmp_path, monkeypatch)

    ended = oodl(*command, *settings)

    assert ended.returncode == 1
    assert "invalid credentials" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert WRONG not in ended.stdout + ended.stderr


def test_neither_help_nor_an_option_that_is_refused_tells_a_secret(
    secure_kafka: SecureKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_secret(secure_kafka, tmp_path, monkeypatch)

    helped = oodl("run", "--help")
    monkeypatch.setenv("OODL_KAFKA__SECURITY__SECURITY_PROTOCOL", WRONG)
    misplaced = oodl("run", *settings)

    assert [helped.returncode, misplaced.returncode] == [0, 1]
    assert "security.protocol" in misplaced.stderr
    assert not any(WRONG in ended.stdout + ended.stderr for ended in (helped, misplaced))


def test_the_client_s_own_lines_hold_no_secret_even_when_it_tells_all(
    secure_kafka: SecureKafka, tmp_path: Path, written: io.StringIO
) -> None:
    client = Client(secure_kafka, tmp_path, topics=False)
    kafka = load(client.write(client.security | {"debug": "all"})).kafka

    describe(kafka)
    SharedConsumer(kafka, topic=client.topics["readings"], group=client.name).close()

    assert "SASL" in written.getvalue()
    assert PASSWORD not in written.getvalue()


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    log, stream = logging.getLogger("flows"), io.StringIO()
    before = log.handlers[:], log.propagate, log.level
    events.log_to(stream, logging.DEBUG)
    yield stream
    log.handlers[:], log.propagate = before[0], before[1]
    log.setLevel(before[2])


def with_secret(
    broker: SecureKafka, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """Put a password that nobody has into the environment; the rest of the command line."""
    client = Client(broker, folder, topics=False)
    monkeypatch.setenv("OODL_KAFKA__SECURITY__SASL_PASSWORD", WRONG)
    security = {name: each for name, each in client.security.items() if name != "sasl.password"}
    return "--settings", str(client.write(security))


def oodl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def page(port: int, name: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}") as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return b""
