r"""How readings become codes: standardised, projected, and cut where the error is small enough.

A reading y is standardised channel by channel, u = (y - mean) / scale, and projected, z = D'u.
The largest coefficients, rounded to a step, are its code: one after the other, until what they
leave of u is within the tolerance. Missing values are filled first (`imputing`); what becomes of
them is no error. Each row is coded by itself (`loops.code_rows`), whatever comes with it.
"""

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import floor, inf, log10

import numpy as np
import numpy.typing as npt

from oodl.coding import Codes, Missing, Rule, Version
from oodl.distance import orthogonality_defect
from oodl.imputing import rounds
from oodl.loops import code_rows
from oodl.scaling import FARTHEST

__all__ = ["Encoder", "encode", "encoder", "left_by_atoms"]

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DIGITS = 9  # of a coefficient's text, after the point
FINEST = 4  # or digits of the step itself, where that is more
WIDEST = 128  # columns that a product with a triangle sums up in a third of the time of a loop
ROUNDING = 1e-6  # of a row's length: what projecting in float32 leaves, at most
TOLD = 1e-4  # of the tolerance: to which coefficients have to tell what they leave of a row
NONE_MISSING: Missing = ((),)


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
        self.version, self.rule = version, rule
        with np.errstate(divide="ignore", over="ignore"):
            standard = np.array([version.mean, 1 / version.scale])
        self._standard = np.tile(standard, version.window)
        self._atoms = np.array(version.dictionary.T, np.float32, order="C")
        self._numbers = rounds(len(self._atoms), version.usual)
        step, limit = written_step(rule.tolerance / 2), version.limit or inf
        defect = ROUNDING + orthogonality_defect(self._atoms)
        self._rule = np.array([
            rule.aim, rule.bound, rule.most, version.usual, limit, 1 / step,
            step.numerator, step.denominator, FARTHEST, (rule.tolerance * TOLD / defect) ** 2,
        ], np.float64)  # fmt: skip

    def __call__(
        self, Y: Floats, offsets: Ints, times: Floats
    ) -> tuple[list[Codes], npt.NDArray[np.floating]]:
        """Code rows, and return them in deviations, NaN where missing; version 0: as they came."""
        if self.version.number == 0:
            present = np.isfinite(Y)
            return [_exact(self.version, Y, present, _missing(present), offsets, times)], Y
        if not Y.flags.carray:  # a loop is compiled for each kind of array
            Y = Y.copy()
        B, n = Y.shape
        rows = np.empty((B, n), np.float32)
        whole, real = np.empty(B * (1 + n), np.int64), np.empty(B * (3 + n))
        end, plain = code_rows(
            Y, self._standard, self._atoms, self._numbers, self._rule, rows, whole, real
        )
        codes = Codes(
            self.version, offsets, times, whole[:B], whole[B : B + end],
            real[3 * B : 3 * B + end], NONE_MISSING * B,
            real[:B], real[B : 2 * B], real[2 * B : 3 * B],
        )  # fmt: skip
        return [codes] if plain else self._looked_at(codes, Y, np.isfinite(rows)), rows

    def _looked_at(self, codes: Codes, Y: Floats, present: npt.NDArray[np.bool_]) -> list[Codes]:
        """Tell what is missing, and code exactly what cannot be held within the rule's bound."""
        codes.missing = _missing(present)
        held = np.isfinite(codes.errors)
        if held.all():
            return [codes]
        zero = Version.zero(self.version.channels, self.version.window)
        exact = _exact(zero, Y, present, codes.missing, codes.offsets, codes.times)
        exact.surprises[:] = codes.surprises
        edges = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(Y)]
        return [
            (codes if held[start] else exact).part(start, stop) for start, stop in pairwise(edges)
        ]


def written_step(step: float) -> Fraction:
    """Return a step whose multiples are short to write, at most a billionth away.

    Examples
    --------
    >>> 3 * written_step(0.05)
    Fraction(3, 20)
    """
    digits = max(DIGITS, FINEST - floor(log10(step)))
    return Fraction(round(step * 10**digits), 10**digits)


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
