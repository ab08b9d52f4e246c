"""Loops over the numbers of a row, compiled by numba when they are first called.

To code a row takes a few thousand multiplications. As calls of numpy these are two dozen calls of
half a microsecond each; as the loops that they are, they take the time of their numbers, and read
like the formula. What is compiled is kept on disk: beside this file, else in the user's cache,
else in `NUMBA_CACHE_DIR`; where none of them can be written, each process compiles anew.

A loop that calls another stands here beside it, since numba looks for changes in the file of the
loop that is called, and in no other.
"""

from collections.abc import Callable
from math import inf, isfinite, isnan, nan, sqrt
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["code_rows", "column_sums", "compiled", "fill_rows", "forget_compiled", "moments"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Loop = TypeVar("Loop", bound=Callable[..., Any])

UNSIGNED = 2**63 - 1  # all bits of a float but its sign
ERRORS, SURPRISES = 1e5, 1e4  # their digits: what they are good to; more only makes codes longer
_kept: list[Any] = []  # loops of which something may be on disk
ANY_ORDER = {"reassoc", "contract"}  # of a sum's terms: then eight are added at a time


def compiled(loop: Loop, fastmath: bool | set[str] = False) -> Loop:  # noqa: FBT001, FBT002
    """Return a loop that is compiled when it is called."""
    try:
        made = numba.njit(loop, cache=True, fastmath=fastmath, error_model="numpy")
    except RuntimeError:  # numba found no folder where it may keep what it makes
        return cast(Loop, numba.njit(loop, fastmath=fastmath, error_model="numpy"))
    _kept.append(made)
    return cast(Loop, made)


def forget_compiled() -> list[Path]:
    """Delete what is kept of all loops, so that they are compiled anew; return the folders."""
    folders = set()
    for loop in _kept:
        folder, of = Path(loop.stats.cache_path), Path(loop.py_func.__code__.co_filename).stem
        for file in folder.glob(f"{of}.{loop.__name__}-*.nb[ic]"):  # index, and what is compiled
            file.unlink(missing_ok=True)
            folders.add(folder)
    return sorted(folders)


def _sum(loop: Loop) -> Loop:
    return compiled(loop, ANY_ORDER)


@_sum
def _project(atoms: Array, u: Floats, z: Floats) -> None:
    """Project on the atoms, one a row: ``z = atoms @ u``."""
    for j in range(len(z)):
        total = 0.0
        for i in range(len(u)):
            total += atoms[j, i] * u[i]
        z[j] = total


@_sum
def _take_off(rest: Floats, value: float, atom: Array, weights: Floats) -> float:
    """Take an atom off what is left of a row; return the square of that, where it weighs."""
    left = 0.0
    for i in range(len(rest)):
        rest[i] -= value * atom[i]
        left += weights[i] * rest[i] * rest[i]
    return left


@compiled
def _rank(z: Floats, keys: Ints) -> None:
    """Make keys in the order of ``|z|``, each with its place in its last bits.

    Floats without their sign stand in the order of their bits, and the largest of integers is
    found eight at a time.
    """
    bits, places = z.view(np.int64), _places(len(z))
    for j in range(len(z)):
        keys[j] = bits[j] & UNSIGNED & ~places | j


@compiled
def _places(n: int) -> int:
    """Bits that hold any place of n."""
    places = 0
    while places < n - 1:
        places = 2 * places + 1
    return places


@compiled
def _next_largest(keys: Ints) -> int:
    """Return the place of the largest coefficient, and take its key out."""
    largest = keys[0]
    for key in keys:
        largest = max(largest, key)
    place: int = largest & _places(len(keys))
    keys[place] = -1
    return place


@compiled
def _fill(
    u: Floats, present: Floats, atoms: Array, numbers: Ints, z: Floats, guess: Floats, keys: Ints
) -> None:
    """Fill what is missing as the largest atoms rebuild it from the rest, so many a round."""
    for number in numbers:
        _project(atoms, u, z)
        _rank(z, keys)
        for i in range(len(u)):
            guess[i] = 0.0
        for _ in range(number):
            j = _next_largest(keys)
            _take_off(guess, -z[j], atoms[j], present)
        for i in range(len(u)):
            if not present[i]:
                u[i] = guess[i]


@compiled
def fill_rows(U: Array, absent: npt.NDArray[np.bool_], atoms: Array, numbers: Ints) -> Array:
    """Fill the missing entries of rows; see `oodl.imputing.filled`."""
    n, filled = U.shape[1], np.empty_like(U)
    u, present, z, guess = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    keys = np.empty(n, np.int64)
    for row in range(len(U)):
        for i in range(n):
            u[i], present[i] = U[row, i], not absent[row, i]
        _fill(u, present, atoms, numbers, z, guess, keys)
        for i in range(n):
            filled[row, i] = u[i]
    return filled


@_sum
def _standardise(
    y: Floats, standard: Floats, farthest: float, u: Floats, present: Floats
) -> tuple[float, bool]:
    """Put a reading in deviations, 0 where missing.

    Returns
    -------
    counted : float
        How many values there are.
    near : bool
        Whether none is too far to be told from a larger one.
    """
    counted, near = 0.0, True
    for i in range(len(y)):
        off = (y[i] - standard[0, i]) * standard[1, i]
        present[i] = isfinite(y[i]) and not isnan(off)
        u[i] = min(max(off, -farthest), farthest) if present[i] else 0.0
        near &= abs(u[i]) < farthest
        counted += present[i]
    return counted, near


@compiled
def code_rows(
    Y: Floats, standard: Floats, atoms: Array, numbers: Ints, rule: Floats,
    rows: Array, places: Ints, values: Floats, ends: Ints, told: Floats,
) -> tuple[int, bool]:  # fmt: skip
    """Code rows: what `oodl.encoding.Encoder` does.

    Parameters
    ----------
    Y : ndarray of float64, shape (B, N)
        Readings, NaN or infinite where missing.
    standard : ndarray of float64, shape (2, N)
        Means, and one over the scales.
    atoms : ndarray of float32, shape (N, N)
        One a row.
    numbers : ndarray of int64
        Atoms by which what is missing is filled, by round.
    rule : ndarray of float64, shape (9,)
        The mean square error aimed at, and the largest one; the most atoms, the usual number, and
        the limit of what this leaves; one over the step of values, and the step's numerator and
        denominator; from how many deviations on a value is too far.
    rows, places, values, ends, told : ndarray
        Filled with the rows in deviations (B, N), NaN where missing; atoms and values (B x N,)
        one row after the other, and where each row ends; by row (3, B) error, infinite where it
        would be too large, surprise, and energy.

    Returns
    -------
    end : int
        How many atoms were taken.
    plain : bool
        Whether nothing is missing, and no error is too large.
    """
    n, end, plain = len(atoms), 0, True
    u, z, present, left, unusual = (
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n),
    )  # fmt: skip
    keys = np.empty(n, np.int64)
    for row in range(len(Y)):
        counted, near = _standardise(Y[row], standard, rule[8], u, present)
        energy = 0.0
        for i in range(n):
            rows[row, i] = u[i] if present[i] else nan
            energy += u[i] * u[i]
        if counted < n:
            _fill(u, present, atoms, numbers, z, left, keys)
        _project(atoms, u, z)
        _rank(z, keys)
        for i in range(n):
            left[i] = unusual[i] = u[i]
        end, error, surprise = _take_atoms(
            z, keys, atoms, present, energy, counted, rule, left, unusual, places, values, end
        )
        held = near and error <= rule[1] * counted
        plain &= held and counted == n
        ends[row] = end
        told[0, row] = _rounded(sqrt(error / max(counted, 1.0)), ERRORS) if held else inf
        told[1, row] = _rounded(sqrt(surprise / counted) / rule[4], SURPRISES)
        told[2, row] = energy
    return end, plain


@compiled
def _take_atoms(
    z: Floats, keys: Ints, atoms: Array, present: Floats, energy: float, counted: float,
    rule: Floats, left: Floats, unusual: Floats, places: Ints, values: Floats, end: int,
) -> tuple[int, float, float]:  # fmt: skip
    """Take the largest atoms off a row until what is left is small enough.

    Returns
    -------
    end : int
        Where the row's atoms end.
    error, surprise : float
        Squares that these leave, and that the usual number leaves.
    """
    aim, most, usual, inverse = rule[0] * counted, rule[2], rule[3], rule[5]
    error, surprise, taking = energy, energy, True
    for taken in range(len(z)):
        taking = taking and taken < most and error > aim
        if not taking and taken >= usual:
            break
        j = _next_largest(keys)
        if taken < usual:
            surprise = _take_off(unusual, z[j], atoms[j], present)
        steps = np.rint(z[j] * inverse)
        taking = taking and steps != 0
        if taking:
            places[end], values[end] = j, steps * rule[6] / rule[7]
            error = _take_off(left, values[end], atoms[j], present)
            end += 1
    return end, error, surprise


@compiled
def _rounded(number: float, digits: float) -> float:
    rounded: float = np.rint(number * digits) / digits
    return rounded


@compiled
def column_sums(A: Array, B: Array | npt.NDArray[np.bool_]) -> Floats:
    """Sum up columns, those of `A` first, of `B`, and of their product: shape (3, N)."""
    n = A.shape[1]
    of_a, of_b, of_both = np.zeros(n), np.zeros(n), np.zeros(n)
    for row in range(len(A)):
        for j in range(n):
            of_a[j] += A[row, j]
            of_b[j] += B[row, j]
            of_both[j] += A[row, j] * B[row, j]
    sums = np.empty((3, n))
    for j in range(n):
        sums[0, j], sums[1, j], sums[2, j] = of_a[j], of_b[j], of_both[j]
    return sums


@compiled
def moments(U: Array, reach: float, least: float) -> Floats:
    """Tell of each column how many values it has, their mean and mean square, and smallest step.

    Values beyond a reach count as there; NaN are none. Steps up to `least` are rounding.
    """
    n = U.shape[1]
    counts, means, squares, steps = np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, inf)
    for row in range(len(U)):
        for j in range(n):
            present = U[row, j] == U[row, j]
            value = min(max(U[row, j], -reach), reach) if present else 0.0
            counts[j] += present
            means[j] += value
            squares[j] += value * value
    for row in range(1, len(U)):
        for j in range(n):
            step = abs(U[row, j] - U[row - 1, j])
            steps[j] = min(steps[j], step if step > least else inf)
    told = np.empty((4, n))
    for j in range(n):
        counted = max(counts[j], 1.0)
        told[0, j], told[1, j], told[2, j] = counts[j], means[j] / counted, squares[j] / counted
        told[3, j] = steps[j]
    return told
