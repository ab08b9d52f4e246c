"""A pipeline on a real broker with readings on their way: what the faults are done to."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from flows.tools.worker import Worker as Thread
from tests.brokers import ApacheKafka, KafkaCluster
from tests.fault.feed import Feed
from tests.fault.ledger import Ledger, ledger
from tests.fault.readings import readings
from tests.fault.watch import Watch, written
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import (
    Position,
    Record,
    codes_by_position,
    position_of_letter,
    read,
)

__all__ = ["PARTITIONS", "Stage"]

PARTITIONS = 6
SLICE = 0.1  # seconds between two batches of readings
HELD_BACK = 2000  # readings sent when the faults are over: the tallies of their worker are exact
EPOCH = 1.0  # seconds, where the settings say nothing else


@dataclass(slots=True)
class Stage:
    """One pipeline under one way of delivery.

    Parameters
    ----------
    broker : ApacheKafka
    name : str
        Of its topics and of its consumer group.
    folder : Path
    delivery : str
    seconds : float
        How long the readings take to be sent, but for those held back.
    kafka, recovery : dict
        Settings of these sections besides.
    portions : bool
        Whether readings are sent only as `allow` says.
    records : list of Record
        What is sent.
    cluster : KafkaCluster, optional
        The brokers, where there are several; `broker` is one of them.

    Attributes
    ----------
    snapshots : Path
        The recovery folder.
    undo : ExitStack
        What is to be done when all is over.
    more : dict
        Settings of other sections.
    expired : set of Position
        Readings that the broker has forgotten before they were read.
    ended : list of int
        What the workers ended with.
    bound : int
        Repeats that are allowed: what each worker without a last snapshot had read in the last two
        epochs in which it read.
    scraped, told : int
        Outputs that these said were confirmed when they were last looked at; and that the others
        said in their last line.
    """

    broker: ApacheKafka
    name: str
    folder: Path
    delivery: str
    seconds: float
    kafka: dict[str, object] = field(default_factory=dict)
    recovery: dict[str, object] = field(default_factory=dict)
    portions: bool = False
    records: list[Record] = field(default_factory=readings)
    cluster: KafkaCluster | None = None
    undo: ExitStack = field(default_factory=ExitStack)
    more: dict[str, dict[str, object]] = field(default_factory=dict)
    topics: dict[str, str] = field(init=False)
    snapshots: Path = field(init=False)
    sent: list[Record] = field(default_factory=list)
    expired: set[Position] = field(default_factory=set)
    ended: list[int] = field(default_factory=list)
    bound: int = 0
    scraped: int = 0
    told: int = 0
    _watches: dict[Worker, Watch] = field(default_factory=dict)
    _feed: Thread = field(init=False)
    _allowed: int = field(init=False)
    _closing: bool = False
    _known: int | None = 0
    _open: int = 0
    _crowded: bool = False

    def __post_init__(self) -> None:
        self.topics = create_topics(self.broker, self.name)
        self.snapshots = self.folder / "recovery"
        self._allowed = 0 if self.portions else len(self.records) - HELD_BACK
        self._feed = Thread("readings", self._send)
        self._feed.start()

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self.broker.address if self.cluster is None else self.cluster.address

    @contextmanager
    def worker(
        self,
        program: Sequence[str] = ("-m", "flows", "run", "--settings"),
        *,
        ordinary: bool = False,
        processes: int = 1,
        environment: Mapping[str, str] = {},
    ) -> Iterator[Worker]:
        """Run a worker, or several as one; when it is ended by nobody, it is killed."""
        self._open += 1
        self._crowded |= self._open > 1
        port = free_port(processes)
        sections: dict[str, dict[str, object]] = {
            "kafka": {"bootstrap": self.address, "group": self.name, **self.kafka},
            "topics": {**self.topics},
            "recovery": {
                "folder": str(self.snapshots),
                "delivery": self.delivery,
                **self.recovery,
            },
            "metrics": {"port": port},
            **self.more,
        }
        settings = write_settings(self.folder, sections)
        log_file = self.folder / f"worker-{len(self._watches)}.log"
        with Worker(
            settings,
            port,
            log_file=log_file,
            program=program,
            ordinary=ordinary,
            processes=processes,
            environment=environment,
        ) as worker:
            watch = self._watches[worker] = Watch(worker)
            yield worker
        self._open -= 1
        watch.finish()
        self.ended.append(worker.process.returncode)
        if worker.process.returncode == 0:
            self._check_last_words(worker)
            return
        self._known = None
        self.scraped += watch.sent
        self.bound += watch.lately(2 * float(str(self.recovery.get("epoch_seconds", EPOCH))))

    def kill(self, worker: Worker) -> None:
        """Kill a worker that was looked at just before."""
        self._watches[worker].look()
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL

    def kill_of_cluster(self, cluster: Worker, numbers: Sequence[int]) -> None:
        """Kill some processes of a cluster that was looked at just before."""
        self._watches[cluster].look()
        for pid in [cluster.pids()[number] for number in numbers]:
            os.kill(pid, signal.SIGKILL)
        assert cluster.process.wait(60) == 1

    def await_work(self, worker: Worker, outputs: int = 100) -> None:
        """Return when a worker has written something."""
        worker.await_metrics()
        wait_until(lambda: written(worker) >= outputs)

    def resumed(self, worker: Worker, before: float) -> float:
        """Return after how many seconds something is confirmed to it beyond what was before.

        Counted from when the broker, which has come back, confirms further readings to others.
        """
        sent = len(self.sent)
        self.allow(2000)
        wait_until(lambda: len(self.sent) > sent)
        began = time.monotonic()
        wait_until(lambda: written(worker) > before)
        return round(time.monotonic() - began, 1)

    def await_caught_up(self) -> None:
        """Return when all readings have come out that were allowed to be sent."""
        self._await_done(self._allowed)

    def committed(self) -> dict[int, int]:
        """Where the consumer group goes on, by partition."""
        asker = Consumer({"bootstrap.servers": self.address, "group.id": self.name})
        asked = [TopicPartition(self.topics["readings"], number) for number in range(PARTITIONS)]
        found = {part.partition: part.offset for part in asker.committed(asked, timeout=30)}
        asker.close()
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def expire(self, each: int) -> None:
        """Let the broker delete so many readings of each partition that were not read yet."""
        first = self.committed()
        last = {partition: offset + each for partition, offset in first.items()}
        places = [TopicPartition(self.topics["readings"], *place) for place in last.items()]
        admin = self.broker.admin()  # which has to live until it has its answers
        for answer in admin.delete_records(places).values():
            answer.result(30)
        self.expired = {
            (partition, offset)
            for partition in first
            for offset in range(first[partition], last[partition])
        }

    def await_sent(self) -> None:
        """Return when all readings were sent but for those held back."""
        wait_until(lambda: len(self.sent) >= len(self.records) - HELD_BACK)

    def finish(self) -> None:
        """Let a worker bring to an end what was begun, and another one do the rest."""
        self._allowed = len(self.records) - HELD_BACK
        if self._known is None:
            with self.worker() as worker:
                worker.await_metrics()
                self.await_caught_up()
                assert worker.end(signal.SIGTERM) == 0
        self._allowed = len(self.records)
        with self.worker() as worker:
            self._await_done(len(self.records))
            assert worker.end(signal.SIGTERM) == 0
        self._feed.finish()

    def ledger(self) -> Ledger:
        """Compare what was sent with what readers of committed outputs see."""
        return ledger(
            [record for record in self.sent if record.position not in self.expired],
            *(self._there(role) for role in ("codes", "dead_letters", "dictionaries")),
        )

    def allow(self, readings: int) -> None:
        """Let so many readings more be sent, where they come in portions."""
        self._allowed = min(self._allowed + readings, len(self.records) - HELD_BACK)

    def trickle(self, done: Callable[[], bool]) -> None:
        """Let 200 readings a second be sent until that is done."""

        def one_more() -> bool:
            self.allow(20)
            return done()

        wait_until(one_more, pause=0.1)

    def close(self) -> None:
        """Let the feed end."""
        self._closing = True
        self._feed.join()
        self.undo.close()

    def _send(self) -> None:
        feed = Feed(self.address, self.topics["readings"], PARTITIONS)
        size = -(-(len(self.records) - HELD_BACK) // max(1, round(self.seconds / SLICE)))
        while len(self.sent) < len(self.records) and not self._closing:
            began, first = time.monotonic(), len(self.sent)
            last = min(first + size, self._allowed)
            self.sent += feed.send(self.records[first:last])
            time.sleep(max(0.0, began + SLICE - time.monotonic()))
        feed.close()

    def _await_done(self, count: int) -> None:
        wait_until(lambda: len(self.sent) >= count)

        before = -1

        def done() -> bool:
            nonlocal before
            last, before = before, self._written()
            if before != last:  # to read it all takes a while: not before it stands still
                return False
            found = set(codes_by_position(self._there("codes")))
            found |= {position_of_letter(letter) for letter in self._there("dead_letters")}
            return len(found | self.expired) >= count

        wait_until(done, pause=0.5)

    def _written(self) -> int:
        """Records of codes and dead letters, marks of transactions among them."""
        asker = Consumer({"bootstrap.servers": self.address, "group.id": "tests"})
        written = 0
        for role in ("codes", "dead_letters"):
            topic = self.topics[role]
            for number in asker.list_topics(topic, 30).topics[topic].partitions:
                first, end = asker.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                written += end - first
        asker.close()
        return written

    def _there(self, role: str) -> list[Record]:
        return read(self.address, self.topics[role])

    def _check_last_words(self, worker: Worker) -> None:
        """A process that ends by itself tells what it handled: what the topics have gained."""
        coded = codes_by_position(self._there("codes"))
        outputs = sum(map(len, coded.values())) + len(self._there("dead_letters"))
        known, self._known = None if self._crowded else self._known, outputs
        self._crowded &= self._open > 0  # what one of several has written is not told apart
        said = worker.last_words()
        sent = said["codes_sent"] + said["dead_letters_sent"]
        self.told += sent
        carried = said["coded"] + said["rejected"] - said["received"]
        assert carried == 0 or "coding" in self.more  # readings of a frame that another has begun
        assert known is None or sent == outputs - known
