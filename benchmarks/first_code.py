"""How long is it from `git clone` to the first code? ``python -m benchmarks.first_code``.

The commands are those of docs/start.md, as they stand there, run by a shell in an empty folder; an
Apache Kafka runs already. `git` clones this checkout, as committed. The first code is the first
message that a consumer of the codes' topic gets.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer

from benchmarks.record import ROOT, Bar, record, save, tell
from tests.brokers import ApacheKafka, free_port, resolve_jars

__all__ = ["PAGE", "TOPIC", "commands"]

PAGE = ROOT / "docs" / "start.md"
TOPIC = "sensors.codes"
COMMANDS, SECONDS = 5, 120.0
PATIENCE = 600.0


def commands(page: str) -> list[str]:
    r"""Return the commands of the page's first block of shell, without their comments.

    Examples
    --------
    >>> commands("```sh\nmake setup  # once\noodl run &\n```")
    ['make setup', 'oodl run &']
    """
    found = re.search(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = found[1].splitlines() if found else []
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.strip()]


def seconds(broker: str, steps: list[str], folder: Path) -> dict[str, float]:
    """Return how long it took until the code, and until each command was begun."""
    environment = os.environ | {
        "REPOSITORY": str(ROOT),
        "OODL_KAFKA__BOOTSTRAP": broker,
        "OODL_METRICS__PORT": str(free_port()),
        "PIP_NO_CACHE_DIR": "1",  # everything is downloaded
        "UV_NO_CACHE": "1",
    }
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS"):
        environment.pop(name, None)
    marked = [f"date +%s.%N >>begun\n{step}" for step in steps]
    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": "first-code", "auto.offset.reset": "earliest",
         "topic.metadata.refresh.interval.ms": 200, "log_level": 0}
    )  # fmt: skip
    consumer.subscribe([TOPIC])
    began = time.time()
    shell = subprocess.Popen(
        ["bash", "-euc", "\n".join(marked)], cwd=folder, env=environment, start_new_session=True,
        stdout=sys.stderr,
    )  # fmt: skip
    try:
        while (code := consumer.poll(0.1)) is None or code.error():
            if shell.poll() or time.time() > began + PATIENCE:
                message = f"no code; the shell ended with {shell.returncode}"
                raise RuntimeError(message)
        ended = time.time()
    finally:
        consumer.close()
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait()
    starts = [float(line) for line in (folder / "begun").read_text().split()]
    ends = [*starts[1:], ended]
    return {step: end - start for step, start, end in zip(steps, starts, ends, strict=False)} | {
        "all": ended - began
    }


def main() -> None:
    """Measure, and save."""
    began = time.monotonic()
    resolve_jars()
    steps = commands(PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, ApacheKafka(Path(folder) / "kafka") as broker:
        empty = Path(folder) / "empty"
        empty.mkdir()
        found = seconds(broker.address, steps, empty)
        shutil.rmtree(empty)
    whole = found.pop("all")
    bars = [
        Bar("commands", len(steps), COMMANDS),
        Bar("seconds from git clone to the first code", whole, SECONDS),
    ]
    parts = [{"command": step, "seconds": round(found.get(step, 0.0), 1)} for step in steps]
    save(
        "start",
        record(
            "How long is it from git clone to the first code?", bars, began,
            command="python -m benchmarks.first_code", parts=parts,
        ),
    )  # fmt: skip
    tell(bars)


if __name__ == "__main__":
    main()
