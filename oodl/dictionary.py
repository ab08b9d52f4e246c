"""An orthogonal dictionary that learns from a stream of rows: a learner and its state."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from oodl.adaptive import Adaptive
from oodl.contrast import Array
from oodl.errors import ValueFault
from oodl.learner import PUBLISHED, Scheme, State, rows_of
from oodl.synthetic import random_orthogonal

__all__ = ["OnlineDictionary"]

DEFAULT = Adaptive()


class OnlineDictionary:
    """An orthogonal dictionary that learns from a stream of rows.

    Parameters
    ----------
    n_features : int
        Numbers in a row, N >= 1.
    dtype : {"float32", "float64"}, default "float32"
        Type of the dictionary and of what it returns.
    seed : int or Generator, optional
        Start from a random orthogonal matrix; default: the identity.
    initial : Array, optional
        Start from this orthogonal (N, N) matrix, atoms in columns.
    learner : Scheme, default Adaptive()
        The parts of the algorithm.

    Raises
    ------
    ShapeError
        When `n_features` is below 1, or `initial` has another shape.
    ValueFault
        When `dtype` is another type, `initial` is not orthogonal, or comes with a `seed`.

    Notes
    -----
    Rows are neither centred nor scaled here. Rows wait until a chunk is full, so `partial_fit`
    may be called with one row or a million: the dictionary is the same to the bit.

    References
    ----------
    Y. Xue, V. Lau, "Online Orthogonal Dictionary Learning Based on Frank-Wolfe Method",
    arXiv 2103.01484, Algorithm 1.

    Examples
    --------
    From a stream of sparse readings it finds the dictionary that made them.

    >>> from oodl.distance import distance
    >>> from oodl.synthetic import Planted, random_orthogonal
    >>> rng = np.random.default_rng(0)
    >>> planted = Planted(random_orthogonal(8, rng), density=0.2, snr_db=26)
    >>> model = OnlineDictionary(8).partial_fit(planted.draw(2000, rng))
    >>> distance(model.dictionary_, planted.dictionary) < 0.02
    True

    Coding loses nothing: the dictionary is orthogonal.

    >>> Y = planted.draw(3, rng)
    >>> bool(np.allclose(model.inverse_transform(model.transform(Y)), Y, atol=1e-5))
    True
    """

    def __init__(
        self,
        n_features: int,
        *,
        dtype: npt.DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        initial: Array | None = None,
        learner: Scheme[Any] = DEFAULT,
    ) -> None:
        if seed is not None and initial is not None:
            message = "initial: expected no seed beside it, got both; drop one of them"
            raise ValueFault(message)
        if seed is not None:
            initial = random_orthogonal(n_features, np.random.default_rng(seed))
        self._learner = learner
        self._state: State = learner.start(n_features, dtype=dtype, initial=initial)
        self._waiting: Array = np.empty((0, n_features), self._state.dictionary.dtype)

    @classmethod
    def published(
        cls,
        n_features: int,
        *,
        seed: int | np.random.Generator | None = None,
        dtype: npt.DTypeLike = "float64",
    ) -> Self:
        """Return the algorithm of the paper: every call of `partial_fit` is one step.

        Parameters
        ----------
        n_features, seed, dtype
            As for the class.

        Raises
        ------
        ShapeError, ValueFault
            As for the class.

        Examples
        --------
        >>> from oodl.distance import distance
        >>> from oodl.synthetic import Planted, random_orthogonal
        >>> rng = np.random.default_rng(0)
        >>> planted = Planted(random_orthogonal(10, rng), density=0.3)
        >>> model = OnlineDictionary.published(10, seed=1)
        >>> for _ in range(1000):
        ...     model = model.partial_fit(planted.draw(10, rng))
        >>> distance(model.dictionary_, planted.dictionary) < 0.003
        True
        """
        return cls(n_features, dtype=dtype, seed=seed, learner=PUBLISHED)

    @property
    def dictionary_(self) -> Array:
        """Atoms in columns, shape (N, N), read-only."""
        view = self._state.dictionary.view()
        view.flags.writeable = False
        return view

    @property
    def n_seen_(self) -> int:
        """Rows given so far; fewer than a chunk of them wait to be learned from."""
        return self._state.seen + len(self._waiting)

    @property
    def n_restarts_(self) -> int:
        """How often the dictionary was given up because it no longer fitted."""
        return self._state.restarts

    def partial_fit(self, Y: npt.ArrayLike) -> Self:
        """Learn from rows, in order.

        Parameters
        ----------
        Y : array_like
            Finite readings, shape (B, N), B >= 0.

        Raises
        ------
        ShapeError
            When `Y` has another shape.
        ValueFault
            When a row holds NaN, infinity, or numbers too large for the type; nothing of the call
            is learned then.
        """
        rows = np.concatenate([self._waiting, self._finite_rows(Y)])
        state, done = self._state, 0
        while size := self._learner.chunks(rows.shape[1], state.seen, len(rows) - done):
            state = self._learner.step(state, rows[done : done + size])
            done += size
        self._state, self._waiting = state, rows[done:].copy()
        return self

    def transform(self, Y: npt.ArrayLike) -> Array:
        """Return the codes ``Y @ D`` of readings, shape (B, N); a row with NaN becomes NaN.

        Raises
        ------
        ShapeError
            When `Y` has another shape.
        """
        D = self._state.dictionary
        codes: Array = rows_of("block", Y, D).astype(D.dtype, copy=False) @ D
        return codes

    def inverse_transform(self, X: npt.ArrayLike) -> Array:
        """Return the readings ``X @ D.T`` of codes, shape (B, N).

        Raises
        ------
        ShapeError
            When `X` has another shape.
        """
        D = self._state.dictionary
        readings: Array = rows_of("codes", X, D).astype(D.dtype, copy=False) @ D.T
        return readings

    def _finite_rows(self, Y: npt.ArrayLike) -> Array:
        """Refuse rows whose fourth power, the steepest contrast's value, is not a number."""
        given = rows_of("block", Y, self._state.dictionary)
        kind = self._state.dictionary.dtype
        if given.dtype.kind == "f":
            energy = float(np.vdot(given, given))
            if energy * energy < float(np.finfo(kind).max):  # then each row's is, too
                return given.astype(kind, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            rows = given.astype(kind, copy=False)
            energies = np.vecdot(rows, rows)
            fits = np.isfinite(energies * energies)
        if not fits.all():
            row = int(np.argmin(fits))
            message = (
                f"block: expected finite numbers whose fourth power fits {rows.dtype}, got "
                f"{np.abs(given[row]).max()} in row {row}; leave the row out or fill what is "
                "missing, and scale large readings down"
            )
            raise ValueFault(message)
        return rows
