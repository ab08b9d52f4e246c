"""What the newest codes of a group say: how exact, how sparse and how usual its readings are."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan, sqrt
from typing import NamedTuple

from flows.wire import CodeMessage
from oodl.surprise import LOUDEST

__all__ = ["LAST", "Recent"]

LAST = 32  # codes that the means are over: as many as the pipeline's own mean of surprise reaches


class _Code(NamedTuple):
    """What is kept of a code; squares and surprise are NaN where there are none."""

    square: float
    surprise: float
    atoms: int
    absent: int
    readings: int
    id: str


@dataclass(slots=True)
class Recent:
    """The newest codes of a group, as they come.

    Attributes
    ----------
    readings : int
        How many came.
    id : str
        The dictionary of the newest one; "" before there is one.
    version : int
        The number of that.
    partition : int
        Where the readings come from.
    time : float
        Of the newest reading, by its own time, in seconds.

    Examples
    --------
    >>> recent = Recent()
    >>> for number, surprise in enumerate((0.5, 1.5)):
    ...     recent.add(CodeMessage(group="a", id="1f", version=1, partition=3, offset=number,
    ...         ts=7.0, atoms=[2], values=[1.0], missing=[0], error=0.1, surprise=surprise))
    >>> recent.surprise, round(recent.error, 3), recent.density({"1f": 5}), recent.partition
    (1.0, 0.1, 0.25, 3)
    """

    readings: int = 0
    id: str = ""
    version: int = 0
    partition: int = -1
    time: float = nan
    _codes: deque[_Code] = field(default_factory=lambda: deque(maxlen=LAST))

    def add(self, code: CodeMessage) -> None:
        """Take in a code that follows those so far."""
        self.id, self.version, self.partition = code.id, code.version, code.partition
        self.time = max(code.times) if self.time != self.time else max(self.time, *code.times)
        self.readings += len(code.times)
        self._codes.append(
            _Code(
                nan if code.error is None else code.error**2,
                nan if code.surprise is None else min(code.surprise, LOUDEST),
                len(code.atoms),
                len(code.missing),
                len(code.times),
                code.id,
            )
        )

    @property
    def error(self) -> float | None:
        """RMS error of the last codes, in channel standard deviations."""
        squares = [code.square for code in self._codes if code.square == code.square]
        return sqrt(sum(squares) / len(squares)) if squares else None

    @property
    def surprise(self) -> float | None:
        """Mean surprise of the last codes, None while none of them can tell."""
        told = self.surprises
        return sum(told) / len(told) if told else None

    @property
    def surprises(self) -> list[float]:
        """Surprise of each of the last codes that can tell."""
        return [code.surprise for code in self._codes if code.surprise == code.surprise]

    def density(self, sizes: Mapping[str, int], window: int = 1) -> float | None:
        """Atoms a present value, of the last codes whose dictionary is known.

        Parameters
        ----------
        sizes : mapping of str to int
            Numbers a frame, by the dictionary's id.
        window : int
            Readings a frame; of one with fewer the rest is absent.
        """
        known = [code for code in self._codes if code.id in sizes]
        present = sum(sizes[code.id] * code.readings // window - code.absent for code in known)
        return sum(code.atoms for code in known) / present if present > 0 else None
