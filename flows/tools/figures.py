"""Figures of a run, from the codes that were read: a line for each group, and the fleet's sums.

A line tells how a group is now (exponential means); the sums are over all codes, and the distance
to the planted dictionaries over the last quarter of the readings.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from flows.tools.fleet import Source
from flows.tools.ledger import Compared
from oodl.coding import Rule, Version
from oodl.distance import distance
from oodl.encoding import encode
from oodl.surprise import LOUDEST, MEMORY

__all__ = ["Figures", "GroupLine", "LastQuarter"]


class LastQuarter:
    """The last quarter of all values added, kept as runs of equal ones.

    Examples
    --------
    Of eight readings the last two count.

    >>> quarter = LastQuarter()
    >>> for value in (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.1):
    ...     quarter.add(value)
    >>> quarter.total()
    (0.6, 2)
    """

    def __init__(self) -> None:
        self._count = 0
        self._runs: deque[tuple[int, float]] = deque()  # (where it starts, value)

    def add(self, value: float) -> None:
        """Add a value after those so far."""
        if not self._runs or self._runs[-1][1] != value:
            self._runs.append((self._count, value))
        self._count += 1
        while len(self._runs) > 1 and self._runs[1][0] <= self._first:
            self._runs.popleft()

    def total(self) -> tuple[float, int]:
        """Return the sum over the last quarter, and how many values it has."""
        ends = [*[start for start, _ in self._runs][1:], self._count]
        sums = (
            value * (end - max(start, self._first))
            for (start, value), end in zip(self._runs, ends, strict=True)
        )
        return sum(sums), self._count - self._first

    @property
    def _first(self) -> int:
        return self._count * 3 // 4


@dataclass(slots=True)
class GroupLine:
    """What is known of a group: its version, and exponential means over about 32 readings.

    Attributes
    ----------
    readings, version : int
    error : float
        RMS of what was sent less what was decoded, in the version's units.
    surprise : float or None
        None while no version says what is usual.
    density : float
        Atoms a present value.
    distance : float or None
        Of the version to the planted dictionary, for the fleet.
    """

    readings: int = 0
    version: int = 0
    error: float = 0.0
    surprise: float | None = None
    density: float = 1.0
    distance: float | None = None


@dataclass(slots=True)
class Figures:
    """The figures so far, for one reader's thread; `groups` may be read by another.

    Parameters
    ----------
    fleet : mapping
        The simulated sources by group.
    rule : Rule
        How readings are coded; the identity is given the same rule.
    """

    fleet: Mapping[str, Source]
    rule: Rule
    groups: dict[str, GroupLine] = field(default_factory=dict)
    atoms: int = 0
    atoms_of_identity: int = 0
    present: int = 0
    _quarters: dict[str, LastQuarter] = field(default_factory=lambda: defaultdict(LastQuarter))
    _distances: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, compared: Iterable[Compared]) -> None:
        """Take in codes that were compared, a group's in their order."""
        by_version = sorted(compared, key=_group)  # stable: a group's readings stay in order
        for _, readings in groupby(by_version, key=lambda each: (_group(each), each.code.id)):
            run = list(readings)
            self._add_to_line(run)
            if run[0].code.group in self.fleet:
                self._add_to_fleet(run)

    @property
    def density(self) -> float | None:
        """Atoms sent a present value, over all of the fleet's codes."""
        return self.atoms / self.present if self.present else None

    @property
    def density_of_identity(self) -> float | None:
        """The same with the identity as dictionary, for the same readings and rule."""
        return self.atoms_of_identity / self.present if self.present else None

    @property
    def planted_distance(self) -> float | None:
        """Of the versions in force to the planted ones, mean over the last quarter of readings."""
        totals = [quarter.total() for quarter in self._quarters.values()]
        readings = sum(count for _, count in totals)
        return sum(distances for distances, _ in totals) / readings if readings else None

    def _add_to_line(self, run: list[Compared]) -> None:
        line = self.groups.setdefault(run[0].code.group, GroupLine())
        line.version = run[0].code.version
        line.readings += sum(len(each.code.times) for each in run)
        for each in run:
            present = max(1, int(np.isfinite(each.sent).sum()))
            line.error += MEMORY * (each.error - line.error)
            line.density += MEMORY * (len(each.code.atoms) / present - line.density)
            if each.code.surprise is not None:
                before = line.surprise or 0.0
                line.surprise = before + MEMORY * (min(each.code.surprise, LOUDEST) - before)

    def _add_to_fleet(self, run: list[Compared]) -> None:
        group, version = run[0].code.group, run[0].version
        self.present += sum(int(np.isfinite(each.sent).sum()) for each in run)
        self.atoms += sum(len(each.code.atoms) for each in run)
        self.atoms_of_identity += _atoms_of_identity(version, self.rule, run)
        apart = self._distance(group, version)
        self.groups[group].distance = apart
        for _ in run:
            self._quarters[group].add(apart)

    def _distance(self, group: str, version: Version) -> float:
        known, apart = self._distances.get(group, ("", 0.0))
        if known != version.id:
            apart = distance(version.exact, self.fleet[group].dictionary(version.channels))
            self._distances[group] = version.id, apart
        return apart


def _group(compared: Compared) -> str:
    return compared.code.group


def _atoms_of_identity(version: Version, rule: Rule, run: list[Compared]) -> int:
    """Count the atoms that these readings would take in the identity; version 0 is one."""
    if version.number == 0:
        return sum(len(each.code.atoms) for each in run)
    identity = replace(version, dictionary=np.eye(len(version.dictionary), dtype=np.float32))
    Y = np.array([each.sent for each in run])  # noqa: N806  (rows are readings, as in oodl)
    places = np.arange(len(run))
    coded = encode(identity, rule, Y, places, places.astype(np.float64))
    return sum(int(codes.ends[-1]) for codes in coded)
