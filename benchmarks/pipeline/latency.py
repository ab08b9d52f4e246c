"""How late codes are at a rate, and what a worker computes while nothing comes."""

import statistics
from collections import defaultdict

from benchmarks.pipeline.live import Load, live
from benchmarks.pipeline.plan import Plan, Section
from benchmarks.pipeline.runs import Bench, Variant
from benchmarks.pipeline.traffic import Fleet
from benchmarks.record import Bar, rounded

__all__ = ["latency"]

FLEET = Fleet()
RATES = (100, 1000, 5000, 20_000)
BARS = {1000: 150.0, 5000: 200.0, 20_000: 300.0}
IDLE = 2.0


def latency(bench: Bench, plan: Plan) -> Section:
    """Let one worker take each rate in turns, then none; snapshots are on."""
    bench.warm(FLEET)
    found: dict[int, list[Load]] = defaultdict(list)
    idle = []
    with live(bench, FLEET, Variant("ours", "ours")) as worker:
        for _ in range(plan.live_rounds):
            for rate in RATES:
                found[rate].append(worker.load(rate, plan.live_seconds))
            idle.append(100 * worker.idle(plan.live_seconds))
    bars = [
        Bar(f"p99 at {rate}/s, ms", statistics.median(load.p99 for load in found[rate]), most)
        for rate, most in BARS.items()
    ]
    bars.append(Bar("idle CPU, % of a core", statistics.median(idle), IDLE))
    rates = {f"{rate}": [load.as_json() for load in loads] for rate, loads in found.items()}
    return Section(bars, {"rates": rates, "idle": [rounded(each) for each in idle]})
