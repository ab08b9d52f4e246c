"""The learner as a scikit-learn transformer; ``pip install 'oodl[sklearn]'``.

Readings in, codes out. Everything learned is in `OnlineDictionary`; here it only gets the names and
the checks of its inputs that scikit-learn's users know.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from oodl.contrast import Array
from oodl.dictionary import OnlineDictionary
from oodl.learner import Scheme

__all__ = ["OnlineDictionaryTransformer"]

SEEDS = 2**31 - 1  # what every RandomState can draw, whatever the platform's integers


class OnlineDictionaryTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Orthogonal dictionary, learned online; `transform` gives the codes of readings.

    Parameters
    ----------
    learner : Scheme, optional
        The parts of the algorithm; default: those of `OnlineDictionary`.
    random_state : int or RandomState, optional
        Start from a random orthogonal matrix; default: the identity, without any chance.

    Attributes
    ----------
    components_ : ndarray of shape (``n_features_in_``, ``n_features_in_``)
        The atoms, one a row, orthonormal.
    n_samples_seen_ : int
        Rows given so far; fewer than a chunk of them wait to be learned from.
    model_ : OnlineDictionary
        What learns.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only when all names of columns are strings.

    Notes
    -----
    Rows are neither centred nor scaled here: put a `StandardScaler` before it in a `Pipeline`.
    One pass over the rows, in their order. A chunk of rows is a step, about n / 2 rows at first and
    at most 2n, n the number of features: rows that fill no chunk wait for the next `partial_fit`,
    so after `fit` on fewer than n / 2 rows the components are those of the start.

    float32 readings are learned and coded in float32, all others in float64: the first call tells.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from oodl.synthetic import Planted, random_orthogonal
    >>> rng = np.random.default_rng(0)
    >>> planted = Planted(random_orthogonal(8, rng), density=0.2, snr_db=26)
    >>> X = 20 + 5 * planted.draw(2000, rng)
    >>> model = make_pipeline(StandardScaler(), OnlineDictionaryTransformer())
    >>> codes = model.fit_transform(X)

    A few codes tell of a reading what takes many numbers: the three largest of eight hold

    >>> def share(Z):
    ...     squares = np.sort(Z**2, axis=1)
    ...     return float(squares[:, -3:].sum() / squares.sum())
    >>> share(codes) > 0.95, share(StandardScaler().fit_transform(X)) > 0.85
    (True, False)

    of its energy, and all of them give it back.

    >>> bool(np.allclose(model.inverse_transform(codes), X))
    True
    """

    def __init__(
        self,
        learner: Scheme[Any] | None = None,
        *,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.learner = learner
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Learn from rows, forgetting what was learned before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite readings.
        y : object
            Not used.

        Raises
        ------
        ValueError
            When `X` has no rows or columns, or holds NaN, infinity, or numbers too large for the
            type.
        """
        rows: Array = validate_data(self, X, dtype=[np.float64, np.float32])
        self.model_ = self._start(rows).partial_fit(rows)
        return self

    def partial_fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Go on learning; the first call is `fit`.

        Rows may be cut into calls anywhere: the components are the same.

        Parameters
        ----------
        X, y
            As in `fit`, with the columns of the first call.

        Raises
        ------
        ValueError
            As `fit`, or when `X` has other columns than before.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y)
        self.model_.partial_fit(self._known(X))
        return self

    def transform(self, X: npt.ArrayLike) -> Array:
        """Return the codes of readings, shape (n_samples, ``n_features_in_``).

        Parameters
        ----------
        X : array-like of shape (n_samples, ``n_features_in_``)

        Raises
        ------
        NotFittedError
            Before the first `fit`.
        ValueError
            When `X` has other columns than before, or holds NaN or infinity.
        """
        check_is_fitted(self)
        return self.model_.transform(self._known(X))

    def inverse_transform(self, X: npt.ArrayLike) -> Array:
        """Return the readings that codes stand for, shape (n_samples, ``n_features_in_``).

        Parameters
        ----------
        X : array-like of shape (n_samples, ``n_features_in_``)
            Codes; set to zero those that are to be left out.

        Raises
        ------
        NotFittedError
            Before the first `fit`.
        ValueError
            When `X` has another number of columns, or holds NaN or infinity.
        """
        check_is_fitted(self)
        return self.model_.inverse_transform(check_array(X, dtype=self.components_.dtype))

    @property
    def components_(self) -> Array:
        """The atoms, one a row, read-only."""
        return self.model_.dictionary_.T

    @property
    def n_samples_seen_(self) -> int:
        """Rows given so far."""
        return self.model_.n_seen_

    @property
    def _n_features_out(self) -> int:
        """Codes have as many columns as readings; scikit-learn names them by this."""
        return len(self.components_)

    def _start(self, X: Array) -> OnlineDictionary:
        seed = None
        if self.random_state is not None:
            seed = int(check_random_state(self.random_state).randint(SEEDS))
        chosen: dict[str, Any] = {} if self.learner is None else {"learner": self.learner}
        return OnlineDictionary(X.shape[1], dtype=X.dtype, seed=seed, **chosen)

    def _known(self, X: npt.ArrayLike) -> Array:
        rows: Array = validate_data(self, X, dtype=self.components_.dtype, reset=False)
        return rows

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()  # type: ignore[no-untyped-call]
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
