r"""A version of a dictionary, and how readings are coded with it.

A reading y is standardised channel by channel, u = (y - mean) / scale, and projected, z = D'u.
The largest coefficients, rounded to a step, are its code. D is orthogonal, so what the others
would have added is the error: ``|u - D x|^2 = sum (z - x)^2``, and the fewest atoms within a
tolerance are found by sorting, without a search.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isnan
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oodl.errors import ValueFault
from oodl.scaling import FARTHEST, standardise

__all__ = [
    "TOLERANCE",
    "Atoms",
    "Codes",
    "Rule",
    "Tolerance",
    "Version",
    "encode",
    "left_by_atoms",
]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Missing = tuple[tuple[int, ...], ...]

TOLERANCE = 0.1  # deviations; the default, and by which dictionaries are compared
ERROR_DIGITS, SURPRISE_DIGITS = 5, 4  # what they are good to; more only makes codes longer
RESOLVED = 100.0  # deviations up to which sums in float32 are good to 1e-5


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

    def standardise(self, Y: Floats) -> Floats:
        """Rows in channel standard deviations, NaN where missing."""
        return standardise(Y, self.mean, self.scale)

    def restore(self, U: Array) -> Floats:
        """Undo `standardise`."""
        Y: Floats = self.mean + self.scale * U
        return Y

    def decode(
        self, atoms: "npt.ArrayLike", values: "npt.ArrayLike", missing: "npt.ArrayLike" = ()
    ) -> Floats:
        """Rebuild a reading from its code.

        Parameters
        ----------
        atoms : array_like of int
            Columns of the dictionary.
        values : array_like of float
            Their coefficients.
        missing : array_like of int
            Channels that the reading did not have.

        Returns
        -------
        ndarray of float64, shape (C,)
            In the units of the channels, NaN where missing.
        """
        chosen = self.exact[:, np.asarray(atoms, dtype=np.intp)]
        reading = self.restore(chosen @ np.asarray(values, dtype=np.float64))
        reading[np.asarray(missing, dtype=np.intp)] = np.nan
        return reading


class Rule(Protocol):
    """How many atoms a reading gets.

    It aims at an error, `tolerance`, in deviations, and coefficients are rounded to multiples of
    half of it; `bound` is the largest mean square error that a code may have.
    """

    @property
    def tolerance(self) -> float:
        """The error it aims at."""
        ...

    @property
    def bound(self) -> float:
        """The largest mean square error."""
        ...

    def count(self, left: Array) -> Ints:
        """Atoms to keep, given the mean square error after 0..N of them, shape (..., N + 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The fewest atoms within an error, in channel standard deviations.

    Parameters
    ----------
    tolerance : float
        Above 0.

    Raises
    ------
    ValueFault
        When it is not.

    Examples
    --------
    >>> int(Tolerance(0.1).count(np.array([0.5, 0.02, 0.009, 0.0])))
    2
    """

    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < np.inf:
            got = f"got {self.tolerance}; 0.1 suits most sensors"
            msg = f"tolerance: expected a finite number above 0, {got}"
            raise ValueFault(msg)

    @property
    def bound(self) -> float:
        """The tolerance squared, less some room for float32 and for a reader's own sum."""
        return self.tolerance**2 * (1 - 1e-4)

    def count(self, left: Array) -> Ints:
        """Return the first number of atoms within the tolerance."""
        counts: Ints = np.argmax(left <= self.bound, axis=-1)
        return counts


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
    >>> int(Atoms(8).count(np.array([0.5, 0.02, 0.0])))
    2
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
    def bound(self) -> float:
        """None but that of the numbers."""
        return float(np.finfo(np.float64).max)

    def count(self, left: Array) -> Ints:
        """Return `most`, or all there are."""
        return np.full(left.shape[:-1], min(self.most, left.shape[-1] - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Consecutive readings of one group, coded with one version.

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

    def __len__(self) -> int:
        return len(self.offsets)

    def rows(
        self,
    ) -> Iterator[tuple[int, float, list[int], list[float], tuple[int, ...], float, float | None]]:
        """Each reading as (offset, time, atoms, values, missing, error, surprise)."""
        atoms, values, start = self.atoms.tolist(), self.values.tolist(), 0
        for offset, time, end, missing, error, surprise in zip(
            self.offsets.tolist(), self.times.tolist(), self.ends.tolist(), self.missing,
            self.errors.tolist(), self.surprises.tolist(), strict=True,
        ):  # fmt: skip
            told = None if isnan(surprise) else surprise
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
        )  # fmt: skip


@dataclass(slots=True)
class _Ranked:
    """Coefficients by size: order, rounded values, and mean squares left by 0..N of them."""

    order: Ints
    values: Floats
    left: Array
    tail: Array  # the same with coefficients not rounded
    energies: Array


def encode(version: Version, rule: Rule, Y: Floats, offsets: Ints, times: Floats) -> list[Codes]:
    """Code readings of one group.

    Rows come back in order. A reading that the version cannot hold within the rule's bound, since
    float numbers end (values millions of deviations away), is coded exactly with version 0 of the
    same channels, and judged by `version` all the same.

    Parameters
    ----------
    version : Version
    rule : Rule
    Y : ndarray of float64, shape (B, C)
        Readings, NaN or infinite where missing.
    offsets, times : ndarray, shape (B,)

    Returns
    -------
    list of Codes
        Runs of rows with one version each.

    Examples
    --------
    >>> readings = np.array([[1.0, 2.0], [np.nan, 3.0]])
    >>> codes, = encode(Version.zero(("a", "b")), Tolerance(), readings, np.arange(2), np.zeros(2))
    >>> [(atoms, values, missing) for _, _, atoms, values, missing, _, _ in codes.rows()]
    [([0, 1], [1.0, 2.0], ()), ([1], [3.0], (0,))]
    """
    present = np.isfinite(Y)
    missing = _missing(present)
    if version.number == 0:
        return [_exact(version, Y, present, missing, offsets, times)]
    ranked, careful = _rank(version, rule, Y, present)
    counts = rule.count(ranked.left)
    rows = np.arange(len(Y))
    squares = ranked.left[rows, counts]
    errors = np.sqrt(squares.astype(np.float64)).round(ERROR_DIGITS)
    left = np.sqrt(ranked.tail[rows, version.usual].astype(np.float64))
    surprises = np.round(left / version.limit, SURPRISE_DIGITS)
    surprises[~present.any(axis=1)] = np.nan
    kept = (np.arange(Y.shape[1]) < counts[:, None]) & (ranked.values != 0)
    codes = Codes(
        version, offsets, times, np.cumsum(kept.sum(axis=1)), ranked.order[kept],
        ranked.values[kept], missing, errors, surprises,
        ranked.energies.astype(np.float64),
    )  # fmt: skip
    if not careful.size or (held := squares <= rule.bound).all():
        return [codes]
    exact = _exact(Version.zero(version.channels), Y, present, missing, offsets, times)
    exact.surprises[:] = surprises
    edges = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(Y)]
    return [(codes if held[start] else exact).part(start, stop) for start, stop in pairwise(edges)]


def left_by_atoms(U: Array, D: Array, present: npt.NDArray[np.bool_]) -> Array:
    """Mean square left by the 0..N largest coefficients of each row.

    Parameters
    ----------
    U : ndarray, shape (B, N)
        Standardised readings, 0 where missing.
    D : ndarray, shape (N, N)
    present : ndarray of bool, shape (B, N)

    Returns
    -------
    ndarray, shape (B, N + 1)
    """
    left: Array = _tail(np.sort((U @ D) ** 2, axis=1)[:, ::-1]) / _counted(present)
    return left


def _tail(squares: Array) -> Array:
    """Sum of what comes after the first 0..N columns, small ones added first."""
    tail = np.zeros((len(squares), squares.shape[1] + 1), dtype=squares.dtype)
    np.cumsum(squares[:, ::-1], axis=1, out=tail[:, 1:])
    backwards: Array = tail[:, ::-1]
    return backwards


def _counted(present: npt.NDArray[np.bool_]) -> Array:
    counted: Array = np.maximum(present.sum(axis=1, keepdims=True, dtype=np.float32), 1)
    return counted


def _rank(
    version: Version, rule: Rule, Y: Floats, present: npt.NDArray[np.bool_]
) -> tuple[_Ranked, Ints]:
    U = version.standardise(Y)
    whole = bool(present.all())
    if not whole:
        U[~present] = 0
    careful = np.flatnonzero((np.abs(U) > RESOLVED).any(axis=1) | ~present.all(axis=1))
    U32 = U.astype(np.float32)
    Z = U32 @ version.dictionary
    order = np.argsort(-np.abs(Z), axis=1)
    Z = np.take_along_axis(Z, order, axis=1)
    values = _rounded(Z, rule)
    tail = _tail(Z * Z)
    left = tail.copy()
    left[:, 1:] += np.cumsum((Z - values.astype(np.float32)) ** 2, axis=1)
    counted = np.float32(Y.shape[1]) if whole else _counted(present)
    ranked = _Ranked(order, values, left / counted, tail / counted, np.einsum("ij,ij->i", U32, U32))
    for row in careful.tolist():
        _rank_carefully(version, rule, U[row], present[row], ranked, row)
    return ranked, careful


def _rank_carefully(
    version: Version,
    rule: Rule,
    u: Floats,
    present: npt.NDArray[np.bool_],
    ranked: _Ranked,
    row: int,
) -> None:
    """Measure the errors of one row channel by channel, in float64, over what is present."""
    z = u @ version.exact
    order = np.argsort(-np.abs(z))
    values = _rounded(z[order], rule)
    basis, target = version.exact[present][:, order], u[present]
    ranked.order[row], ranked.values[row] = order, values
    ranked.tail[row] = _mean_squares(target, basis * z[order])
    ranked.left[row] = _mean_squares(target, basis * values)
    if (np.abs(u) >= FARTHEST).any():
        ranked.left[row] = np.inf


def _rounded(Z: Array, rule: Rule) -> Floats:
    """Multiples of half the tolerance, written short."""
    step = rule.tolerance / 2
    values: Floats = np.round(np.rint(Z / Z.dtype.type(step)).astype(np.float64) * step, 9)
    return values


def _mean_squares(target: Floats, terms: Floats) -> Floats:
    """Mean square of what the first 0..N terms leave of the target; 0 when it is empty."""
    remainders = np.column_stack([target, target[:, None] - np.cumsum(terms, axis=1)])
    squares: Floats = (remainders**2).sum(axis=0) / max(len(target), 1)
    return squares


def _exact(
    version: Version,
    Y: Floats,
    present: npt.NDArray[np.bool_],
    missing: Missing,
    offsets: Ints,
    times: Floats,
) -> Codes:
    """The present values as they came: version 0."""
    nothing = np.zeros(len(Y))
    return Codes(
        version, offsets, times, np.cumsum(present.sum(axis=1)), np.nonzero(present)[1], Y[present],
        missing, nothing, np.full(len(Y), np.nan), nothing,
    )  # fmt: skip


def _missing(present: npt.NDArray[np.bool_]) -> Missing:
    if present.all():
        return ((),) * len(present)
    return tuple(tuple(np.flatnonzero(~row).tolist()) for row in present)
