"""A real Apache Kafka for tests, that can be stopped, killed and frozen.

The broker runs as a process of its own, from the jars that `make broker-jars` brings. It is
ready when a client's calls are answered, those of the group coordinator among them.
"""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

__all__ = [
    "PORT_TAKEN",
    "ApacheKafka",
    "BrokerError",
    "KafkaCluster",
    "free_port",
    "missing_programs",
    "resolve_jars",
]

ROOT = Path(__file__).parent.parent
START = ROOT / "infra" / "broker" / "start"

# Below the ports that systems give to outgoing connections (32768 and up on Linux), so that none
# of those takes a broker's port between its end and its next start.
PORTS = range(20_000, 32_000)

PORT_TAKEN = "Address already in use"
ATTEMPTS = 5
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1

NODES = 1, 2, 3
CLUSTER = "0000000000000000000003"
COPIED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


class BrokerError(RuntimeError):
    """The broker did not do as it was told; the message ends with the last lines of its log."""


def missing_programs() -> list[str]:
    """The programs that brokers need and that are not here, with the Debian package of each."""
    packages = {
        "java": "default-jre-headless",
        "mvn": "maven",
        "make": "make",
        "openssl": "openssl",
    }
    return [
        f"{program} (Debian: {package})"
        for program, package in packages.items()
        if shutil.which(program) is None
    ]


def resolve_jars() -> None:
    """Bring the broker's jars, if they are not here yet; one process of the tests at a time."""
    with (ROOT / "infra" / "broker" / "pom.xml").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "-s", "broker-jars"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    if made.returncode:
        message = f"make broker-jars ended with {made.returncode}:\n{made.stdout}{made.stderr}"
        raise BrokerError(message)


class ApacheKafka:
    """One node of Apache Kafka on 127.0.0.1; data, settings and log stay in `folder`.

    The ports are chosen at the first start and kept, so that clients find a restarted broker
    where it was. `settings` are broker settings beside those of infra/broker/server.properties;
    `ports` (clients, controller) and `cluster` are given to the nodes of a `KafkaCluster`.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        ports: tuple[int, int] | None = None,
        cluster: str = "",
    ) -> None:
        self.folder = folder
        self.log_file = folder / "kafka.log"
        self._settings = dict(settings or {})
        self._ports, self._cluster = ports, cluster
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients connect, `127.0.0.1:port`."""
        if self._ports is None:
            message = "broker: expected to be started, it never was; call start() first"
            raise BrokerError(message)
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """The process of the broker that runs."""
        return self._running().pid

    def log(self, lines: int = 40) -> str:
        """The last lines of what the broker wrote."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def start(self) -> None:
        """Start, and return when a client and a consumer group are answered."""
        if self._process is not None:
            message = f"broker: runs already, pid {self._process.pid}"
            raise BrokerError(message)
        restart = self._ports is not None
        for left in reversed(range(ATTEMPTS)):
            if not restart:
                self._ports = free_port(), free_port()
            written = self._launch()
            try:
                return self._await_ready()
            except BrokerError:
                if not left or PORT_TAKEN not in self._log_since(written):
                    raise

    def stop(self) -> None:
        """End as an administrator would, by SIGTERM; killed when that takes too long."""
        process = self._running()
        self.thaw()
        self._signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            message = self._failure(f"not down {STOP_SECONDS:.0f} s after SIGTERM")
            raise BrokerError(message) from None
        finally:
            self.kill()

    def kill(self) -> None:
        """End as a crash would, by SIGKILL."""
        self._signal(signal.SIGKILL)
        self._running().wait()
        self._process = None

    def freeze(self) -> None:
        """Hold the process (SIGSTOP): its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def create_topic(
        self, name: str, *, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic, with settings such as `message.timestamp.type`; wait for its leaders."""
        admin = self.admin()
        topic = NewTopic(name, partitions, config=dict(settings or {}))
        admin.create_topics([topic])[name].result(READY_SECONDS)
        for _ in self._until(f"topic {name} has no leader in every partition"):
            known = admin.list_topics(timeout=5).topics.get(name)
            found = known.partitions.values() if known else ()
            if len(found) == partitions and all(one.leader >= 0 for one in found):
                return

    def admin(self) -> AdminClient:
        """A client that administers this broker."""
        return AdminClient(self._client())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()

    def _launch(self) -> int:
        """Start the process; the length of the log before it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        port, controller_port = self._ports or (free_port(), free_port())
        command = [str(START), "--port", str(port), "--controller-port", str(controller_port)]
        command += ["--data", str(self.folder)]
        if self._cluster:
            command += ["--cluster", self._cluster]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value}"]
        with self.log_file.open("ab") as log:
            written = log.tell()
            # A session of its own: a Ctrl-C at the tests is not one at the broker, and a signal
            # to its process group reaches the script and the Java that it starts.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        return written

    def _await_ready(self) -> None:
        """Wait for the answers that make a broker; whatever comes between ends the process."""
        with ExitStack() as undo:
            undo.callback(self.kill)
            self._await_answer()
            self._await_coordinator()
            undo.pop_all()

    def _await_answer(self) -> None:
        admin = self.admin()
        for _ in self._until("no answer"):
            try:
                admin.list_topics(timeout=1)
                return
            except KafkaException:
                continue

    def _await_coordinator(self) -> None:
        consumer = Consumer(self._client() | {"group.id": "readiness"})
        try:
            for _ in self._until("no answer of the group coordinator"):
                try:
                    consumer.committed([TopicPartition("readiness", 0)], timeout=2)
                    return
                except KafkaException:
                    continue
        finally:
            consumer.close()

    def _until(self, complaint: str) -> Iterator[None]:
        """Turn after turn until the caller leaves; fail when the process or the time ends."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            code = self._running().poll()
            if code is not None:
                raise BrokerError(self._failure(f"{complaint}: the process ended with {code}"))
            yield
            time.sleep(POLL_SECONDS)
        raise BrokerError(self._failure(f"{complaint} within {READY_SECONDS:.0f} s"))

    def _client(self) -> dict[str, str | int | float | bool]:
        # Level 0: a refused connection while the broker starts is no news.
        return {"bootstrap.servers": self.address, "log_level": 0}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            message = "broker: expected to run, it does not; call start() first"
            raise BrokerError(message)
        return self._process

    def _signal(self, number: signal.Signals) -> None:
        process = self._running()
        if process.poll() is None:
            os.killpg(process.pid, number)

    def _log_since(self, written: int) -> str:
        return self.log_file.read_bytes()[written:].decode(errors="replace")

    def _failure(self, complaint: str) -> str:
        return f"broker at {self.address}: {complaint}; its log, {self.log_file}:\n{self.log()}"


class KafkaCluster:
    """Three nodes of Apache Kafka: each topic has three copies, and two confirm what is written.

    Parameters
    ----------
    folder : Path
        What the nodes keep.
    """

    def __init__(self, folder: Path) -> None:
        ports = [(free_port(), free_port()) for _ in NODES]
        voters = [f"{node}@127.0.0.1:{port}" for node, (_, port) in zip(NODES, ports, strict=True)]
        settings = {**COPIED, "controller.quorum.voters": ",".join(voters)}
        self.nodes = [
            ApacheKafka(
                folder / f"node-{node}",
                {**settings, "node.id": f"{node}"},
                ports=own,
                cluster=CLUSTER,
            )
            for node, own in zip(NODES, ports, strict=True)
        ]

    @property
    def address(self) -> str:
        """Where clients connect: all of the nodes."""
        return ",".join(node.address for node in self.nodes)

    def leader(self, topic: str, partition: int = 0) -> ApacheKafka:
        """Return the node that leads a partition now."""
        known = self.admin().list_topics(timeout=10).topics[topic].partitions[partition]
        return self.nodes[known.leader - 1]

    def create_topic(
        self, name: str, *, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic, and wait for its leaders."""
        self.nodes[0].create_topic(name, partitions=partitions, settings=settings)

    def admin(self) -> AdminClient:
        """A client that administers these brokers."""
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for node in self.nodes:
                node._launch()
                undo.callback(node.kill)
            for node in self.nodes:
                node._await_ready()
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self.nodes:
            if node._process is not None:
                node.kill()  # one that is asked to end waits for the others, which are gone


def free_port(count: int = 1) -> int:
    """A port that nobody listens on now, nor on the `count` - 1 that follow it.

    Somebody may before we do, so callers try again.
    """
    order = random.SystemRandom().sample(PORTS, len(PORTS))
    return next(port for port in order if all(map(is_free, range(port, port + count))))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
