"""The question: what does a message of one sensor cost, over reading and decoding it alone.

A topic keyed by group on Apache Kafka, 16 sensors a group, a message 75 bytes of JSON. Three ways
to read all of it, in a process each, rounds interleaved: `bare` consumes and decodes typed JSON;
`source` is the pipeline's source, which assembles readings; `step` codes them in the group step
besides, and writes the messages without sending them. CPU time of the whole process, the
client's threads included, in microseconds a message, less what its start costs; medians of rounds.
``python -m benchmarks.sensors`` writes ``results/sensors.json``.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import msgspec
from bytewax.operators import StatefulBatchLogic
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.record import Bar, record, save, tell
from flows.events import Tally
from flows.group import Steps
from flows.items import Encoded, Expiry, GroupBlock
from flows.kafka import SharedConsumer, StopFlag
from flows.settings import Settings
from flows.source import KafkaSource, Shared
from tests.brokers import ApacheKafka, resolve_jars

TOPIC, PARTITIONS = "sensors.readings", 6
GROUPS, SENSORS, SECONDS = 50, 16, 200
MESSAGES = GROUPS * SENSORS * SECONDS
ROUNDS, BATCH = 3, 5000
SNAPSHOT = 20_000  # messages between two snapshots of the source: an epoch at that rate
MOST = 2.0  # of `source` over `bare`


Logic = StatefulBatchLogic[GroupBlock | Expiry, Encoded, bytes]


class Sample(msgspec.Struct):
    """A message's fields."""

    sensor: str
    ts: float
    value: float


def fill(bootstrap: str) -> None:
    """Send each second each sensor of each group."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "consistent"})
    for number in range(MESSAGES):
        second, rest = divmod(number, GROUPS * SENSORS)
        sensor, group = divmod(rest, GROUPS)
        value = round(20 + sensor + (second * (sensor + 3) % 17) / 7, 4)
        at = 1.7e9 + second + sensor / 100
        body = json.dumps({"sensor": f"sensor-{sensor:02d}", "ts": at, "value": value})
        producer.produce(TOPIC, key=f"press-{group}", value=body)
        if number % BATCH == 0:
            producer.poll(0)
            producer.flush()
    producer.flush()


def bare(settings: Settings) -> float:
    """Consume and decode."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap,
            "group.id": "bare",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)])
    decode, seen = msgspec.json.Decoder(Sample).decode, 0
    began = process_time()
    while seen < MESSAGES:
        for raw in consumer.consume(BATCH, 0.1):
            decode(raw.value() or b"")
            seen += 1
    spent = process_time() - began
    consumer.close()
    return spent


def source(settings: Settings, *, use: Callable[[str, GroupBlock | Expiry], None]) -> float:
    """Read as the pipeline does, snapshots included."""
    tally = Tally()
    consumer = SharedConsumer(settings.kafka, topic=TOPIC, group="source")
    shared = Shared(settings, tally, StopFlag(), consumer, PARTITIONS)
    reading = KafkaSource(shared)
    parts = [reading.build_part("readings", name, None) for name in reading.list_parts()]
    due = SNAPSHOT
    began = process_time()
    while tally.readings_received < MESSAGES:
        for part in parts:
            for group, item in part.next_batch():
                if isinstance(item, GroupBlock | Expiry):
                    use(group, item)
            part.next_awake()
        if tally.readings_received >= due:
            due += SNAPSHOT
            for part in parts:
                part.snapshot()
    spent = process_time() - began
    if tally.samples_assembled < 0.95 * MESSAGES:
        msg = f"expected nearly all of {MESSAGES} assembled, got {tally.samples_assembled}"
        raise RuntimeError(msg)
    return spent


def stepping(settings: Settings) -> Callable[[str, GroupBlock | Expiry], None]:
    """Return what codes a block with its group's step, and writes the messages."""
    steps = Steps(settings, Tally())
    groups: dict[str, Logic] = {}

    def use(group: str, item: GroupBlock | Expiry) -> None:
        logic = groups.get(group) or groups.setdefault(group, steps(None))
        logic.on_batch([item])

    return use


def ignore(_group: str, _item: GroupBlock | Expiry) -> None:
    """Let a block be."""


WAYS: dict[str, Callable[[Settings], float]] = {
    "bare": bare,
    "source": lambda settings: source(settings, use=ignore),
    "step": lambda settings: source(settings, use=stepping(settings)),
}


def run(way: str, bootstrap: str) -> float:
    """Run one way in a process of its own: CPU microseconds a message."""
    command = [sys.executable, "-m", "benchmarks.sensors", way, bootstrap]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Measure, tell and record."""
    began = time.monotonic()
    resolve_jars()
    with TemporaryDirectory() as folder, ApacheKafka(Path(folder)) as broker:
        broker.create_topic(TOPIC, partitions=PARTITIONS)
        fill(broker.address)
        rounds = [{way: run(way, broker.address) for way in WAYS} for _ in range(ROUNDS)]
    figures = {way: round(median(each[way] for each in rounds), 2) for way in WAYS}
    ratios = {way: round(median(each[way] / each["bare"] for each in rounds), 2) for way in WAYS}
    bars = [Bar(f"{way} / bare", ratios[way], MOST) for way in ("source", "step")]
    result = record(
        "CPU of a message of one sensor", bars, began, messages=MESSAGES, groups=GROUPS,
        sensors=SENSORS, us=figures, ratios=ratios, rounds=rounds,
    )  # fmt: skip
    print(f"recorded in {save('sensors', result)}")
    tell(bars)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        chosen = Settings.model_validate({"kafka": {"bootstrap": sys.argv[2]}})
        print(1e6 * WAYS[sys.argv[1]](chosen) / MESSAGES)
    else:
        main()
