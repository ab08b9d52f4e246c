"""How much is measured, and what a section of the record has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.record import Bar

__all__ = ["FULL", "QUICK", "Plan", "Section"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Parameters
    ----------
    count : int
        Readings of the backlog.
    rounds : int
    rival_rounds : dict of str to int
        Rounds of the slow ones, at most; 0: left out.
    live_seconds : float
        At each rate.
    live_rounds : int
    many : int
        Groups of 16 channels in the section of groups.
    many_rate : int
        Their readings a second.
    """

    count: int
    rounds: int
    rival_rounds: Mapping[str, int]
    live_seconds: float
    live_rounds: int
    many: int
    many_rate: int


FULL = Plan(50_000, 5, {"quix": 3, "faust": 1}, 10.0, 2, 10_000, 10_000)
QUICK = Plan(10_000, 1, {"quix": 1, "faust": 0}, 2.0, 1, 1_000, 1_000)


@dataclass(frozen=True, slots=True)
class Section:
    """What was found.

    Parameters
    ----------
    bars : list of Bar
    results : dict
        As JSON has it.
    skipped : list of str
        What was left out, and why.
    """

    bars: list[Bar]
    results: dict[str, Any]
    skipped: list[str] = field(default_factory=list)
