"""The same backlog by one process and by several: CPU a message, all processes added up."""

from benchmarks.pipeline.plan import Plan, Section
from benchmarks.pipeline.runs import Bench, Variant
from benchmarks.pipeline.throughput import compare, microseconds, ratio
from benchmarks.pipeline.traffic import Fleet
from benchmarks.record import Bar

__all__ = ["processes"]

FLEET = Fleet()
ONE = Variant("one process", "ours")
TWO = Variant("two independent processes", "ours", {"processes": 2})
FOUR = Variant("four independent processes", "ours", {"processes": 4})
CLUSTER = Variant("cluster of two", "ours", {"processes": 2, "addresses": ("one", "two")})
BARS = ((TWO, 1.1), (CLUSTER, 1.5))


def processes(bench: Bench, plan: Plan) -> Section:
    """Let them take turns on one backlog; snapshots are on."""
    bench.warm(FLEET)
    readings, _ = bench.preload(FLEET, plan.count)
    turns = dict.fromkeys((ONE, TWO, FOUR, CLUSTER), plan.rounds)
    found = compare(bench, turns, readings, plan.count)
    bars = [
        Bar(f"{each.name} / one, CPU a message", ratio(found, each, ONE), most)
        for each, most in BARS
    ]
    return Section(bars, {"microseconds": microseconds(found, plan.count)})
