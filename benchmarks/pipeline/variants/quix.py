"""Quix Streams, in its idiomatic way: a streaming data frame of JSON, apply with expand, to_topic.

The step's state is in memory, which favours it: its own store writes every change to a changelog.
"""

import logging
from typing import Any

from quixstreams import Application, message_context
from quixstreams.models import BytesSerializer

from benchmarks.pipeline.variants.begun import begin_with, rehearse
from benchmarks.pipeline.variants.one import step
from benchmarks.pipeline.variants.order import Order, Stopwatch, canned, order
from oodl.stream import GroupState


class Coder:
    """The step over the groups of the topic.

    Parameters
    ----------
    given : Order
    watch : Stopwatch
    """

    def __init__(self, given: Order, watch: Stopwatch) -> None:
        self.given, self.watch = given, watch
        self.states: dict[str, GroupState] = {}
        self.begin = begin_with(given.states)

    def __call__(self, reading: dict[str, Any], key: bytes, *_: object) -> list[bytes]:
        """Answer a reading."""
        self.watch.first()
        context = message_context()
        place = context.partition, context.offset
        if not self.given.step:
            return [canned(*place)]
        group = key.decode()
        state = self.states.get(group) or self.begin(group)
        at = reading["ts"], reading["values"]
        self.states[group], messages = step(state, group, place, at)
        return messages


def main() -> None:
    """Run, and print what it cost."""
    given = order()
    app = Application(
        broker_address=given.bootstrap,
        consumer_group=given.name,
        auto_offset_reset="earliest",
        state_dir=given.folder,
        loglevel=logging.WARNING,
    )
    readings = app.topic(given.topics["readings"], value_deserializer="json")
    codes = app.topic(given.topics["codes"], value_serializer=BytesSerializer())
    rehearse(given.states, given.channels)
    watch = Stopwatch()
    frame = app.dataframe(readings)
    frame = frame.apply(Coder(given, watch), expand=True, metadata=True)
    frame.to_topic(codes)
    app.run(count=given.count)
    watch.stop()


if __name__ == "__main__":
    main()
