"""One backlog in each format that readings may come in: CPU and wall a reading of the whole job."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import msgspec

from benchmarks.pipeline.plan import Plan, Section
from benchmarks.pipeline.runs import Bench, Variant
from benchmarks.pipeline.throughput import Found, microseconds, ratio
from benchmarks.pipeline.traffic import Fleet, Sent
from benchmarks.record import rounded
from flows.tools.writing import MSGPACK, Batches, Writing, writing

__all__ = ["FORMATS", "formats", "written"]

FLEET = Fleet()
SEVERAL = 32  # readings of a message in batches
ROUNDS = 3
FORMATS: dict[str, Callable[[], Writing]] = {
    "JSON": lambda: writing("json"),
    "JSON, base64": lambda: writing("base64"),
    "MessagePack": lambda: writing("msgpack"),
    "float32": lambda: writing("float32"),
    f"JSON, {SEVERAL} a message":
        lambda: Batches(msgspec.json.encode, [], packed=False, count=SEVERAL),
    f"MessagePack, {SEVERAL} a message":
        lambda: Batches(msgspec.msgpack.encode, MSGPACK, packed=True, count=SEVERAL),
}  # fmt: skip


def formats(bench: Bench, plan: Plan) -> Section:
    """Let the pipeline code one backlog in each format, in turns; snapshots are on."""
    bench.warm(FLEET)
    ways = {name: Variant(name, "ours") for name in FORMATS}
    backlogs = {
        name: bench.send(written(FLEET, plan.count, make()), plan.count)
        for name, make in FORMATS.items()
    }
    found: Found = defaultdict(list)
    for number in range(min(plan.rounds, ROUNDS)):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            found[name].append(bench.spend(ways[name], backlogs[name][0], plan.count))
    json = ways["JSON"]
    results = {
        name: figures
        | {
            "of_json": rounded(ratio(found, ways[name], json) or 0.0),
            "bytes": rounded(backlogs[name][1]),
        }
        for name, figures in microseconds(found, plan.count).items()
    }
    return Section([], {"readings": plan.count, "formats": results})


def written(fleet: Fleet, count: int, way: Writing) -> Iterator[Sent]:
    """Yield the messages of a backlog in a format, those that wait for more at the end."""
    for group, ts, values in fleet.readings(count):
        for message in way(group, ts, values):
            yield group.encode(), message.value, message.headers
    if isinstance(way, Batches):
        for group, message in way.rest():
            yield group.encode(), message.value, message.headers
