"""Every example of every ``--help``, one after the other, on Apache Kafka: none of them may rot.

They run in a folder with the files that they name. What runs until Ctrl-C gets one as soon as it
has done something.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from flows.tools.examples import PROMPT, examples_of
from tests.brokers import ApacheKafka, free_port
from tests.fault.workers import wait_until
from tests.flows.test_examples import COMMANDS

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
HOUR = 1_772_438_400_000  # 2026-03-02T08:00 in ms, an hour that plant.archive has
GROUP, READINGS, CODES = "press-1", "sensors.readings", "sensors.codes"

ORDER = (  # each needs what those before have made
    "try", "demo", "topics", "check", "simulate", "sense", "repartition", "replay", "run", "decode",
    "inspect", "dead-letters list", "dead-letters explain", "dead-letters send-again", "rebalance",
)  # fmt: skip
ENDS_BY_ITSELF = ("--seconds", "--until-end", "--codes")
WITH_VERDICT = {"demo": (0, 1)}  # how well it did is for others to judge: this machine may be slow

OODL = """[recovery]
folder = "recovery"
"""
SENSORS = """[topics]
readings = "plant.sensors"
repartitioned = "plant.repartitioned"
codes = "plant.codes"
dictionaries = "plant.dictionaries"
dead_letters = "plant.dead-letters"
[kafka]
group = "plant"
"""
WORKERS = """[kafka]
group = "shared"
[recovery]
folder = "shared"
[workers]
count = 2
"""


class Example(NamedTuple):
    """A line of a help, and the command that has it."""

    command: str
    line: str

    @property
    def endless(self) -> bool:
        """Whether it runs until Ctrl-C."""
        return self.command in ENDLESS and not any(word in self.line for word in ENDS_BY_ITSELF)


class Stage:
    """A folder, a broker, and what runs there."""

    def __init__(self, folder: Path, broker: ApacheKafka) -> None:
        self.folder, self.broker = folder, broker
        self.port = free_port(2)
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "OODL_KAFKA__BOOTSTRAP": broker.address,
            "OODL_METRICS__PORT": str(self.port),
        }
        (folder / "docs").symlink_to(ROOT / "docs")
        for name, text in (("oodl", OODL), ("sensors", SENSORS), ("workers", WORKERS)):
            (folder / f"{name}.toml").write_text(text)

    @contextmanager
    def running(self, line: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs; its output is in the file `told`."""
        command = [sys.executable, "-m", "flows", *shlex.split(line)[1:]]
        with (self.folder / "told").open("wb") as told:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=told, stderr=told
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def told(self) -> str:
        """What the last command has said."""
        return (self.folder / "told").read_text(errors="replace")

    def run(self, line: str) -> int:
        """What a command ends with."""
        with self.running(line) as process:
            return process.wait(PATIENCE)

    def interrupt(self, example: Example) -> int:
        """What a command ends with that gets a Ctrl-C once it has done something."""
        done = ENDLESS[example.command](self, example.line)
        with self.running(example.line) as process:
            wait_until(lambda: done() or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            return process.wait(PATIENCE)

    def length(self, topic: str) -> int:
        """How many messages a topic has had."""
        known = self.broker.admin().list_topics(timeout=30).topics[topic].partitions
        consumer = Consumer({"bootstrap.servers": self.broker.address, "group.id": "test"})
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, part)) for part in known]
        consumer.close()
        return sum(end for _, end in ends)

    def grown(self, topic: str) -> Callable[[], bool]:
        """Tells whether a topic has more messages than now."""
        before = self.length(topic)
        return lambda: self.length(topic) > before

    def has_read_all(self, processes: int) -> Callable[[], bool]:
        """Tells whether the pipeline has nothing more to do."""
        ports = range(self.port, self.port + processes)

        def idle() -> bool:
            return all(_state(port) == "idle" for port in ports)

        return idle

    def prepare(self, command: str) -> None:
        """Make what the examples of a command need beside those before."""
        if command == "simulate":
            assert self.run("oodl topics --settings sensors.toml") == 0, self.told()
        if command == "replay":
            self.broker.create_topic("plant.archive", partitions=2)
            self.send("plant.archive", b'{"values": [1.5, 2.5]}', HOUR)
        if command == "run":
            self.send(READINGS, b"{", -1)
        if command == "rebalance":
            self.have_two_workers()

    def send(self, topic: str, value: bytes, stamp: int) -> None:
        """Write forty messages of as many groups, so that each partition gets some."""
        producer = Producer({"bootstrap.servers": self.broker.address})
        for number in range(40):
            when: dict[str, Any] = {} if stamp < 0 else {"timestamp": stamp + number * 1000}
            producer.produce(topic, value, b"group-%d" % number, **when)
        producer.flush(30)

    def have_two_workers(self) -> None:
        """Have two independent workers, each with a folder, both ended."""
        for index in range(2):
            self.environment["OODL_WORKERS__INDEX"] = str(index)
            line = "oodl run --settings workers.toml"
            assert self.interrupt(Example("run", line)) == 0, self.told()
        del self.environment["OODL_WORKERS__INDEX"]


def _state(port: int) -> str:
    """What the pipeline at a port does; "" while it is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return str(json.load(answer)["state"])
    except OSError:
        return ""


def _answers(stage: Stage, _line: str) -> Callable[[], bool]:
    return lambda: bool(stage.told())


ENDLESS: dict[str, Callable[[Stage, str], Callable[[], bool]]] = {
    "run": lambda stage, line: stage.has_read_all(2 if "--processes" in line else 1),
    "decode": _answers,
    "simulate": lambda stage, _: stage.grown(READINGS),
    "sense": lambda stage, _: stage.grown(READINGS),
    "repartition": lambda stage, _: stage.grown("plant.repartitioned"),
}


def in_order() -> list[Example]:
    """All examples, by the order of their commands."""
    found = [
        Example(" ".join(words), line.removeprefix(PROMPT))
        for words, command in COMMANDS.items()
        for line in examples_of(command.default_command)
        if line.startswith(PROMPT)
    ]
    assert {example.command for example in found} <= set(ORDER)
    return sorted(found, key=lambda example: ORDER.index(example.command))


@pytest.mark.operation
@pytest.mark.timeout(900)
def test_every_example_of_every_help_runs(kafka_class: type[ApacheKafka], tmp_path: Path) -> None:
    """On a broker of its own: examples have topics' usual names."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    with kafka_class(folder) as broker:
        failures = [*failing(Stage(tmp_path, broker))]
    assert not failures, "\n\n".join(failures)


def failing(stage: Stage) -> Iterator[str]:
    """Run all examples; tell those that do not end as they should, and what they said."""
    before = ""
    for example in in_order():
        if example.command != before:
            before = example.command
            stage.prepare(before)
        code = stage.interrupt(example) if example.endless else stage.run(example.line)
        if code not in WITH_VERDICT.get(example.command, (0,)) or "Traceback" in stage.told():
            yield f"{example.line}\nended with {code}:\n{stage.told()[-2000:]}"
