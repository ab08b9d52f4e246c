"""One group's readings in, codes and dictionaries out: `GroupCoder`, without any engine.

A reading is coded at once, with the published version; or with others, when their frame is
complete. Learning takes place when a chunk of frames is full, and a chunk's size follows from the
count of frames alone; so the codes do not depend on how the readings were cut into blocks, and a
replay gives the same ones.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt

from oodl.adaptive import Adaptive, AdaptiveState
from oodl.block import Block
from oodl.clock import EventClock, Ticks
from oodl.coding import Codes, Rule, Tolerance, Version
from oodl.encoding import encoder, left_by_atoms
from oodl.errors import ValueFault
from oodl.imputing import filled
from oodl.learner import chunk_size
from oodl.loops import turned
from oodl.publishing import Pricing, atoms_within
from oodl.recent import Recent
from oodl.scaling import Present, Scaling, clipped, standardise
from oodl.surprise import Surprise
from oodl.windows import MAX_GAP, close, frames

__all__ = ["Block", "GroupCoder", "GroupState", "Learned", "Noticed", "Output", "Published"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FIRST_FRAMES = 64  # or twice the frame's size: then version 1 is published
SECOND = 4  # times as many: then version 2, if it has not come before
LASTING = 1024  # frames that a surprise lasts at least before it is how the group behaves
INTRODUCED = 32  # version 0 dictionaries remembered as sent, of readings not settled yet
LATE, LATE_SHARE = 192, 64  # rows of a late chunk; a 64th of all before, as the learner's is
ENOUGH = 3072  # numbers of a chunk, from which on a longer one is hardly cheaper
JUDGED = 32  # rows of a chunk, about, by which two dictionaries are compared
PIECES = 16  # arrays of waiting rows at most: to pack one takes .7 us, to join 16 takes 3


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """A version, learned from readings up to an offset; before the first code that names it."""

    version: Version
    offset: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that an operator wants to know, seen `count` times in a block."""

    kind: Literal["restart", "surprised", "calm", "accepted", "jump", "clock_ahead", "late", "gap"]
    count: int = 1


Output = Codes | Published | Noticed


@dataclass(frozen=True, eq=False)
class Learned:
    """What a group with settled channels has learned; it changes at full chunks only.

    Parameters
    ----------
    version : Version
        The published one.
    learner : AdaptiveState
        The dictionary in the making.
    scaling : Scaling
    recent : Recent
    frames : int
        Rows learned from.
    saved : float
        Bytes that the learner's dictionary would have saved since the version was published.
    restarts : int
        How often the learner had given its dictionary up when the version was published.
    """

    version: Version
    learner: AdaptiveState
    scaling: Scaling
    recent: Recent
    frames: int = 0
    saved: float = 0.0
    restarts: int = 0

    @cached_property
    def chunk(self) -> int:
        """Rows of the chunk that fills.

        As many as the learner steps by, but where these are few numbers, late up to 192: else a
        chunk is calls, not arithmetic. After a restart the learner cuts them itself.
        """
        n, frames = len(self.version.dictionary), self.frames
        return max(chunk_size(n, frames), min(frames // LATE_SHARE, LATE, ENOUGH // n))


@dataclass(slots=True, eq=False)
class GroupState:
    """Everything a group carries from block to block; no history.

    Never written into, yet not frozen: one is made for every reading, and would take four times as
    long to make.

    Parameters
    ----------
    clock : EventClock
    learned : Learned or None
        None until the channels are settled.
    pending : tuple of ndarray
        Rows that wait for their chunk to fill: deviations in float32, or values while in version 0.
    waiting : int
        How many these are.
    mood : Surprise
    introduced : tuple of str
        Ids of the version 0 dictionaries that were sent.
    unfinished : Block or None
        Readings of a frame that is not full.
    """

    clock: EventClock = field(default_factory=EventClock)
    learned: Learned | None = None
    pending: tuple[Array, ...] = ()
    waiting: int = 0
    mood: Surprise = field(default_factory=Surprise)
    introduced: tuple[str, ...] = ()
    unfinished: Block | None = None

    @property
    def version(self) -> Version | None:
        """The published version."""
        return self.learned.version if self.learned else None

    @property
    def surprise(self) -> float:
        """Exponential mean of the readings' surprise."""
        return self.mood.mean

    @property
    def surprised(self) -> bool:
        """Whether the group behaves unlike its past."""
        return self.mood.since is not None

    @property
    def frames(self) -> int:
        """Frames since the channels were settled."""
        return self.learned.frames + self.waiting if self.learned else 0


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
        sooner where it has lasted longer than all that came before, and 1,024 frames.
    window : int
        Readings that are coded together, a frame.
    max_gap : float
        Seconds between readings beyond which a frame is closed early.

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
    window: int = 1
    max_gap: float = MAX_GAP

    def start(self) -> GroupState:
        """Return the state of a group of which nothing was seen."""
        return GroupState()

    def go_on(self, version: Version) -> GroupState:
        """Return the state of a group of which only the published version is left.

        Its readings are coded and judged by that one; what else was learned is learned anew, and
        the next version is a restart.
        """
        n, channels = len(version.dictionary), len(version.channels)
        learner = replace(self.learner.start(n, initial=version.dictionary), restarts=1)
        scaling, recent = Scaling.start(channels), Recent.start(n)
        return GroupState(learned=Learned(version, learner, scaling, recent))

    def step(self, state: GroupState, block: Block) -> tuple[GroupState, list[Output]]:
        """Code a block and learn from it; `state` stays as it was.

        Returns
        -------
        state : GroupState
        outputs : list of Codes, Published or Noticed
            In order: a dictionary stands before the first code that names it.
        """
        outputs: list[Output] = []
        if not len(block.offsets):
            return state, outputs
        learned, last = state.learned, 0
        fits = learned is not None and _has(learned.version, block.channels)
        if state.unfinished is not None and not (fits and block.settled):
            state = self._close(state, int(block.offsets[0]), outputs)
        ticks = self._tick(state, block, outputs)
        if not block.settled:
            return self._pass_through(state, block, ticks, outputs), outputs
        if not fits:
            state = self._begin(state, block, outputs)
        if self.window > 1:
            state, block, ticks = self._frame(state, block, ticks, outputs)
        while last < len(block.offsets):
            state, last = self._advance(state, block, ticks, last, outputs)
        return state, outputs

    def finish(
        self, state: GroupState, offset: int | None = None
    ) -> tuple[GroupState, list[Output]]:
        """Close a frame that is not full, where there is one: nothing comes any more.

        Parameters
        ----------
        state : GroupState
        offset : int, optional
            Position of what tells so; by default of the frame's last reading.
        """
        outputs: list[Output] = []
        if state.unfinished is None:
            return state, outputs
        return self._close(state, offset, outputs), outputs

    def _pass_through(
        self, state: GroupState, block: Block, ticks: Ticks, outputs: list[Output]
    ) -> GroupState:
        """Code readings whose group has no settled channels with a version 0 of their own."""
        version = Version.zero(block.channels)
        state = _introduce(state, version, int(block.offsets[0]), outputs)
        coded = encoder(version, self.rule)(block.values, block.offsets, block.times)[0]
        outputs += _traced(coded, block)
        return replace(state, clock=ticks.clock)

    def _begin(self, state: GroupState, block: Block, outputs: list[Output]) -> GroupState:
        """Start a group with these channels, anew if it had others."""
        if state.learned is not None:
            outputs.append(Noticed("restart"))
        channels = len(block.channels)
        version, n = Version.zero(block.channels, self.window), channels * self.window
        learned = Learned(version, self.learner.start(n), Scaling.start(channels), Recent.start(n))
        state = _introduce(state, version, int(block.offsets[0]), outputs)
        return GroupState(state.clock, learned, introduced=state.introduced)

    def _frame(
        self, state: GroupState, block: Block, ticks: Ticks, outputs: list[Output]
    ) -> tuple[GroupState, Block, Ticks]:
        """Make frames of readings: their block, and the group's time as each was closed."""
        nows = ticks.nows
        before = [state.clock.now, *nows[:-1]]
        made = frames(state.unfinished, block, before, window=self.window, max_gap=self.max_gap)
        if made.early:
            outputs.append(Noticed("gap", made.early))
        state = replace(state, clock=ticks.clock, unfinished=made.unfinished)
        return state, made.block, ticks._replace(nows=[nows[row] for row in made.rows])

    def _close(self, state: GroupState, offset: int | None, outputs: list[Output]) -> GroupState:
        """Code the frame that is not full."""
        if state.unfinished is None:
            return state
        frame = close(state.unfinished, _settled(state).version.window, offset)
        ticks = Ticks(state.clock, [state.clock.now], 0, 0)
        state = replace(state, unfinished=None)
        return self._advance(state, frame, ticks, 0, outputs)[0]

    def _advance(
        self, state: GroupState, block: Block, ticks: Ticks, first: int, outputs: list[Output]
    ) -> tuple[GroupState, int]:
        """Code rows from `first` on until the block ends or a chunk is full; then learn from it."""
        learned, waiting, nows = _settled(state), state.waiting, ticks.nows
        last = min(len(block.offsets), first + learned.chunk - waiting)
        if last - first < len(block.offsets):
            block, nows = block.part(first, last), nows[first:last]
        encode = encoder(learned.version, self.rule)
        coded, rows = encode(block.values, block.offsets, block.times)
        outputs += coded if block.origins is None else _traced(coded, block)
        mood, turns = state.mood.feel(_surprises(coded), nows, first=learned.frames + waiting)
        if turns:
            outputs += map(Noticed, turns)
        waiting += last - first
        pending = (*state.pending, rows)
        if len(pending) > PIECES:
            pending = (np.concatenate(pending),)
        state = GroupState(
            ticks.clock, learned, pending, waiting, mood, state.introduced, state.unfinished
        )
        if waiting == learned.chunk:
            state = self._learn(state, outputs)
            state = self._publish(state, int(block.offsets[-1]), nows[-1], outputs)
        return state, last

    def _tick(self, state: GroupState, block: Block, outputs: list[Output]) -> Ticks:
        """Say how readings move the group's clock, and which stamps do not."""
        ticks = state.clock.advance(block.times.tolist(), max_ahead=self.max_ahead)
        if ticks.ahead:
            outputs.append(Noticed("clock_ahead", ticks.ahead))
        if ticks.late:
            outputs.append(Noticed("late", ticks.late))
        return ticks

    def _learn(self, state: GroupState, outputs: list[Output]) -> GroupState:
        """Take a full chunk into the learner, after judging both dictionaries by it."""
        learned = _settled(state)
        version = learned.version
        rows = np.ascontiguousarray(np.concatenate(state.pending))  # whatever order blocks had
        present = _present(rows, version)
        U, scaling = _scaled_by_channel(rows, present, version, learned.scaling)
        U = _without_gaps(U, present, learned.learner.dictionary, version.usual)
        left = left_by_atoms(U, learned.learner.dictionary)
        saved = 0.0
        if version.number and not _held(state):
            each = max(1, len(rows) // JUDGED)
            fewer = _needed(rows, present, version, self.rule, each)
            fewer -= atoms_within(left[::each], self.rule)
            saved = max(0.0, learned.saved + each * fewer * _price(version).atom)
        learner = self.learner.step(learned.learner, U)
        if learner.restarts > learned.learner.restarts:
            outputs.append(Noticed("jump"))
        learned = Learned(
            version, learner, scaling, learned.recent.update(left), learned.frames + len(rows),
            saved, learned.restarts,
        )  # fmt: skip
        return GroupState(
            state.clock, learned, mood=state.mood, introduced=state.introduced,
            unfinished=state.unfinished,
        )  # fmt: skip

    def _publish(
        self, state: GroupState, offset: int, now: float | None, outputs: list[Output]
    ) -> GroupState:
        """Publish the learner's dictionary when it is due."""
        learned = _settled(state)
        version = learned.version
        accepted = self._accepted(state, now)
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
        if not accepted:
            return replace(state, learned=learned)
        outputs.append(Noticed("accepted"))
        return replace(state, learned=learned, mood=Surprise(at=state.mood.at))

    def _accepted(self, state: GroupState, now: float | None) -> bool:
        """Whether the group has been surprised for so long that this is how it behaves now.

        For `accept_after`, or for longer than all that came before: a young group's limit rests on
        few frames, and would otherwise be held against it for a whole day.
        """
        _, since, at = state.mood
        if since is None or now is None:
            return False
        return now - since >= self.accept_after or state.frames - at >= max(at, LASTING)


def _guessing(learned: Learned) -> bool:
    """Whether the version is a guess that has served its time, and a new one is due anyway.

    Version 1 brings a scale as soon as there is one; version 2 brings a usual number and a limit
    that rest on a learned dictionary, also where no byte is saved any more.
    """
    first = max(2 * len(learned.learner.dictionary), FIRST_FRAMES)
    due = {0: first, 1: SECOND * first}
    return learned.frames >= due.get(learned.version.number, np.inf)


def _needed(rows: Array, present: Present, version: Version, rule: Rule, each: int) -> int:
    """Atoms of the published version that every so-manieth row of a chunk needs."""
    if present is not None:
        present = present[::each]
    known = clipped(np.ascontiguousarray(rows[::each]), present)
    known = _without_gaps(known, present, version.dictionary, version.usual)
    return atoms_within(left_by_atoms(known, version.dictionary), rule)


def _held(state: GroupState) -> bool:
    """Whether surprise keeps new versions back; at version 1, a first guess, it does not."""
    version = state.version
    return state.surprised and version is not None and version.number > 1


def _price(version: Version) -> Pricing:
    return Pricing.json(version.channels, version.window)


def _has(version: Version, channels: tuple[str, ...]) -> bool:
    """Whether a version is of these channels; the same tuple is told without its names."""
    if version.notes.get("channels") is channels:
        return True
    fits = version.channels == channels
    if fits:
        version.notes["channels"] = channels
    return fits


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


def _surprises(coded: list[Codes]) -> list[float]:
    surprises: list[float] = coded[0].surprises.tolist()
    for codes in coded[1:]:
        surprises += codes.surprises.tolist()
    return surprises


def _traced(coded: list[Codes], block: Block) -> list[Codes]:
    """Tell codes what each row of their block is made of."""
    first = 0
    for codes in coded:
        last = first + len(codes)
        codes.origins = block.origins and block.origins.part(first, last)
        codes.moments = block.moments and block.moments.part(first, last)
        codes.places = None if block.places is None else block.places[first:last]
        first = last
    return coded


def _present(rows: Array, version: Version) -> Present:
    """Where rows have values, None where everywhere."""
    if version.number and isfinite(np.vdot(rows, rows)):
        return None
    return np.isfinite(rows)


def _without_gaps(U: Array, present: Present, D: Array, usual: int) -> Array:
    """Rows whose gaps are filled; zeros would teach that what is missing moves with nothing."""
    if present is None:
        return U
    gaps = ~present.all(axis=1)
    U[gaps] = filled(U[gaps], ~present[gaps], D, usual)
    return U


def _scaled_by_channel(
    rows: Array, present: Present, version: Version, scaling: Scaling
) -> tuple[Array, Scaling]:
    """The same as `_scaled` for frames: a channel has one mean and one scale in all of them."""
    if version.window == 1:
        return _scaled(rows, present, version, scaling)
    readings = -1, len(version.channels)
    of_readings = None if present is None else present.reshape(readings)
    U, scaling = _scaled(rows.reshape(readings), of_readings, version, scaling)
    return U.reshape(rows.shape), scaling


def _scaled(
    rows: Array, present: Present, version: Version, scaling: Scaling
) -> tuple[Array, Scaling]:
    """Rows to learn from, in deviations of what is known by now, and what is known after them."""
    if version.number and scaling.trusted:
        U = turned(rows, version.mean, version.scale, scaling.mean, scaling.scale)
        return clipped(U, present), scaling.learn(U)
    Y = version.restore(rows) if version.number else rows.astype(np.float64, copy=False)
    after = scaling.update(Y)
    known = scaling if scaling.seen.any() else after
    U = standardise(Y, known.mean, known.scale).astype(np.float32)
    return clipped(U, np.isfinite(U)), after
