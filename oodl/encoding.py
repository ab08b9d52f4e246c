r"""How readings become codes: standardised, projected, and cut where the error is small enough.

A reading y is standardised channel by channel, u = (y - mean) / scale, and projected, z = D'u.
The largest coefficients, rounded to a step, are its code. D is orthogonal, so what the others
would have added is the error: ``|u - D x|^2 = sum (z - x)^2``, and the fewest atoms within a
tolerance are found by sorting, without a search. Missing values are filled first (`imputing`); what
becomes of them is no error.

Most readings come alone, so one row has a way of its own, of as few calls as it takes; it gives
the same code as the way for many, but for rounding.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import floor, inf, log10, sqrt

import numpy as np
import numpy.typing as npt

from oodl.coding import Codes, Missing, Rule, Version
from oodl.imputing import filled
from oodl.scaling import FARTHEST, LARGEST

__all__ = ["Encoder", "encode", "encoder", "left_by_atoms"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ERRORS, SURPRISES = 1e5, 1e4  # their digits: what they are good to; more only makes codes longer
DIGITS = 9  # of a coefficient's text, after the point
FINEST = 4  # or digits of the step itself, where that is more
SLIP = 1e-6  # share of |u| by which float32 moves an error at most: in products 4e-7 up to N = 256,
# and as much by what keeps a learned dictionary from being orthogonal to the last bit
RESOLVED = 50.0  # deviations, RMS of a reading, up to which errors told in float32 hold to 1e-5
SLACK = 0.01  # of the tolerance, that float32 may cost at most
FITTING = 1e16  # deviations whose squares float32 can still add up
WIDEST = 128  # columns that a product with a triangle sums up in a third of the time of a loop
LARGEST_PIECE = 2**22  # numbers that rows with gaps may take at a time
NONE_MISSING: Missing = ((),)


class Multiples:
    """Multiples of a step, as they are written: as short as the step allows.

    Examples
    --------
    >>> Multiples(0.05).written(np.array([3.0, -7.0], np.float32))
    array([ 0.15, -0.35])
    """

    def __init__(self, step: float) -> None:
        digits = max(DIGITS, FINEST - floor(log10(step)))
        written = Fraction(round(step * 10**digits), 10**digits)
        self.inverse = np.array(1 / step, np.float32)
        self.square, self.least = step**2, (step / 2) ** 2
        self._whole = written.numerator == 1  # so that one division rounds to the shortest text
        self._numerator = np.array(written.numerator, np.float64)
        self._denominator = np.array(written.denominator, np.float64)

    def written(self, steps: Array) -> Floats:
        """Return so many steps, in float64."""
        if self._whole:
            whole: Floats = steps / self._denominator
            return whole
        parts: Floats = steps * self._numerator / self._denominator
        return parts


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
    >>> from oodl.coding import Tolerance
    >>> readings = np.array([[1.0, 2.0], [np.nan, 3.0]])
    >>> codes, = encode(Version.zero(("a", "b")), Tolerance(), readings, np.arange(2), np.zeros(2))
    >>> [(atoms, values, missing) for _, _, atoms, values, missing, _, _ in codes.rows()]
    [([0, 1], [1.0, 2.0], ()), ([1], [3.0], (0,))]
    """
    return encoder(version, rule)(Y, offsets, times)[0]


def encoder(version: Version, rule: Rule) -> "Encoder":
    """Return the encoder of a version, made once and kept with it."""
    known: Encoder | None = version.notes.get("encoder")
    if known is None or known.rule is not rule:
        known = version.notes["encoder"] = Encoder(version, rule)
    return known


class Encoder:
    """A version and a rule, laid out for coding.

    Parameters
    ----------
    version : Version
    rule : Rule

    Examples
    --------
    Beside the codes it gives the rows as the learner wants them: in deviations, float32.

    >>> from oodl.coding import Tolerance
    >>> turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    >>> version = Version(1, ("a", "b"), 1, np.full(2, 10.0), np.full(2, 2.0), turn, 1, 0.5)
    >>> (codes,), rows = Encoder(version, Tolerance())(
    ...     np.array([[16.0, 18.0]]), np.arange(1), np.zeros(1)
    ... )
    >>> codes.atoms, codes.values, rows
    (array([0]), array([5.]), array([[3., 4.]], dtype=float32))
    """

    def __init__(self, version: Version, rule: Rule) -> None:
        n = len(version.dictionary)
        self.version, self.rule, self._size = version, rule, n
        self._mean = np.tile(version.mean, version.window)
        self._dictionary = np.ascontiguousarray(version.dictionary)
        with np.errstate(divide="ignore", over="ignore"):
            self._inverse = np.tile(1 / version.scale, version.window)
        self._fitting = min(FITTING * float(version.scale.min()), LARGEST)
        self._resolved = n * min(RESOLVED, SLACK * rule.tolerance / SLIP) ** 2
        self._root = sqrt(rule.aim * n)
        self._most = min(rule.most, n)
        self._surprising = SURPRISES / (version.limit or inf)
        self._multiples = Multiples(rule.tolerance / 2)
        self._places, self._piece = np.arange(n), max(1, LARGEST_PIECE // n**2)

    def __call__(
        self, Y: Floats, offsets: Ints, times: Floats
    ) -> tuple[list[Codes], npt.NDArray[np.floating]]:
        """Code rows, and return them in deviations, NaN where missing; version 0: as they came."""
        if self.version.number == 0:
            present = np.isfinite(Y)
            return [_exact(self.version, Y, present, _missing(present), offsets, times)], Y
        if len(Y) == 1 and (found := self._one(Y, offsets, times)) is not None:
            return found
        return self._many(Y, offsets, times)

    def _one(
        self, Y: Floats, offsets: Ints, times: Floats
    ) -> tuple[list[Codes], npt.NDArray[np.floating]] | None:
        """Code one row with all its values; None where these are missing or too large for it."""
        u = Y[0] - self._mean
        if not np.vdot(u, u) < self._fitting * self._fitting:  # nor where one is missing
            return None
        row = (u * self._inverse).astype(np.float32)
        z = row.dot(self._dictionary)
        squares = z * z
        order = squares.argsort()
        squares = squares.take(order)
        sums = np.add.accumulate(squares).data
        energy = sums[-1]
        if not energy <= self._resolved:
            return None
        atoms, steps, left = self._cut(z, order, squares, sums)
        n, usual = self._size, self.version.usual
        told = sums[~usual] if usual < n else 0.0
        error = round(sqrt(left / n) * ERRORS) / ERRORS
        surprise = round(sqrt(told / n) * self._surprising) / SURPRISES
        codes = Codes(
            self.version, offsets, times, np.array((len(atoms),)), atoms,
            self._multiples.written(steps), NONE_MISSING, np.array((error,)),
            np.array((surprise,)), np.array((energy,)),
        )  # fmt: skip
        return [codes], row[None]

    def _cut(
        self, z: Array, order: Ints, squares: Array, sums: Sequence[float]
    ) -> tuple[Ints, Array, float]:
        """Atoms and steps that one row keeps, the largest first, and the square they leave."""
        n, most, step = self._size, self._most, self._multiples
        root = self._root - SLIP * sqrt(sums[-1])
        room = root * root if root > 0 else 0.0
        kept = min(n - bisect_right(sums, room), most)
        while True:  # once, but where rounding leaves too much: then one atom more, seldom two
            atoms = order[:~kept:-1]
            off = z.take(atoms) * step.inverse
            steps = np.rint(off)
            off -= steps
            left = float(off.dot(off)) * step.square + (sums[~kept] if kept < n else 0.0)
            if left <= room or kept == most or squares[~kept] <= step.least:
                break
            kept += 1
        if kept and steps.item(-1) == 0:
            kept = int(np.count_nonzero(steps))
            atoms, steps = atoms[:kept], steps[:kept]
        return atoms, steps, left

    def _many(
        self, Y: Floats, offsets: Ints, times: Floats
    ) -> tuple[list[Codes], npt.NDArray[np.floating]]:
        """Code rows together."""
        U = Y - self._mean
        if len(Y) and _within(U, self._fitting):
            rows = (U * self._inverse).astype(np.float32)
            energies = np.vecdot(rows, rows)
            if energies.max() <= self._resolved:
                chosen = self._choose(rows, energies)
                return [self._codes(chosen, offsets, times, NONE_MISSING * len(Y))], rows
        return self._mixed(Y, offsets, times)

    def _choose(self, rows: npt.NDArray[np.float32], energies: Array) -> "_Chosen":
        """Choose atoms for rows without gaps: what `_cut` does for one."""
        n, ranked = self._size, self._rank(rows)
        gains, lost = ranked.gains, ranked.lost
        spare = np.maximum(self._room(energies) - lost, 0)
        kept = gains[:, 1:] > spare[:, None]
        if self._most < n:
            kept[:, : n - self._most] = False
        counts = kept.sum(axis=1)
        left = gains.take(_starts(gains)[:, 0] + (n - counts))
        left += lost
        left *= self._multiples.square / n
        unusual = ranked.z[:, : max(n - self.version.usual, 0)]
        told = np.vecdot(unusual, unusual) / n
        return _Chosen(ranked.order, ranked.steps, kept, counts, left, told, energies)

    def _rank(self, rows: npt.NDArray[np.float32]) -> "_Ranked":
        """Sort coefficients by size, and round them."""
        z = rows.dot(self._dictionary)
        order = (z * z).argsort(axis=1)
        z = z.take(order + _starts(z))
        exact = z * self._multiples.inverse
        steps = np.rint(exact)
        off = exact - steps
        lost = np.vecdot(off, off)
        exact += off
        exact *= steps  # the square, less what its rounding loses
        return _Ranked(order, z, steps, _sums(exact), lost)

    def _room(self, energies: Array, share: Array | float = 1.0) -> Array:
        """What may be left of rows, or of a share of their channels, in squares of steps."""
        room = np.sqrt(energies)
        room *= -SLIP
        room += self._root * np.sqrt(share)
        np.maximum(room, 0, out=room)
        room *= room
        room /= self._multiples.square
        return room

    def _mixed(
        self, Y: Floats, offsets: Ints, times: Floats
    ) -> tuple[list[Codes], npt.NDArray[np.floating]]:
        """Code rows of which some have gaps, or need a closer look: large values, near the cut."""
        U = self.version.standardise(Y)
        present, rows = np.isfinite(U), U.astype(np.float32)
        known = np.where(present, rows, np.float32(0))
        energies = np.vecdot(known, known)
        large = energies > self._resolved
        gaps = ~(present.all(axis=1) | large)
        if gaps.all() and len(gaps) <= self._piece:
            chosen = self._choose_by_present(known, ~present, energies)
        else:
            chosen = self._choose_apart(known, present, energies, large=large, gaps=gaps)
        large |= gaps & (chosen.left > self.rule.bound)
        for row in np.flatnonzero(large).tolist():
            self._measure(U[row], present[row], chosen, row)
        codes = self._codes(chosen, offsets, times, _missing(present))
        codes.surprises[~present.any(axis=1)] = np.nan
        held = chosen.left <= self.rule.bound
        if held.all():
            return [codes], rows
        zero = Version.zero(self.version.channels, self.version.window)
        exact = _exact(zero, Y, present, codes.missing, offsets, times)
        exact.surprises[:] = codes.surprises
        edges = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(Y)]
        runs = [
            (codes if held[start] else exact).part(start, stop) for start, stop in pairwise(edges)
        ]
        return runs, rows

    def _choose_apart(
        self,
        known: npt.NDArray[np.float32],
        present: npt.NDArray[np.bool_],
        energies: Array,
        *,
        large: npt.NDArray[np.bool_],
        gaps: npt.NDArray[np.bool_],
    ) -> "_Chosen":
        """Choose atoms for rows with gaps and for rows without, but not for large ones."""
        chosen = _Chosen.empty(*known.shape)
        clear = ~(gaps | large)
        if clear.any():
            chosen.put(clear, self._choose(known[clear], energies[clear]))
        rows = gaps.nonzero()[0]
        for first in range(0, len(rows), self._piece):
            some = rows[first : first + self._piece]
            chosen.put(some, self._choose_by_present(known[some], ~present[some], energies[some]))
        return chosen

    def _choose_by_present(
        self, known: npt.NDArray[np.float32], absent: npt.NDArray[np.bool_], energies: Array
    ) -> "_Chosen":
        """Choose atoms for rows with gaps: these are filled, but do not count as error."""
        n, usual, step = self._size, self.version.usual, self._multiples
        rows = filled(known, absent, self._dictionary, usual)
        ranked = self._rank(rows)
        left = ranked.gains + ranked.lost[:, None]
        left -= self._in_gaps(rows, absent, ranked)
        counted = np.maximum(n - absent.sum(axis=1), 1)
        room = self._room(np.vecdot(rows, rows), counted / n)
        within = left <= room[:, None]
        dropped = np.where(within.any(axis=1), n - within[:, ::-1].argmax(axis=1), 0)
        nothing = (ranked.steps == 0).sum(axis=1)
        dropped = np.maximum(np.maximum(dropped, nothing), n - self._most)
        kept, largest = self._places >= dropped[:, None], self._places >= n - usual
        written = np.where(kept, ranked.steps / step.inverse, 0)
        off, unusual = (
            np.where(absent, 0, known - self._rebuilt(ranked.order, coefficients))
            for coefficients in (written, np.where(largest, ranked.z, 0))
        )
        return _Chosen(
            ranked.order, ranked.steps, kept, n - dropped, np.vecdot(off, off) / counted,
            np.vecdot(unusual, unusual) / counted, energies,
        )  # fmt: skip

    def _rebuilt(self, order: Ints, coefficients: Array) -> Array:
        """Rows from coefficients that stand in an order of their own."""
        z = np.empty_like(coefficients)
        z.reshape(-1)[order + _starts(order)] = coefficients
        rows: Array = z.dot(self._dictionary.T)
        return rows

    def _in_gaps(
        self, rows: npt.NDArray[np.float32], absent: npt.NDArray[np.bool_], ranked: "_Ranked"
    ) -> Array:
        """What is left in the gaps when the 0..N smallest are dropped, in squares of steps."""
        row, channel = absent.nonzero()
        weights = self._dictionary.take(channel[:, None] * self._size + ranked.order[row])
        weights *= ranked.steps[row]
        off = _sums(weights)
        off -= off[:, -1:]
        off += rows[row, channel, None] * self._multiples.inverse
        off *= off
        return np.add.reduceat(off, row.searchsorted(np.arange(len(rows))), axis=0)

    def _measure(
        self, u: Floats, present: npt.NDArray[np.bool_], chosen: "_Chosen", row: int
    ) -> None:
        """Choose atoms for one row by its errors channel by channel, in float64."""
        version, step, n = self.version, self._multiples, self._size
        target, absent = u[present], ~present[None]
        if len(target) < n:
            u = filled(np.where(absent, 0.0, u), absent, version.exact, version.usual)[0]
        z = u @ version.exact
        order = np.abs(z).argsort()
        steps = np.rint(z[order] / (self.rule.tolerance / 2))
        atoms = order[::-1]
        basis = version.exact[present][:, atoms]
        left = _left(target, basis * step.written(steps[::-1]))
        kept = int((left <= self.rule.aim).argmax()) if self.rule.aim else n
        kept = min(kept, self.rule.most, int(np.count_nonzero(steps)))
        far = (np.abs(target) >= FARTHEST).any()
        chosen.order[row], chosen.steps[row] = order, steps
        chosen.kept[row], chosen.counts[row] = self._places >= n - kept, kept
        chosen.left[row] = np.inf if far else left[kept]
        chosen.told[row] = _left(target, basis * z[atoms])[version.usual]
        chosen.energies[row] = target @ target

    def _codes(self, chosen: "_Chosen", offsets: Ints, times: Floats, missing: Missing) -> Codes:
        kept = chosen.kept[:, ::-1]
        errors = np.rint(np.sqrt(chosen.left, dtype=np.float64) * ERRORS) / ERRORS
        surprises = np.sqrt(chosen.told, dtype=np.float64) * self._surprising
        return Codes(
            self.version, offsets, times, chosen.counts.cumsum(), chosen.order[:, ::-1][kept],
            self._multiples.written(chosen.steps[:, ::-1][kept]), missing, errors,
            np.rint(surprises) / SURPRISES, chosen.energies.astype(np.float64),
        )  # fmt: skip


@dataclass(slots=True)
class _Ranked:
    """Coefficients of rows by size, the smallest first.

    Where they stand, they and their steps; in squares of steps what is left more when the 0..N
    smallest are dropped, and what rounding loses of all.
    """

    order: Ints
    z: Array
    steps: Array
    gains: Array
    lost: Array


@dataclass(slots=True)
class _Chosen:
    """What is chosen for rows.

    Atoms by size, the smallest first, with their steps; which of them are kept, and how many; the
    mean square that these leave, and that the usual number leaves; the energy.
    """

    order: Ints
    steps: Array
    kept: npt.NDArray[np.bool_]
    counts: Ints
    left: Array
    told: Array
    energies: Array

    @classmethod
    def empty(cls, rows: int, n: int) -> "_Chosen":
        """Room for so many rows, in float64."""
        places = np.empty((rows, n), np.int64)
        numbers = [np.empty(rows) for _ in range(3)]
        counts = np.empty(rows, np.int64)
        return cls(places, np.empty((rows, n)), np.empty((rows, n), np.bool_), counts, *numbers)

    def put(self, rows: npt.NDArray[np.bool_] | Ints, chosen: "_Chosen") -> None:
        """Take in what was chosen for some of the rows."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(chosen, field.name)


def left_by_atoms(U: Array, D: Array) -> Array:
    """Mean square left by the 0..N largest coefficients of each row.

    Parameters
    ----------
    U : ndarray, shape (B, N)
        Standardised readings without gaps.
    D : ndarray, shape (N, N)

    Returns
    -------
    ndarray, shape (B, N + 1)
    """
    squares = U @ D
    squares *= squares
    squares.sort(axis=1)
    left = _sums(squares)
    left /= U.shape[1]
    backwards: Array = left[:, ::-1]
    return backwards


def _sums(rows: Array) -> Array:
    """Sums of the first 0..N columns, shape (B, N + 1)."""
    n = rows.shape[1]
    if n <= WIDEST:
        product: Array = rows.dot(_triangle(n, rows.dtype))
        return product
    sums = np.zeros((len(rows), n + 1), rows.dtype)
    np.add.accumulate(rows, axis=1, out=sums[:, 1:])
    return sums


@lru_cache
def _triangle(n: int, dtype: np.dtype[np.floating]) -> Array:
    return np.triu(np.ones((n, n + 1), dtype), 1)


def _starts(rows: Array | Ints) -> Ints:
    """Where each row starts in the flat array, shape (B, 1)."""
    return np.arange(0, rows.size, rows.shape[1])[:, None]


def _within(U: Floats, limit: float) -> bool:
    """Whether none is missing or beyond a limit; unlike a sum of squares this cannot overflow."""
    return -limit < U.item(U.argmin()) and U.item(U.argmax()) < limit  # both false for NaN


def _left(target: Floats, terms: Floats) -> Floats:
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
        version, offsets, times, np.cumsum(present.sum(axis=1)), np.nonzero(present)[1],
        Y[present].astype(np.float64), missing, nothing, np.full(len(Y), np.nan), nothing,
    )  # fmt: skip


def _missing(present: npt.NDArray[np.bool_]) -> Missing:
    if present.all():
        return NONE_MISSING * len(present)
    return tuple(tuple(np.flatnonzero(~row).tolist()) for row in present)
