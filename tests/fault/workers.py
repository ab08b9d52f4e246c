"""``oodl run`` as a process of its own, to be ended in every way there is."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from flows.snapshots import FILES
from tests.brokers import ApacheKafka, free_port
from tests.fault.readings import TIMES

__all__ = ["PATIENCE", "Worker", "create_topics", "free_port", "wait_until", "write_settings"]

PATIENCE = 60.0 * max(1.0, TIMES / 2)  # seconds
ROOT = Path(__file__).parents[2]
SIGTERM_CAUGHT = 1 << (signal.SIGTERM - 1)


class Worker:
    """A process that runs the flow; killed when the test is over and it still runs.

    Its log goes to a file: what it says is read after its end.

    Parameters
    ----------
    settings : Path
    port : int
        Where it shows its metrics.
    program : sequence of str
        What Python runs, with the settings' path as its last argument.
    log_file : Path, optional
    ordinary : bool
        Whether files are closed to it that are closed to their owner, also where that is root.
    processes : int
        How many it is to start as one cluster; 1: it does the work itself.
    environment : mapping
        Variables besides.
    command : sequence of str
        The whole of what is run, in place of `program` and the settings.
    """

    def __init__(
        self,
        settings: Path,
        port: int = 0,
        program: Sequence[str] = ("-m", "flows", "run", "--settings"),
        *,
        log_file: Path | None = None,
        ordinary: bool = False,
        processes: int = 1,
        environment: Mapping[str, str] = {},
        command: Sequence[str] = (),
    ) -> None:
        self.log_file = log_file or settings.with_suffix(".log")
        self._ports = range(port, port + processes)
        command = [*command] or [sys.executable, *program, str(settings)]
        if processes > 1:
            command += ["--processes", str(processes)]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stderr=log,
                preexec_fn=be_ordinary if ordinary else None,
            )

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return what the process ends with."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def pids(self) -> list[int]:
        """The processes that it has started, in their order (Linux tells)."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return sorted(int(pid) for pid in listed.split())

    def await_handler(self) -> None:
        """Return when the process has its own way to end on SIGTERM (Linux tells)."""
        status = Path(f"/proc/{self.process.pid}/status")

        def caught() -> bool:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            return bool(int(fields["SigCgt"], 16) & SIGTERM_CAUGHT)

        wait_until(caught)

    def await_metrics(self) -> None:
        """Return when the process reads: its metrics are there, and its flow runs."""

        def reads() -> bool:
            try:
                return all(self.ask("readyz", port)[0] == 200 for port in self._ports)
            except OSError:
                return False

        wait_until(reads)

    def await_state(self, name: str) -> tuple[int, int]:
        """Return once that is the state of the flow; what /healthz and /readyz then answer with."""
        wait_until(lambda: bool(self.ask("healthz")[1]["state"] == name))
        return self.ask("healthz")[0], self.ask("readyz")[0]

    def ask(self, path: str, port: int = 0) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON that the (first) process answers on a path."""
        place = f"http://127.0.0.1:{port or self._ports[0]}/{path}"
        try:
            with urllib.request.urlopen(place) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def await_snapshot(self, folder: Path) -> None:
        """Return right after a snapshot: the engine writes to this folder once an epoch."""

        def written() -> int:
            return max(path.stat().st_mtime_ns for path in folder.glob(f"{FILES}*"))

        before = written()
        wait_until(lambda: written() != before, pause=0.01)

    def metrics(self) -> dict[tuple[str, str], float]:
        """What is exported now, by the name of a sample and its only label's value.

        Of a cluster the sum of what its processes export.
        """
        shown: dict[tuple[str, str], float] = defaultdict(float)
        for port in self._ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                for family in text_string_to_metric_families(answer.read().decode()):
                    for sample in family.samples:
                        shown[sample.name, "".join(sample.labels.values())] += sample.value
        return dict(shown)

    def last_words(self) -> dict[str, int]:
        """Numbers of the last line of the log; of a cluster the sum over its processes."""
        last = {line.get("process"): line for line in self.said()}
        assert len(last) == len(self._ports)
        told: dict[str, int] = defaultdict(int)
        for line in last.values():
            for name, number in line.items():
                if isinstance(number, int):
                    told[name] += number
        return dict(told)

    def said(self) -> list[dict[str, object]]:
        """The lines of its log that are events."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


def be_ordinary() -> None:
    """Give up root's right to files that are closed to it (Linux: prctl of the bounding set)."""
    library = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        library.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def create_topics(broker: ApacheKafka, name: str, partitions: int = 6) -> dict[str, str]:
    """Create the four topics under names of their own; messages of 3 MB may be read."""
    roles = {
        "readings": {"max.message.bytes": "3000000"},
        "codes": {"message.timestamp.type": "LogAppendTime"},
        "dictionaries": {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"},
        "dead_letters": {"message.timestamp.type": "LogAppendTime"},
    }
    for role, settings in roles.items():
        broker.create_topic(f"{name}.{role}", partitions=partitions, settings=settings)
    return {role: f"{name}.{role}" for role in roles}


def write_settings(folder: Path, sections: Mapping[str, Mapping[str, object]]) -> Path:
    """Write a settings file; strings and numbers are alike in JSON and TOML."""
    lines: list[str] = []
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    file = folder / "oodl.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def wait_until(done: Callable[[], bool], pause: float = 0.05) -> None:
    """Try again and again, at most for a minute; for more where there are more readings."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
