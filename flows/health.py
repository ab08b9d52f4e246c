"""Whether the flow does its work: what it leaves behind as it goes, and what that means.

The flow's own thread writes `Beats`, a few plain values; whoever asks reads them from another
thread. So the answer is true also when the flow's thread hangs.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, Literal, NamedTuple, ParamSpec, Protocol, TypeVar, get_args

__all__ = [
    "HANGING",
    "READY",
    "STATES",
    "Beats",
    "Link",
    "State",
    "StateName",
    "asks_for_restart",
    "keeping_failures",
    "state",
]

PAUSE = 5.0  # seconds without a reading after which a flow that worked is idle
SILENT_AFTER = 5.0  # a broker that is there answers a fetch within a second, data or none
LOST_AFTER = 3.0  # the consumer looks every second: by then it has heard of one that is there
BLOCKED_AFTER = 3.0  # an output is confirmed in milliseconds; a snapshot waits for many
STALLED_AFTER = 10.0  # the flow turns 50 times a second; a snapshot of 4,000 groups takes 1 s
HANGING = 60.0  # seconds after the client gave an output up: what waits longer hangs
GIVEN_UP_AFTER = 120.0 + HANGING  # by default the client gives an output up after 120 s
NAMED = 5  # partitions that a reason names

StateName = Literal["starting", "idle", "working", "stalled", "broker-away", "blocked", "ended"]
STATES: tuple[StateName, ...] = get_args(StateName)
READY: frozenset[StateName] = frozenset({"idle", "working"})
HOPELESS: frozenset[StateName] = frozenset({"stalled", "ended"})


class Link(Protocol):
    """What a client knows of its connection; seconds of the monotonic clock."""

    error: str
    """The last error of the client, "" when there was none."""

    heard_at: float
    """When the quietest leader of our partitions last said anything, as far as was measured."""

    measured_at: float | None
    """When that was measured last; None: never."""

    lost_at: float | None
    """When the client last said that no broker can be reached."""


class State(NamedTuple):
    """What the flow does, since when (monotonic), and how that shows."""

    name: StateName
    since: float
    reason: str


@dataclass(slots=True)
class Beats:
    """What the flow leaves behind as it goes; times are seconds of the monotonic clock.

    Parameters
    ----------
    started : float
    behind : dict of int to int or None
        Readings of each partition that wait; None before the broker's first answer.
    waiting : float or None
        Since when readings have waited and none has come.
    turned, moved : float or None
        When the flow last asked for readings, and when it last got some.
    busy : float or None
        Since when they have come, without a pause.
    writing : float or None
        Since when the flow has been in the sink; None: it is not.
    ended : float or None
        When it ended.
    patience : float
        Seconds after which what waits in the sink hangs: the client gave it up before.
    peers : int
        Other processes of the cluster: the flow waits while one of them is held by the broker.
    snapping : float or None
        Since when the flow has taken snapshots of its groups; None: it does not.
    held_by_snapshots : float
        Seconds that these have held it, all in all.
    unfed : str
        What keeps messages from the topic that is read; "" where nothing does.
    failure : Exception or None
        What was raised first in a part of the flow.
    links : list of Link
        The connections; the flow adds them as it opens them.

    Examples
    --------
    >>> beats = Beats(started=0.0)
    >>> state(2.0, beats).name
    'starting'
    >>> beats.turn(3.0, partition=0, taken=7, behind=0)
    >>> state(4.0, beats)
    State(name='working', since=3.0, reason='the last readings came 1 s ago')
    """

    started: float = field(default_factory=time.monotonic)
    behind: dict[int, int | None] = field(default_factory=dict)
    waiting: float | None = None
    turned: float | None = None
    moved: float | None = None
    busy: float | None = None
    writing: float | None = None
    ended: float | None = None
    patience: float = GIVEN_UP_AFTER
    peers: int = 0
    snapping: float | None = None
    held_by_snapshots: float = 0.0
    unfed: str = ""
    failure: Exception | None = None
    links: list[Link] = field(default_factory=list)
    _total: int = 0

    def open(self, partition: int) -> None:
        """Note that a partition is ours to read."""
        self.behind[partition] = None

    def turn(self, now: float, *, partition: int, taken: int, behind: int | None) -> None:
        """Note that the flow asked for readings of a partition: how many came, how many wait."""
        self.turned = now
        self._total += (behind or 0) - (self.behind.get(partition) or 0)
        self.behind[partition] = behind
        if taken:
            if self.moved is None or now - self.moved > PAUSE:
                self.busy = now
            self.moved = now
        if not self._total:
            self.waiting = None
        elif taken or self.waiting is None:
            self.waiting = now

    def snap(self) -> None:
        """Note that a group's snapshot is taken: the first of an epoch begins to hold the flow."""
        if self.snapping is None:
            self.snapping = time.monotonic()

    def go_on(self) -> None:
        """Note that the flow asks for readings again: the engine has written its snapshots."""
        if self.snapping is not None:
            self.held_by_snapshots += time.monotonic() - self.snapping
            self.snapping = None

    @contextmanager
    def in_sink(self, *, snapshot: bool = False) -> Iterator[None]:
        """Note that the flow is in the sink, where the broker may hold it.

        What is written between two snapshots is not the snapshots' doing.
        """
        self.writing = began = time.monotonic()
        try:
            yield
        finally:
            self.writing = None
            if self.snapping is not None and not snapshot:
                self.snapping += time.monotonic() - began

    def end(self) -> None:
        """Note that the flow has ended."""
        self.ended = time.monotonic()


class _Watched(Protocol):
    """A part of the flow."""

    _beats: Beats


S = TypeVar("S", bound=_Watched)
P = ParamSpec("P")
T = TypeVar("T")


def keeping_failures(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Keep what a method raises: in a cluster the engine ends, and does not tell why."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except StopIteration:
            raise
        except Exception as problem:
            self._beats.failure = self._beats.failure or problem
            raise

    return call


def state(now: float, beats: Beats) -> State:
    """Say what the flow does; the first rule that fits decides.

    Readings that come outrank what is known of the broker: while the client has plenty of them it
    does not ask, and hears nothing. Whether the flow's thread comes back at all outranks that.
    """
    for rule in (_ended, _unopened, _in_sink, _hung, _working, _away, _unanswered, _behind):
        found = rule(now, beats)
        if found is not None:
            return found
    since = beats.started if beats.moved is None else beats.moved + PAUSE
    if beats.unfed:
        return State("blocked", since, beats.unfed)
    return State("idle", since, "every reading there is was read")


def asks_for_restart(now: float, found: State, bound: float) -> bool:
    """Whether a restart would help: the flow has stood still for longer than `bound` seconds.

    A broker that is away, or too slow, is none of its doing: a restart would only lose the place.
    """
    return found.name in HOPELESS and now - found.since > bound


def _ended(_now: float, beats: Beats) -> State | None:
    return None if beats.ended is None else State("ended", beats.ended, "the flow has ended")


def _unopened(_now: float, beats: Beats) -> State | None:
    if beats.turned is not None:
        return None
    return State("starting", beats.started, "no partition was opened yet")


def _in_sink(now: float, beats: Beats) -> State | None:
    since = beats.writing
    if since is None or now - since <= BLOCKED_AFTER:
        return None
    held = f"the sink has waited for the broker for {now - since:.0f} s"
    if now - since > beats.patience:
        return State("stalled", since, f"{held}; the client should have given up long ago")
    lost = _lost(now, beats)
    return lost or State("blocked", since, f"{held}; readings wait until it confirms")


def _hung(now: float, beats: Beats) -> State | None:
    seen = max(beats.turned or 0.0, beats.writing or 0.0)
    if now - seen <= STALLED_AFTER:
        return None
    if beats.peers and now - seen <= beats.patience:
        reason = f"the flow has waited for another process of the cluster for {now - seen:.0f} s"
        return State("blocked", seen, f"{reason}, or hangs")
    reason = f"the flow's thread has not come back to its source for {now - seen:.0f} s"
    return State("stalled", seen, reason)


def _working(now: float, beats: Beats) -> State | None:
    if beats.moved is None or beats.busy is None or now - beats.moved > PAUSE:
        return None
    return State("working", beats.busy, f"the last readings came {now - beats.moved:.0f} s ago")


def _away(now: float, beats: Beats) -> State | None:
    for link in beats.links:
        silent = 0.0 if link.measured_at is None else link.measured_at - link.heard_at
        if silent > SILENT_AFTER:
            reason = f"a broker that leads our partitions has said nothing for {silent:.0f} s"
            return State("broker-away", link.heard_at, reason)
    return _lost(now, beats)


def _lost(now: float, beats: Beats) -> State | None:
    """Whether a client says that no broker can be reached, and nothing was heard of one since."""
    heard = max((link.heard_at for link in beats.links), default=0.0)
    for link in beats.links:
        if link.lost_at is not None and link.lost_at > heard and now - link.lost_at > LOST_AFTER:
            return State("broker-away", heard, f"no broker can be reached: {link.error}")
    return None


def _unanswered(_now: float, beats: Beats) -> State | None:
    missing = [number for number, behind in beats.behind.copy().items() if behind is None]
    if not missing:
        return None
    named = ", ".join(map(str, missing[:NAMED])) + ", ..." * (len(missing) > NAMED)
    return State("starting", beats.started, f"no answer yet for partitions {named}")


def _behind(now: float, beats: Beats) -> State | None:
    since = beats.waiting
    if since is None:
        return None
    count = sum(behind or 0 for behind in beats.behind.copy().values())
    reason = f"{count} readings wait, and none has come for {now - since:.0f} s"
    return State("stalled" if now - since > STALLED_AFTER else "working", since, reason)
