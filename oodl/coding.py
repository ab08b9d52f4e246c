"""A version of a dictionary, the rules that say how many atoms a reading gets, and its codes.

A code is exact about what it leaves out: with the version that it names it gives the reading back,
and its error says how far off that is. How codes are made is in `encoding`.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from oodl.block import Ragged
from oodl.errors import ValueFault
from oodl.scaling import LARGEST, standardise

__all__ = ["TOLERANCE", "Atoms", "Codes", "Missing", "Rule", "Tolerance", "Version"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Missing = tuple[tuple[int, ...], ...]

TOLERANCE = 0.1  # deviations; the default, and by which dictionaries are compared


@dataclass(frozen=True, eq=False)
class Version:
    """A published dictionary with all that decoding and judging need.

    Parameters
    ----------
    number : int
        0 for the identity, then counted up; for people.
    channels : tuple of str
        C names.
    window : int
        Readings a frame; N = C x window.
    mean, scale : ndarray of float64, shape (C,)
        What standardising takes off and divides by, in the units of the channels.
    dictionary : ndarray of float32, shape (N, N)
        Orthogonal, atoms in columns.
    usual : int
        How many atoms a frame usually takes.
    limit : float or None
        The RMS that the usual number of atoms seldom exceeds, in deviations; None in version 0.
    restart : bool
        Whether atoms mean something else than in the version before.

    Examples
    --------
    Version 0 is the identity: the values as they came.

    >>> version = Version.zero(("flow", "speed"))
    >>> version.decode([1], [0.1], missing=[0])
    array([nan, 0.1])

    The name follows from the content alone.

    >>> version.id == Version.zero(("flow", "speed")).id != Version.zero(("flow",)).id
    True
    """

    number: int
    channels: tuple[str, ...]
    window: int
    mean: Floats
    scale: Floats
    dictionary: npt.NDArray[np.float32]
    usual: int
    limit: float | None
    restart: bool = False

    @classmethod
    def zero(cls, channels: tuple[str, ...], window: int = 1) -> "Version":
        """Return version 0 of these channels: identity, mean 0, scale 1."""
        n = len(channels)
        identity = np.eye(n * window, dtype=np.float32)
        return cls(0, channels, window, np.zeros(n), np.ones(n), identity, 0, None)

    @cached_property
    def id(self) -> str:
        """The content's name: 16 hex digits of SHA-256.

        Over the UTF-8 JSON array [channels, window, usual, limit] without spaces, then mean and
        scale as little-endian float64, then D as little-endian float32, row by row.
        """
        head = [self.channels, self.window, self.usual, self.limit]
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(text.encode())
        for array, kind in ((self.mean, "<f8"), (self.scale, "<f8"), (self.dictionary, "<f4")):
            digest.update(np.ascontiguousarray(array, kind).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def exact(self) -> Floats:
        """The dictionary in float64."""
        return self.dictionary.astype(np.float64)

    @cached_property
    def notes(self) -> dict[str, Any]:
        """What others work out from this version once, and keep with it."""
        return {}

    def standardise(self, Y: Floats) -> Floats:
        """Rows in channel standard deviations, NaN where missing; readings, or frames of them."""
        rows = Y.reshape(-1, len(self.channels))
        return standardise(rows, self.mean, self.scale).reshape(Y.shape)

    def restore(self, U: Array) -> Floats:
        """Undo `standardise`."""
        Y: Floats = self.mean + self.scale * U.reshape(-1, len(self.channels))
        return Y.reshape(U.shape)

    def decode(
        self, atoms: "npt.ArrayLike", values: "npt.ArrayLike", missing: "npt.ArrayLike" = ()
    ) -> Floats:
        """Rebuild a frame from its code: a reading, or several one after another.

        Parameters
        ----------
        atoms : array_like of int
            Columns of the dictionary.
        values : array_like of float
            Their coefficients.
        missing : array_like of int
            What it did not have.

        Returns
        -------
        ndarray of float64, shape (N,)
            In the units of the channels, NaN where missing.
        """
        chosen = self.exact[:, np.asarray(atoms, dtype=np.intp)]
        reading = self.restore(chosen @ np.asarray(values, dtype=np.float64))
        reading[np.asarray(missing, dtype=np.intp)] = np.nan
        return reading


class Rule(Protocol):
    """How many atoms a reading gets: the fewest that leave no more than `aim`, or `most`.

    Coefficients are rounded to multiples of half the tolerance. A code never leaves more than
    `bound`: what would is coded exactly.
    """

    @property
    def tolerance(self) -> float:
        """The error it aims at, in deviations."""
        ...

    @property
    def aim(self) -> float:
        """The mean square error at which it takes no further atom."""
        ...

    @property
    def bound(self) -> float:
        """The largest mean square error."""
        ...

    @property
    def most(self) -> int:
        """The largest number of atoms."""
        ...


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The fewest atoms within an error, in channel standard deviations.

    Parameters
    ----------
    tolerance : float
        Above 0, and so that its square is a float64: from 1e-150 to 1e150.

    Raises
    ------
    ValueFault
        When it is not.

    Examples
    --------
    >>> Tolerance(0.1).aim < 0.1**2
    True
    """

    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 1 / LARGEST <= self.tolerance <= LARGEST:
            got = f"got {self.tolerance}; 0.1 suits most sensors"
            msg = f"tolerance: expected a finite number above 0, and so its square, {got}"
            raise ValueFault(msg)

    @property
    def aim(self) -> float:
        """The tolerance squared, less some room for float32 and for a reader's own sum."""
        return self.tolerance**2 * (1 - 1e-4)

    @property
    def bound(self) -> float:
        """The same."""
        return self.aim

    @property
    def most(self) -> int:
        """As many as there are."""
        return sys.maxsize


@dataclass(frozen=True, slots=True)
class Atoms:
    """The `most` largest coefficients, whatever the error.

    Parameters
    ----------
    most : int
        At least 1.

    Raises
    ------
    ValueFault
        When it is less.

    Examples
    --------
    >>> Atoms(8).aim, Atoms(8).most
    (0.0, 8)
    """

    most: int

    def __post_init__(self) -> None:
        if self.most < 1:
            msg = (
                f"atoms: expected at least 1, got {self.most}; tolerance chooses the number itself"
            )
            raise ValueFault(msg)

    @property
    def tolerance(self) -> float:
        """By which dictionaries are compared: the default one."""
        return TOLERANCE

    @property
    def aim(self) -> float:
        """No error is small enough."""
        return 0.0

    @property
    def bound(self) -> float:
        """None but that of the numbers."""
        return sys.float_info.max


@dataclass(slots=True, eq=False)
class Codes:
    """Consecutive rows of one group, readings or frames of them, coded with one version.

    Not frozen: one is made for every reading, and that would cost a tenth of coding it.
    Row i has ``atoms[ends[i-1]:ends[i]]`` with ``values`` alike, the largest first.

    Parameters
    ----------
    version : Version
    offsets : ndarray of int64, shape (B,)
        Positions in the partition.
    times : ndarray of float64, shape (B,)
        Seconds.
    ends : ndarray of int64, shape (B,)
    atoms : ndarray of int64, shape (M,)
    values : ndarray of float64, shape (M,)
    missing : tuple of tuple of int
        Absent channels, one tuple a row.
    errors : ndarray of float64, shape (B,)
        RMS over the present channels, in deviations.
    surprises : ndarray of float64, shape (B,)
        RMS left by the usual number of atoms over the limit; NaN where it cannot be told.
    energies : ndarray of float64, shape (B,)
        Sum of squares in deviations over the present channels; 0 in version 0.
    origins : Ragged, optional
        Positions of the messages that each row is made of; None where that is its own alone.
    moments : Ragged, optional
        Times of the readings of each row; None where rows are readings.
    places : ndarray of int64, shape (B,), optional
        Of frames, which reading of its message the first one is, -1 where that has no other.
    """

    version: Version
    offsets: Ints
    times: Floats
    ends: Ints
    atoms: Ints
    values: Floats
    missing: Missing
    errors: Floats
    surprises: Floats
    energies: Floats
    origins: Ragged | None = None
    moments: Ragged | None = None
    places: Ints | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def readings(self) -> int:
        """How many readings these are of."""
        return len(self.offsets) if self.moments is None else len(self.moments.flat)

    def rows(
        self,
    ) -> Iterator[tuple[int, float, list[int], list[float], tuple[int, ...], float, float | None]]:
        """Each reading as (offset, time, atoms, values, missing, error, surprise)."""
        atoms, values, start = self.atoms.tolist(), self.values.tolist(), 0
        for offset, time, end, missing, error, surprise in zip(
            self.offsets.tolist(), self.times.tolist(), self.ends.tolist(), self.missing,
            self.errors.tolist(), self.surprises.tolist(), strict=True,
        ):  # fmt: skip
            told = surprise if surprise == surprise else None  # NaN is not itself
            yield offset, time, atoms[start:end], values[start:end], missing, error, told
            start = end

    def part(self, start: int, stop: int) -> "Codes":
        """Return rows `start` to `stop`."""
        first = int(self.ends[start - 1]) if start else 0
        kept = slice(first, int(self.ends[stop - 1]))
        rows = slice(start, stop)
        return Codes(
            self.version, self.offsets[rows], self.times[rows], self.ends[rows] - first,
            self.atoms[kept], self.values[kept], self.missing[rows],
            self.errors[rows], self.surprises[rows], self.energies[rows],
            self.origins and self.origins.part(start, stop),
            self.moments and self.moments.part(start, stop),
            None if self.places is None else self.places[rows],
        )  # fmt: skip
