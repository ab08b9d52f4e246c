"""Which channels a group has: given, or what its first readings agree on.

Decided reading by reading, before anything is coded, from the readings alone: a file and a topic,
read once or again, lead to the same channels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from operator import itemgetter
from struct import Struct, error

from oodl.packed import Kind, Packed

__all__ = ["AGREEING", "ANEW_AFTER", "ChannelPlan", "Refusal", "Row"]

AGREEING = 20  # consecutive readings with the same channels settle a group
UNDECIDED = 200  # readings after which a group that never agrees settles on what it has shown
ANEW_AFTER = 100  # consecutive lists of one other length start a group anew

Named = Mapping[str, float | None]
Values = Sequence[float | None] | Named | Packed
UNFIT = (error, OverflowError)  # what packing ends with where a number is missing or too large


@dataclass(slots=True)
class Row:
    """A reading laid out by channel, or several that came together.

    Not frozen: one is made for every reading, and that would take four times as long.

    Parameters
    ----------
    channels : tuple of str
        The names, one a value.
    packed : bytes
        One little-endian float a channel, NaN or infinite where missing.
    unknown : tuple of str
        Channels of the reading that the group does not have; their values are left out.
    settled : bool
        Whether these are the group's channels, or only this reading's own.
    kind : {"<f8", "<f4"}
        What stands in `packed` for a number.
    """

    channels: tuple[str, ...]
    packed: bytes
    unknown: tuple[str, ...] = ()
    settled: bool = field(kw_only=True)
    kind: Kind = "<f8"

    @property
    def count(self) -> int:
        """How many readings these are."""
        return len(self.packed) // (len(self.channels) * (4 if self.kind == "<f4" else 8))


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
    _ordered: Callable[[Named], Sequence[float | None]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.names and not self.settled:
            self._settle(self.names, listed=True)
        self._lay_out()

    def admit(self, values: Values) -> Row | Refusal:
        """Lay one reading out by channel, and learn from it what the group's channels are."""
        if isinstance(values, list) and self.listed:
            try:
                packed = self._layout.pack(*values)
            except UNFIT:
                return self._admit_list(values)
            self.misfits = 0
            return Row(self.settled, packed, settled=True)
        if isinstance(values, Packed):
            return self._admit_packed(values)
        if isinstance(values, Mapping):
            return self._admit_named(values)
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
            row = tuple(map(values.get, self.settled))
            if len(values) == len(row) and None not in row:
                self.growing = 0
                return Row(self.settled, self._layout.pack(*row), settled=True)
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

    def admit_many(self, values: Packed) -> list[Row] | Refusal:
        """Lay out readings that came together: all of them, or none.

        Examples
        --------
        >>> from array import array
        >>> many = Packed(array("d", range(60)).tobytes(), count=30)
        >>> [row.count for row in ChannelPlan().admit_many(many)]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10]
        """
        if len(values) > self.max_frame and not (values.names and self.settled):
            return self._too_many(len(values))
        laid: list[Row] = []
        if not self.settled:
            for reading in values.rows():
                named = dict(zip(values.names, reading, strict=True)) if values.names else reading
                row = self.admit(named)
                if isinstance(row, Refusal):
                    return row
                laid.append(row)
                if self.settled:
                    break
            if len(laid) == values.count:
                return laid
            values = values.after(len(laid))
        row = self._admit_columns(values) if values.names else self._admit_packed(values)
        return row if isinstance(row, Refusal) else [*laid, row]

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
            plan._lay_out()
        return plan

    def _admit_packed(self, values: Packed) -> Row | Refusal:
        """Lay out readings without names; several only where channels are settled."""
        width = len(values)
        if not (self.settled and self.listed):
            return self._admit_list(values.rows()[0])
        if width != len(self.settled):
            if width > self.max_frame:
                return self._too_many(width)
            refusal = self._other_length(width, values.count)
            if refusal is not None:
                return refusal
        self.misfits = 0
        return Row(self.settled, values.data, (), settled=True, kind=values.kind)

    def _admit_columns(self, values: Packed) -> Row | Refusal:
        """Lay out named readings that came together, where channels are settled."""
        unknown = tuple(name for name in values.names if name not in self.settled)
        if not unknown:
            self.growing = 0
        else:
            self._grown(unknown, values.count)
            unknown = tuple(name for name in unknown if name not in self.settled)
        if len(unknown) == len(values.names):
            return _none_known(unknown)
        places = {name: place for place, name in enumerate(values.names)}
        laid = values.laid([places.get(name) for name in self.settled])
        return Row(self.settled, laid, unknown, settled=True, kind=values.kind)

    def _admit_list(self, values: Sequence[float | None]) -> Row | Refusal:
        if len(values) > self.max_frame:
            return self._too_many(len(values))
        if not self.settled:
            return self._undecided(tuple(map(str, range(len(values)))), values, listed=True)
        if not self.listed:
            return Refusal("channel", "expected named channels, got a list of values")
        if len(values) != len(self.settled):
            refusal = self._other_length(len(values))
            if refusal is not None:
                return refusal
        self.misfits = 0
        return Row(self.settled, _pack(values), settled=True)

    def _other_length(self, length: int, count: int = 1) -> Refusal | None:
        """Refuse lists of another length, until they start the group anew."""
        self.misfits = self.misfits + count if length == self.other_length else count
        self.other_length = length
        if self.misfits < ANEW_AFTER or self.names:
            return Refusal("length", f"expected {len(self.settled)} values, got {length}")
        self._settle(tuple(map(str, range(length))), listed=True)
        return None

    def _admit_named(self, values: Mapping[str, float | None]) -> Row | Refusal:
        if not self.settled:
            if len(values) > self.max_frame:
                return self._too_many(len(values))
            return self._undecided(tuple(values), tuple(values.values()), listed=False)
        try:
            packed = self._layout.pack(*self._ordered(values))
        except KeyError:
            return self._admit_partly(values)
        except UNFIT:
            packed = _pack([values[name] for name in self.settled])
        if len(values) > len(self.settled):
            return self._admit_partly(values)
        self.growing = 0
        return Row(self.settled, packed, settled=True)

    def _admit_partly(self, values: Mapping[str, float | None]) -> Row | Refusal:
        """Lay out a reading that lacks channels or has unknown ones."""
        unknown = tuple(name for name in values if name not in self.settled)
        if not unknown:
            self.growing = 0
        elif self._grown(unknown):
            return self._admit_named(values)
        if len(unknown) == len(values):
            return _none_known(unknown)
        row = _pack([values.get(name) for name in self.settled])
        return Row(self.settled, row, unknown, settled=True)

    def _grown(self, unknown: tuple[str, ...], count: int = 1) -> bool:
        self.growing += count
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
        self._lay_out()
        self.misfits = self.growing = self.agreeing = self.undecided = 0

    def _lay_out(self) -> None:
        """Prepare for rows of these channels; a single name would give no tuple."""
        names = self.settled
        self._layout = Struct(f"<{len(names)}d")
        self._ordered = itemgetter(*names) if len(names) > 1 else lambda values: [values[names[0]]]

    def _too_many(self, count: int) -> Refusal:
        return Refusal("length", f"expected at most {self.max_frame} values, got {count}")


def _none_known(unknown: tuple[str, ...]) -> Refusal:
    return Refusal("channel", f"none of the group's channels: {', '.join(unknown)[:200]}")


def _pack(values: Sequence[float | None]) -> bytes:
    layout = Struct(f"<{len(values)}d")
    try:
        return layout.pack(*[nan if value is None else value for value in values])
    except UNFIT:
        return layout.pack(*map(_number, values))


def _number(value: float | None) -> float:
    """Return the value as a float; what float64 does not have is missing."""
    if value is None:
        return nan
    try:
        return float(value)
    except OverflowError:
        return nan
