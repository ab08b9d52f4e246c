"""Which channels a group has: given, or what its first readings agree on.

Decided reading by reading, before anything is coded, from the readings alone: a file and a topic,
read once or again, lead to the same channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from struct import Struct, error

__all__ = ["AGREEING", "ANEW_AFTER", "ChannelPlan", "Refusal", "Row"]

AGREEING = 20  # consecutive readings with the same channels settle a group
UNDECIDED = 200  # readings after which a group that never agrees settles on what it has shown
ANEW_AFTER = 100  # consecutive lists of one other length start a group anew

Values = Sequence[float | None] | Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A reading laid out by channel.

    Parameters
    ----------
    channels : tuple of str
        The names, one a value.
    packed : bytes
        One little-endian float64 a channel, NaN where missing.
    unknown : tuple of str
        Channels of the reading that the group does not have; their values are left out.
    settled : bool
        Whether these are the group's channels, or only this reading's own.
    """

    channels: tuple[str, ...]
    packed: bytes
    unknown: tuple[str, ...] = ()
    settled: bool = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that does not fit its group: a dead letter with this reason."""

    reason: str
    detail: str


@dataclass(slots=True)
class ChannelPlan:
    """The channels of one group, and how its readings are laid out by them.

    Parameters
    ----------
    names : tuple of str
        The channels, when the settings name them; empty: found from the readings.
    grow : int
        So many consecutive readings with an unknown channel start the group anew with it; 0: never.
    max_frame : int
        The largest number of channels.

    Examples
    --------
    Twenty readings that agree settle a group; then an absent channel is a missing value.

    >>> plan = ChannelPlan()
    >>> [plan.admit({"flow": 1.0, "speed": 2.0}).settled for _ in range(20)].count(True)
    1
    >>> plan.admit({"speed": 2.5}).channels
    ('flow', 'speed')
    """

    names: tuple[str, ...] = ()
    grow: int = 0
    max_frame: int = 256
    settled: tuple[str, ...] = ()
    listed: bool = False
    candidate: tuple[str, ...] = ()
    agreeing: int = 0
    undecided: int = 0
    other_length: int = 0
    misfits: int = 0
    growing: int = 0
    _layout: Struct = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.names and not self.settled:
            self._settle(self.names, listed=True)
        self._layout = Struct(f"<{len(self.settled)}d")

    def admit(self, values: Values) -> Row | Refusal:
        """Lay one reading out by channel, and learn from it what the group's channels are."""
        if isinstance(values, Mapping):
            return self._admit_named(values)
        if self.settled and self.listed:
            try:
                packed = self._layout.pack(*values)
            except (error, OverflowError):
                return self._admit_list(values)
            self.misfits = 0
            return Row(self.settled, packed, settled=True)
        return self._admit_list(values)

    def admit_some(self, values: Mapping[str, float | None]) -> Row | Refusal:
        """Lay out a reading of some channels: those that are absent may come with the next one.

        Here a group is settled by twenty consecutive readings without a channel that is new.

        Examples
        --------
        >>> plan = ChannelPlan()
        >>> plan.admit_some({"flow": 1.0}).channels, plan.admit_some({"speed": 2.0}).channels
        (('flow',), ('flow', 'speed'))
        """
        if self.settled:
            return self._admit_named(values)
        fresh = tuple(name for name in values if name not in self.candidate)
        channels = self.candidate + fresh
        if len(channels) > self.max_frame:
            return self._too_many(len(channels))
        self.undecided += 1
        self.candidate, self.agreeing = channels, 1 if fresh else self.agreeing + 1
        settled = self.agreeing >= AGREEING or self.undecided >= UNDECIDED
        if settled:
            self._settle(channels, listed=False)
        return Row(channels, _pack([values.get(name) for name in channels]), settled=settled)

    def suppose(self, channels: tuple[str, ...]) -> None:
        """Settle on what were the group's channels before, where nothing else is settled.

        Examples
        --------
        >>> plan = ChannelPlan()
        >>> plan.suppose(("flow", "speed"))
        >>> plan.admit({"speed": 2.5}).channels
        ('flow', 'speed')
        """
        if channels and not self.settled and len(channels) <= self.max_frame:
            self._settle(channels, listed=channels == tuple(map(str, range(len(channels)))))

    def snapshot(self) -> tuple[object, ...]:
        """Everything decided so far, as plain values."""
        return (self.settled, self.listed, self.candidate, self.agreeing, self.undecided,
                self.other_length, self.misfits, self.growing)  # fmt: skip

    @classmethod
    def restore(
        cls,
        snapshot: tuple[object, ...],
        *,
        names: tuple[str, ...] = (),
        grow: int = 0,
        max_frame: int = 256,
    ) -> "ChannelPlan":
        """Go on from a snapshot; channels named by the settings win over it."""
        plan = cls(names, grow, max_frame)
        if not names:
            (plan.settled, plan.listed, plan.candidate, plan.agreeing, plan.undecided,
             plan.other_length, plan.misfits, plan.growing) = snapshot  # type: ignore[assignment]  # fmt: skip
            plan._layout = Struct(f"<{len(plan.settled)}d")
        return plan

    def _admit_list(self, values: Sequence[float | None]) -> Row | Refusal:
        if len(values) > self.max_frame:
            return self._too_many(len(values))
        if not self.settled:
            return self._undecided(tuple(map(str, range(len(values)))), values, listed=True)
        if not self.listed:
            return Refusal("channel", "expected named channels, got a list of values")
        if len(values) == len(self.settled):
            self.misfits = 0
            return Row(self.settled, _pack(values), settled=True)
        return self._other_length(values)

    def _other_length(self, values: Sequence[float | None]) -> Row | Refusal:
        length = len(values)
        self.misfits = self.misfits + 1 if length == self.other_length else 1
        self.other_length = length
        if self.misfits < ANEW_AFTER or self.names:
            return Refusal("length", f"expected {len(self.settled)} values, got {length}")
        self._settle(tuple(map(str, range(length))), listed=True)
        return Row(self.settled, _pack(values), settled=True)

    def _admit_named(self, values: Mapping[str, float | None]) -> Row | Refusal:
        if not self.settled:
            if len(values) > self.max_frame:
                return self._too_many(len(values))
            return self._undecided(tuple(values), tuple(values.values()), listed=False)
        row = tuple(map(values.get, self.settled))
        absent = row.count(None)
        unknown: tuple[str, ...] = ()
        if len(values) > len(row) - absent:
            unknown = tuple(name for name in values if name not in self.settled)
        if not unknown:
            self.growing = 0
        elif self._grown(unknown):
            return self._admit_named(values)
        if len(unknown) == len(values):
            return Refusal("channel", f"none of the group's channels: {', '.join(unknown)[:200]}")
        return Row(self.settled, _pack(row), unknown, settled=True)

    def _grown(self, unknown: tuple[str, ...]) -> bool:
        self.growing += 1
        together = self.settled + unknown
        if not self.grow or self.growing < self.grow or len(together) > self.max_frame:
            return False
        self._settle(together, listed=self.listed)
        return True

    def _undecided(
        self, channels: tuple[str, ...], values: Sequence[float | None], *, listed: bool
    ) -> Row:
        self.undecided += 1
        if self.candidate and set(channels) == set(self.candidate):
            self.agreeing += 1
        else:
            self.candidate, self.agreeing = channels, 1
        if self.agreeing < AGREEING and self.undecided < UNDECIDED:
            return Row(channels, _pack(values), settled=False)
        by_name = dict(zip(channels, values, strict=True))
        self._settle(self.candidate, listed=listed)
        row = _pack([by_name[name] for name in self.settled])
        return Row(self.settled, row, settled=True)

    def _settle(self, channels: tuple[str, ...], *, listed: bool) -> None:
        self.settled, self.listed = channels, listed
        self._layout = Struct(f"<{len(channels)}d")
        self.misfits = self.growing = self.agreeing = self.undecided = 0

    def _too_many(self, count: int) -> Refusal:
        return Refusal("length", f"expected at most {self.max_frame} values, got {count}")


def _pack(values: Sequence[float | None]) -> bytes:
    numbers = [_number(value) for value in values]
    return Struct(f"<{len(numbers)}d").pack(*numbers)


def _number(value: float | None) -> float:
    """Return the value as a float; what is no finite float64 is missing."""
    if value is None:
        return nan
    try:
        number = float(value)
    except OverflowError:
        return nan
    return number if isfinite(number) else nan
