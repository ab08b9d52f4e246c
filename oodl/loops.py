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

__all__ = [
    "FARTHEST",
    "code_rows",
    "compiled",
    "fill_rows",
    "forget_compiled",
    "heard",
    "moments",
    "opposed",
    "thresholded",
    "turned",
    "within",
]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Loop = TypeVar("Loop", bound=Callable[..., Any])

FARTHEST = 1e6  # deviations beyond which a value is not told from a larger one
STEEPEST = 1e30  # what a scale may have changed by, for float32
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
def _project_tame(atoms: Array, u: Array, z: Floats) -> float:
    """Project in float32, twice as fast; return the square of the coefficients."""
    square = 0.0
    for j in range(len(z)):
        total = np.float32(0)
        for i in range(len(u)):
            total += atoms[j, i] * u[i]
        z[j] = total
        square += z[j] * z[j]
    return square


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
    rows: Array, whole: Ints, real: Floats,
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
    rule : ndarray of float64, shape (10,)
        The mean square error aimed at, and the largest one; the most atoms, the usual number, and
        the limit of what this leaves; one over the step of values, and the step's numerator and
        denominator; from how many deviations on a value is too far; up to which mean square a row
        is tame: what atoms leave of it is told from its coefficients, as those are orthogonal.
    rows : ndarray of float32, shape (B, N)
        Filled with the rows in deviations, NaN where missing.
    whole : ndarray of int64, shape (B + B x N,)
        Filled with where the atoms of each row end, and the atoms, one row after the other.
    real : ndarray of float64, shape (3 B + B x N,)
        Filled with the error of each row, infinite where it would be too large, its surprise, its
        energy, and the values of the atoms.

    Returns
    -------
    end : int
        How many atoms were taken.
    plain : bool
        Whether nothing is missing, and no error is too large.
    """
    n, B, end, plain = len(atoms), len(Y), 0, True
    ends, places, values = whole[:B], whole[B:], real[3 * B :]
    errors, surprises, energies = real[:B], real[B : 2 * B], real[2 * B : 3 * B]
    u, z, present, left, unusual = (
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n),
    )  # fmt: skip
    keys = np.empty(n, np.int64)
    for row in range(B):
        counted, near = _standardise(Y[row], standard, rule[8], u, present)
        energy = 0.0
        for i in range(n):
            rows[row, i] = u[i] if present[i] else nan
            energy += u[i] * u[i]
        if counted == n and energy <= rule[9] * n:
            total = _project_tame(atoms, rows[row], z)
            _rank(z, keys)
            end, error, surprise = _take_tame(z, keys, total, rule, places, values, end)
        else:
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
        errors[row] = _rounded(sqrt(error / max(counted, 1.0)), ERRORS) if held else inf
        surprises[row] = _rounded(sqrt(surprise / counted) / rule[4], SURPRISES)
        energies[row] = energy
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
def _take_tame(
    z: Floats, keys: Ints, total: float, rule: Floats, places: Ints, values: Floats, end: int
) -> tuple[int, float, float]:
    """Do the same for a row of which a coefficient takes off its square, and rounding adds its own.

    Parameters
    ----------
    total : float
        Square of the coefficients.
    """
    aim, most, usual, inverse = rule[0] * len(z), rule[2], rule[3], rule[5]
    error, surprise, taking = total, total, True
    for taken in range(len(z)):
        taking = taking and taken < most and error > aim
        if not taking and taken >= usual:
            break
        j = _next_largest(keys)
        if taken < usual:
            surprise -= z[j] * z[j]
        steps = np.rint(z[j] * inverse)
        taking = taking and steps != 0
        if taking:
            value = steps * rule[6] / rule[7]
            places[end], values[end] = j, value
            error += value * (value - 2 * z[j])
            end += 1
    return end, max(error, 0.0), max(surprise, 0.0)


@compiled
def _rounded(number: float, digits: float) -> float:
    rounded: float = np.rint(number * digits) / digits
    return rounded


@compiled
def thresholded(Z: Array, level: Array, weights: Array) -> tuple[Array, Array, Floats]:
    """Cut coefficients off below a level, and sum them up by column.

    Parameters
    ----------
    Z : ndarray, shape (B, N)
    level : ndarray, shape (N,)
        Smallest magnitude that counts.
    weights : ndarray, shape (B,)
        Of the rows.

    Returns
    -------
    pulls : ndarray, shape (B, N)
        ``weight * z`` where it counts, else 0.
    active : ndarray, shape (B, N)
        1 where it counts, else 0.
    sums : ndarray of float64, shape (4, N)
        Of ``z**2``, of ``|z|**3``, of `active`, and of ``z**2`` where it counts.
    """
    n = Z.shape[1]
    pulls, active = np.empty_like(Z), np.empty_like(Z)
    squares, cubes, often, loud = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for row in range(len(Z)):
        for j in range(n):
            z = Z[row, j]
            counts = Z.dtype.type(abs(z) > level[j])
            pulls[row, j] = z * weights[row] * counts
            active[row, j] = counts
            squares[j] += z * z
            cubes[j] += z * z * abs(z)
            often[j] += counts
            loud[j] += z * z * counts
    sums = np.empty((4, n))
    for j in range(n):
        sums[0, j], sums[1, j], sums[2, j], sums[3, j] = squares[j], cubes[j], often[j], loud[j]
    return pulls, active, sums


@compiled
def heard(Y: Array, limit: Array) -> tuple[bool, Floats]:
    """Tell whether no magnitude is beyond its column's limit, and sum them up by column."""
    n, quiet = Y.shape[1], True
    sums = np.zeros(n)
    for row in range(len(Y)):
        for j in range(n):
            size = abs(Y[row, j])
            quiet &= size <= limit[j]
            sums[j] += size
    return quiet, sums


@compiled
def turned(rows: Array, mean: Floats, scale: Floats, to_mean: Floats, to_scale: Floats) -> Array:
    """Return rows in deviations from another mean and scale; a turn ends where float32 does."""
    n, out = len(mean), np.empty_like(rows)
    slopes, shifts = np.empty(n, rows.dtype), np.empty(n, rows.dtype)
    for j in range(n):
        slopes[j] = min(scale[j] / to_scale[j], STEEPEST)
        shifts[j] = min(max((mean[j] - to_mean[j]) / to_scale[j], -FARTHEST), FARTHEST)
    for row in range(len(rows)):
        for j in range(n):
            out[row, j] = rows[row, j] * slopes[j] + shifts[j]
    return out


@compiled
def within(U: Array, reach: float) -> Array:
    """Return rows, each number at most so far from 0."""
    out, most = np.empty(U.shape, U.dtype), U.dtype.type(reach)
    for row in range(len(U)):
        for j in range(U.shape[1]):
            out[row, j] = min(max(U[row, j], -most), most)
    return out


@compiled
def opposed(G: Array) -> Array:
    """Return ``(G - G.T) / (g + g')`` for the diagonal g of a matrix."""
    E = np.empty_like(G)
    for i in range(len(G)):
        for j in range(len(G)):
            E[i, j] = (G[i, j] - G[j, i]) / (G[i, i] + G[j, j])
    return E


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
