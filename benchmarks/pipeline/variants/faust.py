"""faust-streaming, in its idiomatic way: an agent over a topic of JSON that sends to another one.

The step's state is in memory, which favours it: a table of its own writes every change to Kafka.
"""

import asyncio
import os
import sys

import faust

from benchmarks.pipeline.variants.begun import begin_with, rehearse
from benchmarks.pipeline.variants.one import step
from benchmarks.pipeline.variants.order import Order, Stopwatch, canned, order
from oodl.stream import GroupState


def build(given: Order, watch: Stopwatch) -> faust.App:
    """Return the application; it ends when all of the backlog is coded and sent."""
    app = faust.App(
        given.name,
        broker=f"kafka://{given.bootstrap}",
        store="memory://",
        topic_disable_leader=True,
        web_enabled=False,
        datadir=given.folder,
        consumer_auto_offset_reset="earliest",
        producer_linger=0.005,
    )
    readings = app.topic(given.topics["readings"], key_type=bytes, value_serializer="json")
    codes = app.topic(
        given.topics["codes"], key_type=bytes, value_type=bytes, value_serializer="raw"
    )
    states: dict[str, GroupState] = {}
    begin = begin_with(given.states)

    @app.agent(readings)  # type: ignore[untyped-decorator]
    async def code(events: faust.Stream) -> None:
        left = given.count
        async for event in events.events():
            watch.first()
            message = event.message
            place = message.partition, message.offset
            if given.step:
                group = message.key.decode()
                state = states.get(group) or begin(group)
                at = event.value["ts"], event.value["values"]
                states[group], messages = step(state, group, place, at)
            else:
                messages = [canned(*place)]
            for value in messages:
                await codes.send(key=message.key, value=value)
            left -= 1
            if not left:
                await app.producer.flush()
                watch.stop()
                sys.stdout.flush()
                asyncio.get_running_loop().call_later(
                    0, os._exit, 0
                )  # it would leave its group first

    return app


if __name__ == "__main__":
    sys.argv, given = sys.argv[:1], order()
    rehearse(given.states, given.channels)
    faust.Worker(
        build(given, Stopwatch()), loglevel="WARN", quiet=True, redirect_stdouts=False
    ).execute_from_commandline()
