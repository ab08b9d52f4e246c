"""One group's readings in, codes and dictionaries out: `GroupCoder`, without any engine.

A reading is coded at once, with the published version. Learning takes place when a chunk of
readings is full, and a chunk's size follows from the count of readings alone; so the codes do not
depend on how the readings were cut into blocks, and a replay gives the same ones.
"""

from dataclasses import dataclass, field, replace
from math import inf, isnan
from typing import Literal

import numpy as np
import numpy.typing as npt

from oodl.adaptive import Adaptive, AdaptiveState
from oodl.clock import EventClock
from oodl.coding import Codes, Rule, Tolerance, Version, encode, left_by_atoms
from oodl.errors import ValueFault
from oodl.learner import chunk_size
from oodl.publishing import Pricing, atoms_within
from oodl.recent import Recent
from oodl.scaling import CLIP, Scaling, standardise

__all__ = ["Block", "GroupCoder", "GroupState", "Learned", "Noticed", "Output", "Published"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MEMORY = 1 / 32  # weight of a reading in the mean that tells whether a group is surprised
LOUDEST = 8.0  # what one reading adds to that mean at most: it takes four in a row to surprise
FIRST_FRAMES = 64  # readings, or twice the frame's size: then version 1 is published
SECOND = 4  # times as many: then version 2, if it has not come before
LASTING = 1024  # readings that a surprise lasts at least before it is how the group behaves
CALM = 0.8  # below it surprise ends; it starts above 1, and does not flicker in between
INTRODUCED = 32  # version 0 dictionaries remembered as sent, of readings not settled yet


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive readings of one group, with the same channels.

    Parameters
    ----------
    channels : tuple of str
    settled : bool
        Whether these are the group's channels for good; else nothing is learned.
    values : ndarray of float64, shape (B, C)
        NaN or infinite where missing.
    times : ndarray of float64, shape (B,)
        Seconds.
    offsets : ndarray of int64, shape (B,)
        Positions in the partition.
    """

    channels: tuple[str, ...]
    settled: bool
    values: Floats
    times: Floats
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """A version, learned from readings up to an offset; before the first code that names it."""

    version: Version
    offset: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that an operator wants to know, seen `count` times in a block."""

    kind: Literal["restart", "surprised", "calm", "accepted", "jump", "clock_ahead", "late"]
    count: int = 1


Output = Codes | Published | Noticed


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a group with settled channels has learned.

    Parameters
    ----------
    version : Version
        The published one.
    learner : AdaptiveState
        The dictionary in the making.
    scaling : Scaling
    recent : Recent
    pending : tuple of ndarray
        Rows that wait for their chunk to fill: deviations in float32, or values while in version 0.
    frames : int
        Rows seen.
    saved : float
        Bytes that the learner's dictionary would have saved since the version was published.
    restarts : int
        How often the learner had given its dictionary up when the version was published.
    """

    version: Version
    learner: AdaptiveState
    scaling: Scaling
    recent: Recent
    pending: tuple[npt.NDArray[np.floating], ...] = ()
    frames: int = 0
    saved: float = 0.0
    restarts: int = 0

    @property
    def waiting(self) -> int:
        """Rows in `pending`."""
        return sum(map(len, self.pending))


@dataclass(frozen=True, slots=True, eq=False)
class GroupState:
    """Everything a group carries from block to block; no history.

    Parameters
    ----------
    clock : EventClock
    learned : Learned or None
        None until the channels are settled.
    surprise : float
        Exponential mean of the readings' surprise.
    surprised_since : float or None
        Event time at which it rose above 1; None again once it falls below .8.
    surprised_at : int
        Readings that had come by then.
    introduced : tuple of str
        Ids of the version 0 dictionaries that were sent.
    """

    clock: EventClock = field(default_factory=EventClock)
    learned: Learned | None = None
    surprise: float = 0.0
    surprised_since: float | None = None
    surprised_at: int = 0
    introduced: tuple[str, ...] = ()

    @property
    def version(self) -> Version | None:
        """The published version."""
        return self.learned.version if self.learned else None

    @property
    def surprised(self) -> bool:
        """Whether the group behaves unlike its past."""
        return self.surprised_since is not None

    @property
    def frames(self) -> int:
        """Readings since the channels were settled."""
        return self.learned.frames if self.learned else 0


@dataclass(frozen=True, slots=True)
class GroupCoder:
    """The step of a group: code, learn at full chunks, publish when it pays.

    Parameters
    ----------
    rule : Rule
        How many atoms a reading gets.
    learner : Adaptive
        The parts of the learner.
    max_ahead : float
        How far ahead of its group a time stamp is believed at once, in seconds.
    accept_after : float
        Event time, in seconds, after which a surprised group's new behaviour is taken as its own;
        sooner where it has lasted longer than all that came before, and 1,024 readings.

    Examples
    --------
    The same readings give the same codes, however they are cut.

    >>> rng = np.random.default_rng(0)
    >>> values = rng.standard_normal((200, 2)) * [1.0, 0.1] @ np.array([[1.0, 1.0], [1.0, -1.0]])
    >>> def block(rows):
    ...     offsets = np.arange(200)[rows]
    ...     return Block(("a", "b"), True, values[rows], offsets * 1.0, offsets)
    >>> def decoded(cuts):
    ...     coder, state = GroupCoder(), GroupCoder().start()
    ...     for rows in cuts:
    ...         state, outputs = coder.step(state, block(rows))
    ...         for codes in outputs:
    ...             if isinstance(codes, Codes):
    ...                 for _, _, atoms, kept, missing, *_ in codes.rows():
    ...                     yield codes.version.decode(atoms, kept, missing)
    >>> whole = np.array(list(decoded([slice(0, 200)])))
    >>> cut = np.array(list(decoded([slice(0, 7), slice(7, 111), slice(111, 200)])))
    >>> bool(np.allclose(whole, cut, atol=1e-5))
    True

    and rebuild the readings: within .1 standard deviations, root mean square.

    >>> bool(np.sqrt((((whole - values) / values.std(axis=0)) ** 2).mean(axis=1)).max() < 0.12)
    True
    """

    rule: Rule = field(default_factory=Tolerance)
    learner: Adaptive = field(default_factory=Adaptive)
    max_ahead: float = 3600.0
    accept_after: float = 86400.0

    def start(self) -> GroupState:
        """Return the state of a group of which nothing was seen."""
        return GroupState()

    def step(self, state: GroupState, block: Block) -> tuple[GroupState, list[Output]]:
        """Code a block and learn from it; `state` stays as it was.

        Returns
        -------
        state : GroupState
        outputs : list of Codes, Published or Noticed
            In order: a dictionary stands before the first code that names it.
        """
        outputs: list[Output] = []
        if not block.settled:
            return self._pass_through(state, block, outputs), outputs
        if state.version is None or state.version.channels != block.channels:
            state = self._begin(state, block, outputs)
        first = 0
        while first < len(block):
            state, first = self._advance(state, block, first, outputs)
        return state, outputs

    def _pass_through(self, state: GroupState, block: Block, outputs: list[Output]) -> GroupState:
        """Code readings whose group has no settled channels with a version 0 of their own."""
        state, _ = self._tick(state, block.times, outputs)
        version = Version.zero(block.channels)
        state = _introduce(state, version, int(block.offsets[0]), outputs)
        outputs += encode(version, self.rule, block.values, block.offsets, block.times)
        return state

    def _begin(self, state: GroupState, block: Block, outputs: list[Output]) -> GroupState:
        """Start a group with these channels, anew if it had others."""
        if state.learned is not None:
            outputs.append(Noticed("restart"))
        version, n = Version.zero(block.channels), len(block.channels)
        learned = Learned(version, self.learner.start(n), Scaling.start(n), Recent.start(n))
        state = _introduce(state, version, int(block.offsets[0]), outputs)
        return replace(state, learned=learned, surprise=0.0, surprised_since=None)

    def _advance(
        self, state: GroupState, block: Block, first: int, outputs: list[Output]
    ) -> tuple[GroupState, int]:
        """Code rows from `first` on until the block ends or a chunk is full; then learn from it."""
        learned = _settled(state)
        size = chunk_size(len(block.channels), learned.frames - learned.waiting)
        last = min(len(block), first + size - learned.waiting)
        rows = slice(first, last)
        values, times = block.values[rows], block.times[rows]
        coded = encode(learned.version, self.rule, values, block.offsets[rows], times)
        outputs += coded
        state, nows = self._tick(state, times, outputs)
        state = self._feel(state, coded, nows, outputs)
        if learned.version.number:
            values = learned.version.standardise(values).astype(np.float32)
        learned = replace(
            learned, pending=(*learned.pending, values), frames=learned.frames + last - first
        )
        state = replace(state, learned=learned)
        if learned.waiting == size:
            state = self._learn(state, outputs)
            state = self._publish(state, int(block.offsets[last - 1]), outputs)
        return state, last

    def _tick(
        self, state: GroupState, times: Floats, outputs: list[Output]
    ) -> tuple[GroupState, list[float | None]]:
        """Move the group's clock, say which stamps did not, and what it showed at each reading."""
        ticks = state.clock.advance(times.tolist(), max_ahead=self.max_ahead)
        if ticks.ahead:
            outputs.append(Noticed("clock_ahead", ticks.ahead))
        if ticks.late:
            outputs.append(Noticed("late", ticks.late))
        return replace(state, clock=ticks.clock), ticks.nows

    def _feel(
        self,
        state: GroupState,
        coded: list[Codes],
        nows: list[float | None],
        outputs: list[Output],
    ) -> GroupState:
        """Take the readings' surprise into the group's mean, and say when it starts and ends."""
        mean, since, at = state.surprise, state.surprised_since, state.surprised_at
        surprises = [surprise for codes in coded for surprise in codes.surprises.tolist()]
        for row, surprise in enumerate(surprises):
            if isnan(surprise):  # it cannot be told
                continue
            mean += MEMORY * (min(surprise, LOUDEST) - mean)
            if since is None and mean > 1:
                now = nows[row]
                since, at = inf if now is None else now, state.frames + row
                outputs.append(Noticed("surprised"))
            elif since is not None and mean < CALM:
                since = None
                outputs.append(Noticed("calm"))
        return replace(state, surprise=mean, surprised_since=since, surprised_at=at)

    def _learn(self, state: GroupState, outputs: list[Output]) -> GroupState:
        """Take a full chunk into the learner, after judging both dictionaries by it."""
        learned = _settled(state)
        version = learned.version
        rows = np.concatenate(learned.pending)
        Y = version.restore(rows) if version.number else rows
        scaling = learned.scaling if learned.scaling.seen.any() else learned.scaling.update(Y)
        U, present = _clipped(standardise(Y, scaling.mean, scaling.scale))
        left = left_by_atoms(U, learned.learner.dictionary, present)
        saved = 0.0
        if version.number and not _held(state):
            published = left_by_atoms(_clipped(rows)[0], version.dictionary, present)
            fewer = atoms_within(published, self.rule) - atoms_within(left, self.rule)
            saved = max(0.0, learned.saved + fewer * _price(version).atom)
        learner = self.learner.step(learned.learner, U)
        if learner.restarts > learned.learner.restarts:
            outputs.append(Noticed("jump"))
        learned = replace(
            learned, saved=saved, pending=(), recent=learned.recent.update(left),
            learner=learner, scaling=learned.scaling.update(Y),
        )  # fmt: skip
        return replace(state, learned=learned)

    def _publish(self, state: GroupState, offset: int, outputs: list[Output]) -> GroupState:
        """Publish the learner's dictionary when it is due."""
        learned = _settled(state)
        version = learned.version
        accepted = self._accepted(state)
        if not (accepted or _guessing(learned) or learned.saved > _price(version).dictionary):
            return state
        usual = learned.recent.usual
        version = Version(
            version.number + 1, version.channels, version.window, learned.scaling.mean,
            learned.scaling.scale, learned.learner.dictionary, usual, learned.recent.limit(usual),
            restart=version.number == 0 or learned.learner.restarts > learned.restarts,
        )  # fmt: skip
        outputs.append(Published(version, offset))
        learned = replace(learned, version=version, saved=0.0, restarts=learned.learner.restarts)
        state = replace(state, learned=learned)
        if not accepted:
            return state
        outputs.append(Noticed("accepted"))
        return replace(state, surprise=0.0, surprised_since=None)

    def _accepted(self, state: GroupState) -> bool:
        """Whether the group has been surprised for so long that this is how it behaves now.

        For `accept_after`, or for longer than all that came before: a young group's limit rests on
        few readings, and would otherwise be held against it for a whole day.
        """
        now, since = state.clock.now, state.surprised_since
        if since is None or now is None:
            return False
        lasted = state.frames - state.surprised_at
        return now - since >= self.accept_after or lasted >= max(state.surprised_at, LASTING)


def _guessing(learned: Learned) -> bool:
    """Whether the version is a guess that has served its time, and a new one is due anyway.

    Version 1 brings a scale as soon as there is one; version 2 brings a usual number and a limit
    that rest on a learned dictionary, also where no byte is saved any more.
    """
    first = max(2 * len(learned.learner.dictionary), FIRST_FRAMES)
    due = {0: first, 1: SECOND * first}
    return learned.frames >= due.get(learned.version.number, np.inf)


def _held(state: GroupState) -> bool:
    """Whether surprise keeps new versions back; at version 1, a first guess, it does not."""
    version = state.version
    return state.surprised and version is not None and version.number > 1


def _price(version: Version) -> Pricing:
    return Pricing.json(version.channels, version.window)


def _settled(state: GroupState) -> Learned:
    if state.learned is None:
        msg = "group state: expected settled channels, got none; send a settled block first"
        raise ValueFault(msg)
    return state.learned


def _introduce(
    state: GroupState, version: Version, offset: int, outputs: list[Output]
) -> GroupState:
    """Publish a version 0 before the first code that names it."""
    if version.id in state.introduced:
        return state
    outputs.append(Published(version, offset))
    return replace(state, introduced=(*state.introduced[1 - INTRODUCED :], version.id))


def _clipped(
    U: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Rows to learn from: 0 where missing, clipped; and what was present."""
    present = np.isfinite(U)
    return np.clip(np.where(present, U, 0), -CLIP, CLIP).astype(np.float32), present
