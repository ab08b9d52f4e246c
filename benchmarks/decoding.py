"""The question: what does the input side cost a reading, by format, and over decoding it alone.

The input side takes messages as the client hands them on and gives blocks a group: headers, group,
time, checks, rows, buckets. 64 float32 channels (in JSON some 537 bytes), 50 groups, one partition.
Alone is msgspec's typed decode and one struct pack of the numbers. CPU time, medians of interleaved
rounds; in encoding, that of codes to messages, 10 atoms a reading.
``python -m benchmarks.decoding`` writes ``results/decoding.json``.
"""

import base64
import time
from collections.abc import Callable
from functools import partial
from struct import Struct
from time import process_time
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
from confluent_kafka import Message

from benchmarks.record import Bar, record, save, tell
from flows.events import Tally
from flows.groups import Groups
from flows.kafka import Health, SharedConsumer, StopFlag
from flows.settings import Settings
from flows.source import PartitionReader, Shared
from flows.wire import Layout, encode_codes
from oodl.coding import Codes, Version

CHANNELS, GROUPS, READINGS, TURN = 64, 50, 6400, 1600
ROUNDS, SEVERAL, ATOMS = 11, 32, 10
NAMES = [f"channel-{number}" for number in range(CHANNELS)]


class Bare(msgspec.Struct):
    """A reading's fields."""

    values: list[float | None]
    group: str | None = None
    ts: float | None = None


class Queue:
    """A partition whose messages are there, so many a turn."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def take(self, _most: int) -> list[Message]:
        """Return the messages of a turn."""
        taken, self._messages = self._messages[:TURN], self._messages[TURN:]
        return taken

    def take_expired(self) -> None:
        """Nothing expires."""

    def behind(self, _offset: int | None) -> None:
        """Nothing is told of the lag."""


def written(format_: str, rows: np.ndarray[Any, Any]) -> bytes:
    """Return the value of a message that has these readings."""
    data, ts = rows.astype("<f4").tobytes(), 1764000000.25
    shortest = [[float(str(number)) for number in row] for row in rows.astype(np.float32)]
    several = [ts + place for place in range(len(rows))]
    match format_:
        case "json":
            return msgspec.json.encode({"ts": ts, "values": shortest[0]})
        case "json, named":
            named = dict(zip(NAMES, shortest[0], strict=True))
            return msgspec.json.encode({"ts": ts, "values": named})
        case "json, base64":
            return msgspec.json.encode({"ts": ts, "values": base64.b64encode(data).decode()})
        case "json, batch":
            return msgspec.json.encode({"ts": several, "values": shortest})
        case "msgpack, list":
            return msgspec.msgpack.encode({"ts": ts, "values": shortest[0]})
        case "msgpack":
            return msgspec.msgpack.encode({"ts": ts, "values": data})
        case "msgpack, batch":
            return msgspec.msgpack.encode({"ts": several, "values": data})
        case _:
            return data


CONTENT_TYPES = {
    "json": None, "json, named": None, "json, base64": None, "json, batch": None,
    "msgpack, list": "msgpack", "msgpack": "msgpack", "msgpack, batch": "msgpack",
    "float32": "float32",
}  # fmt: skip


def messages(format_: str) -> list[Message]:
    """Return messages of all groups in turn."""
    rng = np.random.default_rng(0)
    each = SEVERAL if "batch" in format_ else 1
    made = []
    kind = CONTENT_TYPES[format_]
    headers: Any = [("content-type", kind.encode())] if kind else None
    for offset in range(READINGS // each):
        rows = 20 + rng.standard_normal((each, CHANNELS))
        made.append(
            Message(
                topic="readings",
                partition=0,
                offset=offset,
                key=b"press-%d" % (offset % GROUPS),
                value=written(format_, rows),
                headers=headers,
                timestamp=(1, 1764000000250),
            )
        )
    return made


def opened(format_: str) -> Callable[[list[Message]], None]:
    """Return what takes messages into a partition whose groups have settled."""
    names = NAMES if "named" in format_ else []
    settings = Settings.model_validate({"channels": {"names": names}})
    queues: list[Queue] = [Queue([])]
    passed = SimpleNamespace(
        take=lambda most: queues[-1].take(most),
        take_expired=lambda: None,
        behind=lambda _: None,
    )
    consumer = SimpleNamespace(health=Health(), open=lambda *_: passed, leads=lambda _queue: False)
    shared = Shared(settings, Tally(), StopFlag(), cast(SharedConsumer, consumer), 1)
    groups = Groups(settings)
    part = PartitionReader(shared, 0, None, groups)

    def feed(arrived: list[Message]) -> None:
        queues[:] = [Queue(arrived)]
        for _ in range(-(-len(arrived) // TURN)):
            part.next_batch()

    feed(messages("json, named" if names else "json"))  # settles the groups
    groups.pack()
    return feed


def alone(arrived: list[Message]) -> None:
    """Decode and pack, and nothing else."""
    decode, pack = msgspec.json.Decoder(Bare).decode, Struct(f"<{CHANNELS}d").pack
    for message in arrived:
        pack(*cast(list[float], decode(cast(bytes, message.value())).values))


def codes() -> Codes:
    """Codes of readings, ten atoms each."""
    rng = np.random.default_rng(1)
    rows = READINGS // GROUPS
    atoms = np.concatenate([rng.permutation(CHANNELS)[:ATOMS] for _ in range(rows)])
    return Codes(
        Version.zero(tuple(NAMES)), np.arange(rows), 1764000000.25 + np.arange(float(rows)),
        ATOMS * (1 + np.arange(rows)), atoms, np.round(rng.standard_normal(len(atoms)) * 20) / 20,
        ((),) * rows, rng.random(rows) / 10, rng.random(rows), np.zeros(rows),
    )  # fmt: skip


def written_codes(coded: Codes, layout: Layout) -> None:
    """Write the codes of all groups."""
    for group in range(GROUPS):
        encode_codes(f"press-{group}", 0, coded, layout)


def seconds(function: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = process_time()
    function()
    return process_time() - start


def measure() -> dict[str, dict[str, float]]:
    """Return us a reading and ratios to JSON, by format."""
    arrived = {name: messages(name) for name in CONTENT_TYPES}
    feeds = {name: opened(name) for name in CONTENT_TYPES}
    coded = codes()
    layouts: tuple[Layout, ...] = ("reading", "block")
    timed: dict[str, list[float]] = {}
    calls: dict[str, Callable[[], object]] = {"alone": partial(alone, arrived["json"])}
    calls |= {name: partial(feed, arrived[name]) for name, feed in feeds.items()}
    calls |= {f"codes, {layout}": partial(written_codes, coded, layout) for layout in layouts}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            timed.setdefault(name, []).append(seconds(call))
    json = np.array(timed["json"])
    return {
        name: {
            "us": round(1e6 * float(np.median(each)) / READINGS, 3),
            "of_json": round(float(np.median(np.array(each) / json)), 3),
        }
        for name, each in timed.items()
    } | {"json over alone": {"ratio": round(float(np.median(json / timed["alone"])), 3)}}


def main() -> None:
    """Measure, tell and record."""
    began = time.monotonic()
    found = measure()
    over = found.pop("json over alone")["ratio"]
    bars = [
        Bar("JSON: decode and bucket, over decode and pack alone", over, 1.3),
        Bar("base64 in JSON, over JSON", found["json, base64"]["of_json"], 0.5),
        Bar("msgpack with float32 in a bin, over JSON", found["msgpack"]["of_json"], 0.4),
        Bar("float32 alone, over JSON", found["float32"]["of_json"], 0.33),
        Bar(
            f"msgpack, {SEVERAL} readings a message, over JSON",
            found["msgpack, batch"]["of_json"], 0.1,
        ),
    ]  # fmt: skip
    result = record("CPU of a reading on the input side", bars, began, over=over, formats=found)
    print(f"recorded in {save('decoding', result)}")
    tell(bars)
    for name, figures in found.items():
        print(f"{name:20} {figures['us']:8.3f} us  {figures['of_json']:.3f}")


if __name__ == "__main__":
    main()
