"""What many groups cost: the same rate over more of them, and ten thousand small ones.

Each epoch writes the state of every group that a reading came for, so with many groups the epoch
decides. The pipeline doubles it from start to start until snapshots take less than a tenth of the
time; so does this, in seconds instead of minutes, and measures at the epoch that it comes to: few
groups and many at the same one, in turns. Groups have learned for long, and each is somewhere else
in its chunk.
"""

import statistics
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.pipeline.live import Load, live
from benchmarks.pipeline.plan import Plan, Section
from benchmarks.pipeline.runs import Bench, Variant
from benchmarks.pipeline.traffic import Fleet
from benchmarks.record import Bar, rounded
from flows.epochs import LONGEST, SHARE

__all__ = ["chosen", "groups"]

FEW, MANY, SMALL = 50, 1000, 16  # groups, and channels of the small ones
RATE = 5000  # readings a second
SHORT = 1 / 0.95  # a load that is held to 95 % counts as held: sender and reader start and end
LONG, PHASES = 12_700, 16  # rows learned from, from when on chunks are as long as they get
TRIED = 5.0  # seconds of an epoch at which the cost of a snapshot is measured


@dataclass(frozen=True, slots=True)
class Found:
    """Loads at the epoch that the pipeline comes to.

    Parameters
    ----------
    epoch : float
        Seconds.
    share : float
        Of the time that snapshots would take at the epoch of the settings.
    loads : list of Load
    """

    epoch: float
    share: float
    loads: list[Load]

    @property
    def microseconds(self) -> float:
        """Median CPU a reading."""
        return statistics.median(load.microseconds for load in self.loads)

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        loads = [load.as_json() for load in self.loads]
        return {"epoch": self.epoch, "share": rounded(self.share), "loads": loads}


def groups(bench: Bench, plan: Plan) -> Section:
    """Let workers take the same rate with few groups and with many; snapshots are on."""
    many, few = _take(bench, plan, [Fleet(groups=MANY), Fleet(groups=FEW)], RATE)
    (small,) = _take(bench, plan, [Fleet(groups=plan.many, channels=SMALL)], plan.many_rate)
    held = statistics.median(1 / max(load.held, 1e-9) for load in small.loads)
    named = f"{plan.many} groups of {SMALL} channels at {plan.many_rate}/s"
    bars = [
        Bar(f"{MANY} groups / {FEW}, CPU a reading", many.microseconds / few.microseconds, 1.5),
        Bar(f"{named}: load / what was held of it", held, SHORT),
        Bar(f"{named}, CPU a reading, us", small.microseconds, 40.0),
    ]
    found = {f"{FEW}": few, f"{MANY}": many, named: small}
    return Section(bars, {"rate": RATE, "groups": {k: v.as_json() for k, v in found.items()}})


def _take(bench: Bench, plan: Plan, fleets: list[Fleet], rate: int) -> list[Found]:
    """Let fleets take turns, at the epoch that the first one needs."""
    bench.warm(fleets[0], rows=LONG, phases=PHASES)
    share = _share(bench, plan, fleets[0], rate)
    epoch = chosen(share)
    variant = Variant("ours", "ours", {"epoch_seconds": epoch})
    seconds = max(plan.live_seconds, epoch)  # so that each has a snapshot
    with ExitStack() as running:
        workers = [running.enter_context(live(bench, fleet, variant)) for fleet in fleets]
        rounds = [
            [worker.load(rate, seconds) for worker in workers] for _ in range(plan.live_rounds)
        ]
    return [Found(epoch, share, list(loads)) for loads in zip(*rounds, strict=True)]


def _share(bench: Bench, plan: Plan, fleet: Fleet, rate: int) -> float:
    """Return the share of the time that snapshots would take at an epoch of a second."""
    with live(bench, fleet, Variant("ours", "ours", {"epoch_seconds": TRIED})) as worker:
        before = worker.held_by_snapshots()
        load = worker.load(rate, max(plan.live_seconds, 2 * TRIED))
        return TRIED * (worker.held_by_snapshots() - before) / load.seconds


def chosen(share: float) -> float:
    """Return the epoch that doubling from a second comes to; a snapshot costs the same at each.

    Examples
    --------
    >>> chosen(0.05), chosen(0.3), chosen(40.0)
    (1.0, 4.0, 30.0)
    """
    epoch = 1.0
    while share / epoch > SHARE and epoch < LONGEST:
        epoch = min(2 * epoch, LONGEST)
    return epoch
