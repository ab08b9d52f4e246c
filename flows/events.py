"""Everything the pipeline can say: one function an event, one count and one log line each.

No other file logs or counts. An event has the same name in both: that of a counter
``oodl_<event>_total``, or a kind of ``oodl_oddities_total``. Counts are plain numbers in a `Tally`,
one a process, which `flows.exporter` shows to Prometheus; a batch costs a handful of microseconds.
A warning that can repeat per message is held to one in ten seconds, and tells how many were held
back.
"""

import logging
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging import DEBUG, ERROR, INFO, WARNING
from operator import mul
from typing import TextIO

import numpy as np
import numpy.typing as npt

from flows.health import Beats
from flows.log_lines import Form, JsonLines
from oodl.coding import Codes, Version
from oodl.distance import orthogonality_defect
from oodl.stream import GroupState, Noticed

__all__ = [
    "Histogram",
    "Tally",
    "broker_heard",
    "codes_delivered",
    "codes_sent",
    "dead_letters_sent",
    "delivery_failed",
    "epoch_chosen",
    "flow_ended",
    "group_begun",
    "group_expired",
    "group_held",
    "group_noticed",
    "group_stepped",
    "lag_measured",
    "log_to",
    "messages_repartitioned",
    "metrics_port_moved",
    "name_taken",
    "oddity",
    "offset_expired",
    "partitions_added",
    "partitions_shared",
    "reading_rejected",
    "readings_coded",
    "readings_received",
    "samples_assembled",
    "snapshot_taken",
    "snapshots_slow",
    "stop_requested",
    "version_published",
    "warm_started",
]

log = logging.getLogger("flows")

FEW = 16  # values that calls of numpy cost more than
HOLD_SECONDS = 10.0
OTHER = "__other__"  # the groups that have no label of their own, and those that are gone
COUNTED_BY_GROUP = ("readings_coded", "values", "energy", "residual_energy", "atoms_kept",
                    "versions_published", "jumps")  # fmt: skip
SHOWN_BY_GROUP = ("surprise", "version", "last_reading", "gap", "defect", "state_bytes")
ERROR_BOUNDS = (0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1.0, 2.0, 5.0)
LATENCY_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
SNAPSHOT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Counts = defaultdict[str, int]
Sums = defaultdict[str, float]
Fields = Mapping[str, object]


def _counts() -> Counts:
    return defaultdict(int)


def _sums() -> Sums:
    return defaultdict(float)


class Histogram:
    """How many values lie up to each bound, and their sum.

    Parameters
    ----------
    bounds : tuple of float
        Upper ends of the buckets, each included, rising; one more bucket takes the rest.

    Examples
    --------
    >>> histogram = Histogram((1.0, 2.0))
    >>> histogram.observe([1.0, 1.5, 7.0])
    >>> histogram.counts.tolist(), histogram.sum
    ([1, 1, 1], 9.5)
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self._bounds = np.array(bounds), list(bounds)
        self.counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self.sum = 0.0

    def observe(self, values: npt.ArrayLike) -> None:
        """Count values, all finite; a few in a list take a third of the time."""
        if isinstance(values, list) and len(values) <= FEW:
            for value in values:
                self.counts[bisect_left(self._bounds, value)] += 1
                self.sum += value
            return
        found = np.asarray(values, dtype=np.float64)
        places = self.bounds.searchsorted(found)
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.sum += sum(found.tolist())


@dataclass(slots=True)
class Tally:
    """What was counted in this process; names as the metrics have them.

    Parameters
    ----------
    clock : callable
        Seconds that only rise; decides when a held warning may speak again.
    broker_heard : float or None
        By that clock, when the quietest broker last said anything.
    beats : Beats
        By which the flow's health is told.
    labels : dict of str to str
        Groups that have a label of their own, and that label; kept by the exporter.
    left_behind : dict of (str, str) to float
        By count and group: what stood with the rest when a group got its label.
    """

    readings_received: int = 0
    samples_assembled: int = 0
    messages_repartitioned: int = 0
    readings_rejected: Counts = field(default_factory=_counts)
    readings_coded: Counts = field(default_factory=_counts)
    values: Counts = field(default_factory=_counts)
    energy: Sums = field(default_factory=_sums)
    residual_energy: Sums = field(default_factory=_sums)
    atoms_kept: Counts = field(default_factory=_counts)
    codes_sent: int = 0
    dead_letters_sent: int = 0
    groups_begun: int = 0
    groups_expired: int = 0
    versions_published: Counts = field(default_factory=_counts)
    jumps: Counts = field(default_factory=_counts)
    oddities: Counts = field(default_factory=_counts)
    surprise: dict[str, float] = field(default_factory=dict)
    version: dict[str, int] = field(default_factory=dict)
    last_reading: dict[str, float] = field(default_factory=dict)
    gap: dict[str, float] = field(default_factory=dict)
    defect: dict[str, float] = field(default_factory=dict)
    state_bytes: dict[str, int] = field(default_factory=dict)
    lag_readings: dict[int, int] = field(default_factory=dict)
    lag_seconds: dict[int, float] = field(default_factory=dict)
    broker_heard: float | None = None
    epoch: float | None = None
    reconstruction_error: Histogram = field(default_factory=lambda: Histogram(ERROR_BOUNDS))
    end_to_end: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS))
    snapshot: Histogram = field(default_factory=lambda: Histogram(SNAPSHOT_BOUNDS))
    clock: Callable[[], float] = time.monotonic
    spoke: dict[str, float] = field(default_factory=dict)
    held: Counts = field(default_factory=_counts)
    beats: Beats = field(default_factory=Beats)
    labels: dict[str, str] = field(default_factory=dict)
    left_behind: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def broker_silent(self) -> float | None:
        """Seconds since the quietest broker was heard, as of now; it rises while nobody asks."""
        return None if self.broker_heard is None else self.clock() - self.broker_heard


def readings_received(tally: Tally, count: int) -> None:
    """Messages that came out of the readings topic."""
    tally.readings_received += count
    _say(DEBUG, "readings_received", "Readings received. count=%(count)d", {"count": count})


def partitions_added(tally: Tally, *, topic: str, was: int, now: int) -> None:
    """Report that a topic has more partitions than are read; the process ends to be restarted."""
    tally.oddities["partitions_added"] += 1
    fields = {"topic": topic, "was": was, "now": now}
    _say(
        WARNING,
        "partitions_added",
        "Partitions added, start again. topic=%(topic)s was=%(was)d now=%(now)d",
        fields,
    )


def partitions_shared(tally: Tally, *, other: str, partitions: list[int]) -> None:
    """Report another process of the same name that reads the same: codes come from both."""
    tally.oddities["partitions_shared"] += 1
    text = "Partitions shared with another process. other=%(other)r partitions=%(partitions)s"
    _say(ERROR, "partitions_shared", text, {"other": other, "partitions": partitions})


def reading_rejected(tally: Tally, *, reason: str, position: str, detail: str) -> None:
    """Count a message that cannot be read, and name it in the log."""
    tally.readings_rejected[reason] += 1
    text = "Reading rejected. reason=%(reason)s position=%(position)s detail=%(detail)r"
    _warn_seldom(
        tally, "readings_rejected", text, {"reason": reason, "position": position, "detail": detail}
    )


def readings_coded(tally: Tally, *, group: str, codes: Codes) -> None:
    """Count readings coded with one version: values, energies and atoms.

    Energies leave version 0 out: it has no standard deviations to measure in.
    """
    readings, errors = codes.readings, codes.errors.tolist()
    tally.readings_coded[group] += readings
    tally.atoms_kept[group] += len(codes.atoms)
    tally.reconstruction_error.observe(errors)
    if codes.version.number:  # mostly of one row: lists, since calls of numpy would take 6 us
        size = len(codes.version.dictionary)
        present = [size - len(absent) for absent in codes.missing]
        squares = [error * error for error in errors]
        tally.values[group] += sum(present)
        tally.energy[group] += sum(codes.energies.tolist())
        tally.residual_energy[group] += sum(map(mul, squares, present))
    if not log.isEnabledFor(DEBUG):
        return
    fields = {"group": group, "count": readings, "version": codes.version.number}
    text = "Readings coded. group=%(group)r count=%(count)d version=%(version)d"
    _say(DEBUG, "readings_coded", text, fields)


def codes_sent(tally: Tally, count: int) -> None:
    """Code messages that the broker confirmed."""
    tally.codes_sent += count
    _say(DEBUG, "codes_sent", "Codes sent. count=%(count)d", {"count": count})


def codes_delivered(tally: Tally, seconds: npt.ArrayLike) -> None:
    """How long readings took, from their message's time to their confirmed code."""
    tally.end_to_end.observe(seconds)


def dead_letters_sent(tally: Tally, count: int) -> None:
    """Dead letters that the broker confirmed."""
    tally.dead_letters_sent += count
    _say(DEBUG, "dead_letters_sent", "Dead letters sent. count=%(count)d", {"count": count})


def version_published(tally: Tally, *, group: str, version: Version, offset: int) -> None:
    """Tell of a dictionary that the broker confirmed."""
    tally.versions_published[group] += 1
    tally.defect[group] = orthogonality_defect(version.dictionary)
    fields = {"group": group, "version": version.number, "id": version.id, "offset": offset}
    text = "Version published. group=%(group)r version=%(version)d id=%(id)s offset=%(offset)d"
    _say(DEBUG, "versions_published", text, fields)


def warm_started(tally: Tally, *, groups: int) -> None:
    """Report that there were no snapshots, and what the flow goes on from instead."""
    tally.oddities["warm_start"] += 1
    text = "Snapshots missing, going on from committed offsets and dictionaries. groups=%(groups)d"
    _say(WARNING, "warm_start", text, {"groups": groups})


def group_stepped(tally: Tally, *, group: str, state: GroupState) -> None:
    """Show where a group stands after a batch."""
    tally.surprise[group] = state.surprise
    if state.learned is not None:
        tally.version[group] = state.learned.version.number
        tally.gap[group] = state.learned.learner.gap
    if state.clock.now is not None:
        tally.last_reading[group] = state.clock.now


def group_held(tally: Tally, *, group: str, state_bytes: int) -> None:
    """Know a group's state by its packed size; counted as one of the groups from now on."""
    tally.state_bytes[group] = state_bytes


def group_begun(tally: Tally, *, group: str) -> None:
    """Tell of a group of which nothing is known: it is new, or its time was over."""
    tally.groups_begun += 1
    _say(DEBUG, "groups_begun", "Group begun. group=%(group)r", {"group": group})


def group_expired(tally: Tally, *, group: str) -> None:
    """Let go of a group that was silent for too long; what it had counted stays with the rest.

    Of a group with a label that is only what it had counted before: its own series ends.
    """
    labelled = tally.labels.pop(group, None) is not None
    for name in COUNTED_BY_GROUP:
        counts = getattr(tally, name)
        count, before = counts.pop(group, 0), tally.left_behind.pop((name, group), 0)
        counts[OTHER] += before if labelled else count
    for name in SHOWN_BY_GROUP:
        getattr(tally, name).pop(group, None)
    tally.groups_expired += 1
    _say(DEBUG, "groups_expired", "Group expired. group=%(group)r", {"group": group})


def group_noticed(tally: Tally, *, group: str, noticed: Noticed) -> None:
    """Say what a group's step wants said."""
    _NOTICED[noticed.kind](tally, group, noticed)


def samples_assembled(tally: Tally, count: int) -> None:
    """Messages of one sensor each that have become readings."""
    tally.samples_assembled += count
    _say(DEBUG, "samples_assembled", "Samples assembled. count=%(count)d", {"count": count})


def messages_repartitioned(tally: Tally, count: int) -> None:
    """Messages of the internal topic that the broker confirmed."""
    tally.messages_repartitioned += count
    text = "Messages repartitioned. count=%(count)d"
    _say(DEBUG, "messages_repartitioned", text, {"count": count})


def oddity(tally: Tally, kind: str, detail: str, count: int = 1) -> None:
    """Count what is no fault but seldom meant: an unknown channel, a late reading."""
    tally.oddities[kind] += count
    text = "Oddity seen. kind=%(kind)s count=%(count)d detail=%(detail)r"
    _warn_seldom(tally, kind, text, {"kind": kind, "count": count, "detail": detail})


def lag_measured(tally: Tally, partition: int, readings: int, seconds: float) -> None:
    """Show how far a partition's end is away, in readings and in seconds."""
    tally.lag_readings[partition] = readings
    tally.lag_seconds[partition] = seconds


def broker_heard(tally: Tally, *, silent_seconds: float) -> None:
    """Show since when the quietest broker has said nothing."""
    tally.broker_heard = tally.clock() - silent_seconds


def snapshot_taken(tally: Tally, *, seconds: float) -> None:
    """Count a snapshot of the sink: how long it held the flow."""
    tally.snapshot.observe([seconds])
    _say(DEBUG, "snapshot_taken", "Snapshot taken. seconds=%(seconds).3f", {"seconds": seconds})


def snapshots_slow(tally: Tally, *, share: float, seconds: float, longer: float) -> None:
    """Report that snapshots took a large share of the last minute; the next start has fewer."""
    tally.oddities["snapshots_slow"] += 1
    fields = {"share": share, "seconds": seconds, "longer": longer}
    text = "Snapshots slow. share=%(share).2f epoch=%(seconds)g at_next_start=%(longer)g"
    _say(WARNING, "snapshots_slow", text, fields)


def epoch_chosen(tally: Tally, *, seconds: float) -> None:
    """Show the seconds between two snapshots in force."""
    tally.epoch = seconds
    _say(DEBUG, "epoch_chosen", "Epoch chosen. seconds=%(seconds)g", {"seconds": seconds})


def delivery_failed(tally: Tally, *, topic: str, detail: str) -> None:
    """Report an output that the broker never confirmed; the process ends."""
    tally.oddities["delivery_failed"] += 1
    fields = {"topic": topic, "detail": detail}
    _say(
        ERROR,
        "delivery_failed",
        "Delivery failed, stopping. topic=%(topic)s detail=%(detail)r",
        fields,
    )


def name_taken(tally: Tally, *, detail: str) -> None:
    """Report that another process writes under this one's name; this one ends."""
    tally.oddities["name_taken"] += 1
    _say(
        ERROR,
        "name_taken",
        "Name taken by another process, stopping. detail=%(detail)r",
        {"detail": detail},
    )


def offset_expired(tally: Tally, partition: int, offset: int) -> None:
    """Report that retention deleted readings from an offset on before they were read."""
    tally.oddities["offset_expired"] += 1
    fields = {"partition": partition, "offset": offset}
    _say(
        ERROR, "offset_expired", "Offset expired. partition=%(partition)d offset=%(offset)d", fields
    )


def stop_requested(tally: Tally, *, signal: str) -> None:
    """Report that the process was asked to end."""
    tally.oddities["stop_requested"] += 1
    _say(INFO, "stop_requested", "Stop requested. signal=%(signal)s", {"signal": signal})


def flow_ended(tally: Tally) -> None:
    """Tell what was counted: the last line of a process that ends by itself."""
    fields = {
        "received": tally.readings_received,
        "assembled": tally.samples_assembled,
        "rejected": sum(tally.readings_rejected.values()),
        "coded": sum(tally.readings_coded.values()),
        "codes_sent": tally.codes_sent,
        "dead_letters_sent": tally.dead_letters_sent,
        "versions": sum(tally.versions_published.values()),
        "oddities": sum(tally.oddities.values()),
    }
    _say(
        INFO,
        "flow_ended",
        f"Flow ended. {' '.join(f'{name}=%({name})d' for name in fields)}",
        fields,
    )


def metrics_port_moved(tally: Tally, *, wanted: int, bound: int) -> None:
    """Report that metrics are served elsewhere, since their port was taken."""
    tally.oddities["metrics_port_moved"] += 1
    fields = {"wanted": wanted, "bound": bound}
    _say(
        WARNING,
        "metrics_port_moved",
        "Metrics port moved. wanted=%(wanted)d bound=%(bound)d",
        fields,
    )


def log_to(
    stream: TextIO, level: int | str = INFO, *, form: Form = "auto", process: int | None = None
) -> None:
    """Send the log to a stream; "auto" is text for a terminal, else one JSON object a line.

    Called again, the log goes to the new stream alone. A process of a cluster names its number.
    """
    handler = logging.StreamHandler(stream)
    named = "" if process is None else f"process {process} "
    human = logging.Formatter(f"%(asctime)s %(levelname)s {named}%(message)s", datefmt="%H:%M:%S")
    for_people = stream.isatty() if form == "auto" else form == "text"
    handler.setFormatter(human if for_people else JsonLines(process))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(level)


def _say(level: int, event: str, text: str, fields: Fields) -> None:
    """Write a line; `event` is what it is counted as, so that log and metrics have one name."""
    log.log(level, text, fields, extra={"event": event})


def _warn_seldom(tally: Tally, event: str, text: str, fields: dict[str, object]) -> None:
    """Warn once in `HOLD_SECONDS` for each text; the next warning tells how many were held."""
    now = tally.clock()
    if now - tally.spoke.get(text, -HOLD_SECONDS) < HOLD_SECONDS:
        tally.held[text] += 1
        return
    tally.spoke[text] = now
    held = tally.held.pop(text, 0)
    _say(WARNING, event, f"{text} held_back=%(held_back)d", fields | {"held_back": held})


def _restarted(tally: Tally, group: str, _: Noticed) -> None:
    tally.oddities["group_restarted"] += 1
    _say(WARNING, "group_restarted", "Group restarted. group=%(group)r", {"group": group})


def _surprised(tally: Tally, group: str, _: Noticed) -> None:
    tally.oddities["group_surprised"] += 1
    _say(WARNING, "group_surprised", "Group surprised. group=%(group)r", {"group": group})


def _calmed(tally: Tally, group: str, _: Noticed) -> None:
    tally.oddities["group_calmed"] += 1
    _say(INFO, "group_calmed", "Group calmed. group=%(group)r", {"group": group})


def _accepted(tally: Tally, group: str, _: Noticed) -> None:
    tally.oddities["group_accepted"] += 1
    _say(
        WARNING,
        "group_accepted",
        "Group's new behaviour accepted as its own. group=%(group)r",
        {"group": group},
    )


def _jumped(tally: Tally, group: str, _: Noticed) -> None:
    tally.jumps[group] += 1
    _say(
        WARNING,
        "jumps",
        "Group jumped, its dictionary is learned anew. group=%(group)r",
        {"group": group},
    )


def _mistimed(tally: Tally, group: str, noticed: Noticed) -> None:
    oddity(tally, noticed.kind, group, noticed.count)


_NOTICED: dict[str, Callable[[Tally, str, Noticed], None]] = {
    "restart": _restarted,
    "surprised": _surprised,
    "calm": _calmed,
    "accepted": _accepted,
    "jump": _jumped,
    "clock_ahead": _mistimed,
    "late": _mistimed,
    "gap": _mistimed,
}
