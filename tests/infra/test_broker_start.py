"""infra/broker/start tells what stands in its way before anything is started."""

import socket
import subprocess
from pathlib import Path

import pytest

START = Path(__file__).parents[2] / "infra" / "broker" / "start"


@pytest.mark.parametrize("option", ["--port", "--controller-port"])
def test_a_port_that_is_taken_is_told_in_one_line(option: str, tmp_path: Path) -> None:
    # given a port that something listens at, and one that is free
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ports = {"--port": free.getsockname()[1], "--controller-port": free.getsockname()[1]}
        options = [f"{word}" for pair in (ports | {option: port}).items() for word in pair]
        # when the broker is started
        started = subprocess.run(
            [START, *options, "--data", tmp_path / "data"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    # then
    assert started.returncode == 1
    assert started.stdout == ""
    assert started.stderr == (
        f"broker: 127.0.0.1:{port}: Address already in use; end what listens there, or take "
        "another: make broker PORT=..., start --port ... --controller-port ...\n"
    )
    assert not (tmp_path / "data").exists()
