"""By hand: a loop over confluent-kafka with the parts of oodl, and no promise about a crash."""

from collections import defaultdict

import numpy as np
from confluent_kafka import Consumer, KafkaError, Producer

from benchmarks.pipeline.variants.begun import begin_with, names, rehearse
from benchmarks.pipeline.variants.order import Order, Stopwatch, canned, order
from flows.groups import Groups
from flows.settings import Settings
from flows.wire import Message, Reading, decode, encode_codes, encode_dictionary
from oodl.channels import Row
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, GroupState, Published

CODER = GroupCoder()
Rows = list[tuple[Row, float, int]]


class Loop:
    """Consume, decode, bucket by group, step, encode, produce.

    Parameters
    ----------
    given : Order
    """

    def __init__(self, given: Order) -> None:
        self.given, self.topics = given, given.topics
        channels = {"names": names(given.channels)}
        self.groups = Groups(Settings.model_validate({"channels": channels}))
        self.states: dict[str, GroupState] = {}
        self.begin = begin_with(given.states)
        self.failed: list[KafkaError] = []
        self.consumer = Consumer({
            "bootstrap.servers": given.bootstrap,
            "group.id": given.name,
            "auto.offset.reset": "earliest",
        })  # fmt: skip
        self.producer = Producer({
            "bootstrap.servers": given.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "partitioner": "consistent",
        })  # fmt: skip

    def run(self) -> None:
        """Go through the backlog; what it cost is printed once the broker has confirmed it all."""
        rehearse(self.given.states, self.given.channels)
        watch, left = Stopwatch(), self.given.count
        self.consumer.subscribe([self.topics["readings"]])
        while left:
            buckets: dict[tuple[int, str], Rows] = defaultdict(list)
            for raw in self.consumer.consume(5000, 0.1):
                watch.first()
                partition, offset = raw.partition() or 0, raw.offset() or 0
                _, stamp = raw.timestamp()
                value, key = raw.value(), raw.key()
                topic = self.topics["readings"]
                message = Message(topic, partition, offset, key, value, [], stamp / 1000)
                reading = decode(message)
                assert isinstance(reading, Reading), reading
                row = self.groups.admit(reading)
                assert isinstance(row, Row), row
                buckets[partition, reading.group].append((row, reading.time, offset))
                left -= 1
            for (partition, group), rows in buckets.items():
                self.handle(partition, group, rows)
        self.producer.flush()
        watch.stop()
        assert not self.failed, self.failed
        self.consumer.close()

    def handle(self, partition: int, group: str, rows: Rows) -> None:
        """Code the rows of a group and send what comes of them."""
        if not self.given.step:
            for _, _, offset in rows:
                self.send("codes", group, canned(partition, offset))
            return
        for block in blocks(rows):
            state = self.states.get(group) or self.begin(group)
            self.states[group], outputs = CODER.step(state, block)
            for output in outputs:
                if isinstance(output, Published):
                    value = encode_dictionary(group, partition, output)
                    self.send("dictionaries", f"{group}/{output.version.id}", value)
                    self.producer.flush()
                elif isinstance(output, Codes):
                    for value in encode_codes(group, partition, output, "reading"):
                        self.send("codes", group, value)
        self.producer.poll(0)

    def send(self, role: str, key: str, value: bytes) -> None:
        """Hand a message to the client."""
        while True:
            try:
                self.producer.produce(self.topics[role], value, key, on_delivery=self.confirm)
            except BufferError:
                self.producer.poll(0.1)
            else:
                return

    def confirm(self, error: KafkaError | None, _: object) -> None:
        """Keep what went wrong."""
        if error is not None:
            self.failed.append(error)


def blocks(rows: Rows) -> list[Block]:
    """Cut rows where their channels change."""
    cuts = [
        0,
        *(n for n in range(1, len(rows)) if not alike(rows[n - 1][0], rows[n][0])),
        len(rows),
    ]
    return [block(rows[cuts[n] : cuts[n + 1]]) for n in range(len(cuts) - 1)]


def alike(one: Row, other: Row) -> bool:
    """Tell whether two rows can stand in one block."""
    return one.settled == other.settled and one.channels == other.channels


def block(rows: Rows) -> Block:
    """Put rows together."""
    first, channels = rows[0][0], len(rows[0][0].channels)
    values = np.frombuffer(b"".join(row.packed for row, _, _ in rows), "<f8")
    times, offsets = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    return Block(first.channels, first.settled, values.reshape(-1, channels), times, offsets)


if __name__ == "__main__":
    Loop(order()).run()
