"""A backlog, coded by ours and by what one would otherwise use: CPU and wall a message."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.pipeline.plan import Plan, Section
from benchmarks.pipeline.runs import Bench, Variant, absent
from benchmarks.pipeline.traffic import Fleet
from benchmarks.pipeline.variants.order import Spent
from benchmarks.record import Bar, rounded

__all__ = ["Found", "compare", "microseconds", "ratio", "throughput"]

FLEET = Fleet()
OURS = Variant("ours", "ours")
BLOCK = Variant("ours, block layout", "ours", {"layout": "block"})
NEW = Variant("ours, groups new", "ours", {"states": ""})
UNRECOVERED = Variant("ours, no snapshots", "ours", {"recovery": False})
THROUGH = Variant("pass-through", "ours", {"step": False})
PLAIN = Variant("plain loop", "plain")
PLAIN_THROUGH = Variant("plain loop, no step", "plain", {"step": False})
BUILTIN = Variant("built-in connectors", "builtin")
BUILTIN_THROUGH = Variant("built-in connectors, no step", "builtin", {"step": False})
QUIX = Variant("Quix Streams", "quix")
QUIX_THROUGH = Variant("Quix Streams, no step", "quix", {"step": False})
FAUST = Variant("faust", "faust")
FAUST_THROUGH = Variant("faust, no step", "faust", {"step": False})
VARIANTS = (
    THROUGH, OURS, BLOCK, NEW, UNRECOVERED, PLAIN, PLAIN_THROUGH, BUILTIN, BUILTIN_THROUGH,
    QUIX, QUIX_THROUGH, FAUST, FAUST_THROUGH,
)  # fmt: skip
BARS = (
    (OURS, PLAIN, 1.15),
    (BLOCK, OURS, 0.8),
    (OURS, BUILTIN, 1 / 2.5),
    (OURS, QUIX, 1 / 6),
    (THROUGH, BUILTIN_THROUGH, 1 / 2.5),
    (THROUGH, QUIX_THROUGH, 1 / 6),
    (OURS, UNRECOVERED, 1.05),
)
Found = dict[str, list[Spent]]


def throughput(bench: Bench, plan: Plan) -> Section:
    """Let the variants take turns on one backlog, of groups that were learned from before."""
    readings, size = bench.preload(FLEET, plan.count)
    bench.warm(FLEET)
    missing = absent()
    turns = {
        each: plan.rival_rounds.get(each.script, plan.rounds)
        for each in VARIANTS
        if each.script not in missing
    }
    found = compare(bench, turns, readings, plan.count)
    bars = [
        Bar(f"{one.name} / {other.name}, CPU a message", ratio(found, one, other), most)
        for one, other, most in BARS
    ]
    setting = {
        "readings": plan.count,
        "bytes": rounded(size),
        "groups": FLEET.groups,
        "channels": FLEET.channels,
        "partitions": 6,
    }
    return Section(
        bars,
        {"setting": setting, "microseconds": microseconds(found, plan.count)},
        [f"{name}: not installed; make .venv-{name}/.ready" for name in missing]
        + [
            f"{each.name}: too slow for a quick round"
            for each, rounds in turns.items()
            if not rounds
        ],
    )


def compare(bench: Bench, turns: dict[Variant, int], readings: str, count: int) -> Found:
    """Return what each variant spent, round by round; every other round goes backwards."""
    found: Found = defaultdict(list)
    for number in range(max(turns.values())):
        due = [each for each, rounds in turns.items() if number < rounds]
        for each in due[:: -1 if number % 2 else 1]:
            found[each.name].append(bench.spend(each, readings, count))
    return found


def ratio(found: Found, one: Variant, other: Variant) -> float | None:
    """Return the median over the rounds that both have; None where one has none."""
    pairs = zip(found.get(one.name, ()), found.get(other.name, ()), strict=False)
    ratios = [mine.cpu / theirs.cpu for mine, theirs in pairs]
    return statistics.median(ratios) if ratios else None


def microseconds(found: Found, count: int) -> dict[str, dict[str, object]]:
    """Return medians a message, and the CPU of every round."""

    def each(values: Sequence[float]) -> list[float]:
        return [rounded(1e6 * value / count) for value in values]

    return {
        name: {
            "cpu": statistics.median(each([one.cpu for one in spent])),
            "wall": statistics.median(each([one.wall for one in spent])),
            "rounds": each([one.cpu for one in spent]),
        }
        for name, spent in found.items()
    }
