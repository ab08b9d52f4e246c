"""One group's blocks in, what is to be written out: the engine's shell around `GroupCoder`.

State crosses a snapshot as one packed value, with the fingerprint of the settings it was learned
under. Where that has changed the group starts anew, which is an event. A group whose time is over
is forgotten, state and all; when it comes again it begins as any new one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, repeat

import numpy as np
from bytewax.operators import StatefulBatchLogic

from flows import events
from flows.events import Tally
from flows.health import keeping_failures
from flows.items import ALONE, Encoded, Expiry, GroupBlock
from flows.kafka import Output
from flows.settings import Settings
from flows.state import Packer, unpack
from flows.wire import encode_codes
from oodl.block import Block
from oodl.coding import Codes, Version
from oodl.stream import GroupCoder, GroupState, Noticed, Published
from oodl.stream import Output as StepOutput

__all__ = ["GroupLogic", "Steps"]


@dataclass(frozen=True, slots=True)
class Steps:
    """What the steps of all groups share: called by the engine with a group's snapshot, if any.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    remembered : callable
        Returns the last dictionary of a group that has no snapshot, if it is to go on with it.
    """

    settings: Settings
    tally: Tally
    remembered: Callable[[str], Version | None] = lambda _: None

    def __call__(
        self, resume: bytes | None
    ) -> StatefulBatchLogic[GroupBlock | Expiry, Encoded, bytes]:
        """Go on with a group, or begin with one; its name comes with its first block."""
        return GroupLogic(self, resume)

    def coder(self, group: str) -> GroupCoder:
        """Return the step of a group, as the settings have it."""
        own = self.settings.for_group(group)
        return GroupCoder(
            own.coding.rule,
            max_ahead=own.time.max_ahead,
            accept_after=own.time.accept_after,
            window=own.coding.window,
            max_gap=own.time.max_gap,
        )


class GroupLogic(StatefulBatchLogic[GroupBlock | Expiry, Encoded, bytes]):
    """The step of one group.

    Parameters
    ----------
    steps : Steps
    resume : bytes or None
        The group's last snapshot; read with the group's first block, which tells its name.
    """

    def __init__(self, steps: Steps, resume: bytes | None) -> None:
        self._steps, self._beats = steps, steps.tally.beats
        self._pack, self._packed = Packer(), resume
        self._group, self._fingerprint = "", steps.settings.fingerprint("")
        self._coder = GroupCoder()
        self._state: GroupState | None = None
        self._partitions: list[int] = []
        self._partition = -1

    @keeping_failures
    def on_batch(self, values: list[GroupBlock | Expiry]) -> tuple[Iterable[Encoded], bool]:
        """Code the blocks in order; the engine lets go of a group that was forgotten."""
        encoded = []
        for item in values:
            if isinstance(item, Expiry):
                encoded += self._expire(item)
                continue
            begun: list[StepOutput] = []
            state = self._state
            if state is None:
                state, begun = self._begin(item.group, int(item.block.offsets[0]))
            if item.partition not in self._partitions:
                self._meet(item.partition)
            if item.partition != self._partition:
                state = self._leave(state, encoded)
                self._partition = item.partition
            self._state, outputs = self._coder.step(state, self._placed(item))
            self._packed = None
            encoded.append(self._encode(item, begun + outputs))
        if self._state is None:
            return encoded, StatefulBatchLogic.DISCARD
        events.group_stepped(self._steps.tally, group=self._group, state=self._state)
        return encoded, StatefulBatchLogic.RETAIN

    @keeping_failures
    def snapshot(self) -> bytes:
        """Return the state as one value; the same one while no block has come."""
        self._beats.snap()
        if self._packed is None:
            state = self._state or self._coder.start()
            self._packed = self._pack(state, self._fingerprint)
            size = len(self._packed)
            events.group_held(self._steps.tally, group=self._group, state_bytes=size)
        return self._packed

    def _begin(self, group: str, offset: int) -> tuple[GroupState, list[StepOutput]]:
        """Go on from the snapshot; one learned under other settings only closes its last frame."""
        self._group, self._coder = group, self._steps.coder(group)
        self._fingerprint = self._steps.settings.fingerprint(group)
        if self._packed is None:
            events.group_begun(self._steps.tally, group=group)
            version = self._steps.remembered(group)
            return self._coder.start() if version is None else self._coder.go_on(version), []
        state, learned_under = unpack(self._packed)
        if learned_under == self._fingerprint:
            return state, []
        events.group_noticed(self._steps.tally, group=group, noticed=Noticed("restart"))
        return self._coder.start(), self._coder.finish(state, offset)[1]

    def _placed(self, item: GroupBlock) -> Block:
        """Return the block; frames have to know which readings of their messages they are of."""
        if self._coder.window == 1 or not item.rows:
            return item.block
        return replace(item.block, places=np.array(item.rows, np.int64))

    def _meet(self, partition: int) -> None:
        """Come from a partition for the first time; there should be no second one."""
        self._partitions.append(partition)
        if len(self._partitions) > 1:
            told = " and ".join(map(str, self._partitions))
            events.oddity(self._steps.tally, "second_partition", f"{self._group}: {told}")

    def _leave(self, state: GroupState, encoded: list[Encoded]) -> GroupState:
        """Close the frame of the partition before: a code names the positions of one alone."""
        if self._partition < 0 or state.unfinished is None:
            return state
        last = Expiry(self._group, self._partition, int(state.unfinished.offsets[-1]), -1.0)
        state, outputs = self._coder.finish(state)
        encoded.append(self._encode(last, outputs))
        return state

    def _expire(self, expiry: Expiry) -> list[Encoded]:
        """Forget the group, and code what is left of its last frame."""
        state, outputs = self._state, list[StepOutput]()
        if state is None and self._packed is not None:
            state, outputs = self._begin(expiry.group, expiry.offset)
        if state is not None:
            outputs += self._coder.finish(state, expiry.offset)[1]
        left = [self._encode(expiry, outputs)] if outputs else []
        self._state = self._packed = None
        events.group_expired(self._steps.tally, group=expiry.group)
        return left

    def _encode(self, item: GroupBlock | Expiry, outputs: list[StepOutput]) -> Encoded:
        encoded = Encoded(self._group, item.partition, [], [])
        stamps = repeat(item.stamp) if isinstance(item, Expiry) else iter(item.stamps)
        rows = _numbers(item)
        for output in outputs:
            match output:
                case Codes():
                    events.readings_coded(self._steps.tally, group=self._group, codes=output)
                    if output.moments is not None:
                        own, numbers = _closing(item, output), _firsts(output)
                    else:
                        own = stamps
                        numbers = None if rows is None else list(islice(rows, len(output)))
                    encoded.codes += self._messages(item.partition, output, own, numbers)
                case Published():
                    encoded.published.append(output)
                case Noticed():
                    events.group_noticed(self._steps.tally, group=self._group, noticed=output)
        return encoded

    def _messages(
        self, partition: int, codes: Codes, stamps: Iterator[float], rows: list[int | None] | None
    ) -> Iterator[Output]:
        """Write codes as messages, halving a block that would be too large for one."""
        settings = self._steps.settings
        values = encode_codes(self._group, partition, codes, settings.codes.layout, rows=rows or ())
        half, each = len(codes) // 2, len(codes) // len(values)
        if len(values) == 1 and half and len(values[0]) > settings.kafka.max_message_bytes:
            first, second = (None, None) if rows is None else (rows[:half], rows[half:])
            yield from self._messages(partition, codes.part(0, half), stamps, first)
            yield from self._messages(partition, codes.part(half, len(codes)), stamps, second)
            return
        topic, key, offsets = settings.topics.codes, self._group.encode(), codes.offsets.tolist()
        readings = [each] * len(values) if codes.moments is None else _readings(codes, each)
        if each == 1:
            for value, count, offset in zip(values, readings, offsets, strict=True):
                stamp = next(stamps)
                yield Output(topic, key, value, [], count, stamp, partition, offset, offset)
            return
        for place, value in enumerate(values):
            oldest, *_ = islice(stamps, each)
            first, last = offsets[place * each], offsets[(place + 1) * each - 1]
            yield Output(topic, key, value, [], readings[place], oldest, partition, first, last)


def _numbers(item: GroupBlock | Expiry) -> Iterator[int | None] | None:
    """Which reading of its message each row is; None where no message has several."""
    rows = item.rows if isinstance(item, GroupBlock) else []
    return (None if row == ALONE else row for row in rows) if rows else None


def _firsts(codes: Codes) -> list[int | None] | None:
    """Which reading of its message the first one of each frame is."""
    if codes.places is None:
        return None
    return [None if place == ALONE else place for place in codes.places.tolist()]


def _closing(item: GroupBlock | Expiry, codes: Codes) -> Iterator[float]:
    """Stamps of what has closed frames: up to then they could not be sent."""
    if isinstance(item, Expiry):
        return repeat(item.stamp)
    places = np.searchsorted(item.block.offsets, codes.offsets)
    return iter([item.stamps[place] for place in places.tolist()])


def _readings(codes: Codes, each: int) -> list[int]:
    """How many readings the messages of some frames have, so many frames a message."""
    counts = codes.moments.counts() if codes.moments is not None else np.ones(len(codes))
    return [int(counts[first : first + each].sum()) for first in range(0, len(codes), each)]
