"""bytewax's own connectors: KafkaSource, key_on, stateful_map, KafkaSink, as its guide has it.

Snapshots are off, which favours it. The codec is ours, which is faster than the usual one.
"""

from collections.abc import Callable, Iterable

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from benchmarks.pipeline.variants.begun import begin_with, rehearse
from benchmarks.pipeline.variants.one import step
from benchmarks.pipeline.variants.order import Order, Stopwatch, canned, order
from flows.wire import Message, Reading, decode
from oodl.stream import GroupState

Place = tuple[int, int]
Coded = tuple[str, list[bytes]]


def build(given: Order, watch: Stopwatch) -> Dataflow:
    """Return the flow; it ends at the end of the topic."""
    brokers = [given.bootstrap]
    flow = Dataflow("builtin")
    source = KafkaSource(brokers, [given.topics["readings"]], tail=False, batch_size=1000)
    arrived = op.input("readings", flow, source)
    decoded = op.map("decode", arrived, lambda each: read(each, watch))  # type: ignore[arg-type]
    code = coding(begin_with(given.states)) if given.step else repeat
    keyed = op.key_on("key", decoded, lambda each: each[1].group)
    coded = op.stateful_map("groups", keyed, code)  # type: ignore[misc]
    messages = op.flat_map("messages", coded, write)
    op.output("codes", messages, KafkaSink(brokers, given.topics["codes"]))
    return flow


def read(raw: KafkaSourceMessage[bytes, bytes], watch: Stopwatch) -> tuple[Place, Reading]:
    """Decode a message."""
    watch.first()
    partition, offset = raw.partition or 0, raw.offset or 0
    message = Message(raw.topic or "", partition, offset, raw.key, raw.value, [], 0.0)
    reading = decode(message)
    assert isinstance(reading, Reading), reading
    return (partition, offset), reading


def coding(
    begin: Callable[[str], GroupState],
) -> Callable[[GroupState | None, tuple[Place, Reading]], tuple[GroupState, Coded]]:
    """Return what codes a reading of a group."""

    def code(state: GroupState | None, arrived: tuple[Place, Reading]) -> tuple[GroupState, Coded]:
        place, reading = arrived
        group, at = reading.group, (reading.time, reading.values)
        state, messages = step(state or begin(group), group, place, at)  # type: ignore[arg-type]
        return state, (group, messages)

    return code


def repeat(_: None, arrived: tuple[Place, Reading]) -> tuple[None, Coded]:
    """Answer a reading without the step."""
    place, reading = arrived
    return None, (reading.group, [canned(*place)])


def write(keyed: tuple[str, Coded]) -> Iterable[KafkaSinkMessage[bytes, bytes]]:
    """Name the group in the key of each code."""
    _, (group, messages) = keyed
    return [KafkaSinkMessage(group.encode(), message) for message in messages]


def main() -> None:
    """Run, and print what it cost."""
    given = order()
    rehearse(given.states, given.channels)
    watch = Stopwatch()
    cli_main(build(given, watch))  # type: ignore[no-untyped-call]
    watch.stop()


if __name__ == "__main__":
    main()
