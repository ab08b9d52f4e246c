"""What became of the readings of a group: how exact, how sparse and how usual their codes are."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oodl.coding import Codes
from oodl.surprise import LOUDEST, MEMORY

__all__ = ["Account", "Highest"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TENTHS = 10


class Highest(NamedTuple):
    """Where the running mean of a group's surprise was highest."""

    surprise: float
    offset: int
    time: float


@dataclass(slots=True)
class Account:
    """What became of the readings of a group.

    Parameters
    ----------
    channels : tuple of str
    rows : int
        Readings to come, known beforehand.

    Attributes
    ----------
    exact : int
        Readings coded with version 0, which have no error.
    squares, counts : ndarray, shape (C,)
        Square errors of the others, in the channels' own units, and how many values they are of.
    residual : float
        The same in deviations, over all channels.
    sums, told : ndarray, shape (10,)
        Surprise in each tenth, and how many readings could tell it.
    mean : float
        Running mean of the surprise, as `GroupCoder` keeps it.
    surprised : int
        Readings at which it was above 1.
    """

    channels: tuple[str, ...]
    rows: int
    readings: int = 0
    exact: int = 0
    present: int = 0
    atoms: int = 0
    versions: int = 0
    residual: float = 0.0
    squares: Floats = field(init=False)
    counts: Floats = field(init=False)
    sums: Floats = field(default_factory=lambda: np.zeros(TENTHS))
    told: Floats = field(default_factory=lambda: np.zeros(TENTHS))
    mean: float = 0.0
    surprised: int = 0
    highest: Highest | None = None
    text_bytes: int = 0
    json_bytes: int = 0
    code_bytes: int = 0
    dictionary_bytes: int = 0

    def __post_init__(self) -> None:
        self.squares, self.counts = np.zeros((2, len(self.channels)))

    @property
    def density(self) -> float:
        """Numbers kept a number that came."""
        return self.atoms / max(self.present, 1)

    @property
    def error(self) -> float | None:
        """RMS error in deviations; None while all is version 0."""
        values = self.counts.sum()
        return math.sqrt(self.residual / values) if values else None

    @property
    def channel_errors(self) -> dict[str, float | None]:
        """RMS error of each channel in its own unit."""
        return {
            name: math.sqrt(square / count) if count else None
            for name, square, count in zip(
                self.channels, self.squares.tolist(), self.counts.tolist(), strict=True
            )
        }

    @property
    def surprise(self) -> list[float | None]:
        """Mean surprise in each tenth of the readings."""
        pairs = zip(self.sums.tolist(), self.told.tolist(), strict=True)
        return [total / count if count else None for total, count in pairs]

    def coded(self, codes: Codes, values: Floats) -> None:
        """Take account of codes and of the values of the readings that they are of."""
        present = np.isfinite(values)
        if codes.version.number:
            off = np.where(present, _rebuilt(codes) - values, 0.0)
            self.squares += (off**2).sum(axis=0)
            self.counts += present.sum(axis=0)
            rows = np.repeat(codes.errors**2, _readings(codes))
            self.residual += float(rows @ present.sum(axis=1))
        else:
            self.exact += codes.readings
        self._feel(codes)
        self.readings += codes.readings
        self.present += int(present.sum())
        self.atoms += len(codes.atoms)

    def _feel(self, codes: Codes) -> None:
        counts = _readings(codes)
        tenths = (self.readings + np.cumsum(counts) - 1) * TENTHS // self.rows
        told = np.isfinite(codes.surprises)
        self.sums += np.bincount(tenths[told], codes.surprises[told], TENTHS)
        self.told += np.bincount(tenths[told], minlength=TENTHS)
        places = zip(codes.offsets[told].tolist(), codes.times[told].tolist(), strict=True)
        surprises = zip(codes.surprises[told].tolist(), counts[told].tolist(), strict=True)
        for (surprise, count), place in zip(surprises, places, strict=True):
            self.mean += MEMORY * (min(surprise, LOUDEST) - self.mean)
            self.surprised += count * (self.mean > 1)
            if self.highest is None or self.mean > self.highest.surprise:
                self.highest = Highest(self.mean, *place)


def _readings(codes: Codes) -> Ints:
    """How many readings each row is of."""
    return np.ones(len(codes), np.int64) if codes.moments is None else codes.moments.counts()


def _rebuilt(codes: Codes) -> Floats:
    """What the codes decode to, all readings at once."""
    version = codes.version
    X = np.zeros((len(codes), len(version.dictionary)))  # noqa: N806  (rows of codes)
    rows = np.repeat(np.arange(len(codes)), np.diff(codes.ends, prepend=0))
    X[rows, codes.atoms] = codes.values
    frames = version.restore(X @ version.dictionary.T)
    came = np.arange(version.window) < _readings(codes)[:, None]
    readings: Floats = frames.reshape(len(codes), version.window, -1)[came]
    return readings
