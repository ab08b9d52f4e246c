"""The learner as a river transformer; ``pip install 'oodl[river]'``.

A dictionary of fixed size, in which each feature takes a free place when it is first learned from.
A place that no feature has taken holds zeros, and zeros say nothing about atoms: its atom stays its
own unit vector. So a new feature adds an identity block, and all that was learned stays as it was.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from river.base import MiniBatchTransformer
from river.base.typing import FeatureName
from river.utils import dataframe

from oodl.contrast import Array
from oodl.dictionary import OnlineDictionary
from oodl.errors import ValueFault
from oodl.learner import Learner

__all__ = ["OnlineDictionaryTransformer"]

LEARNER = Learner()  # the paper's contrast alone: free places would pass for a threshold's noise


class OnlineDictionaryTransformer(MiniBatchTransformer):
    """Orthogonal dictionary over features that appear and vanish; codes out, numbered from 0.

    Parameters
    ----------
    max_features : int, default 64
        How many features there is room for, >= 1; later ones are left out. It is the size of
        what is learned, used or not: a reading takes 65 us up to 64 places, 170 us with 256.

    Attributes
    ----------
    places : dict
        The place of each feature, in the order in which they were first learned from; as many
        codes come out.
    model : OnlineDictionary
        What learns, `max_features` wide.

    Notes
    -----
    Readings are neither centred nor scaled here: put a `StandardScaler` before it. What is missing
    counts as 0, its mean when it is standardised: a feature that vanished, None, NaN and infinity.
    Features that appear together take places in the order of their `repr`, so the order inside a
    reading does not matter.

    A step takes a chunk of readings, at first ``max_features / 2`` of them.

    Why places, and not a larger dictionary that starts from the old one: the start does not hold
    what the gradient remembers. With 16 features (density .1, 20 dB) learned to a distance of .003
    from the planted dictionary, one more feature would take it to .10, and 2,000 readings to come
    back; with a free place it stays at .003. What 48 free places cost beside 16 features (density
    .3, mean of two streams): .094 for .043 after 30N readings, nothing any more after 300N.

    Examples
    --------
    Two sensors that move together become one code, their difference a small one.

    >>> from river import preprocessing
    >>> rng = np.random.default_rng(0)
    >>> dictionary = OnlineDictionaryTransformer(max_features=4)
    >>> model = preprocessing.StandardScaler() | dictionary
    >>> for load, noise in rng.laplace(size=(400, 2)):
    ...     model.learn_one({"inlet": 20 + load, "outlet": 50 + 3 * load + 0.3 * noise})
    >>> sorted(round(abs(weight), 1) for weight in dictionary.atoms[0].values())
    [0.7, 0.7]

    A feature that appears starts with an atom of its own.

    >>> dictionary.learn_one({"inlet": 1.0, "outlet": 1.0, "speed": -2.0})
    >>> {name: round(abs(weight), 9) for name, weight in dictionary.atoms[2].items()}
    {'inlet': 0.0, 'outlet': 0.0, 'speed': 1.0}
    >>> round(dictionary.transform_one({"speed": 5.0})[2], 9)
    5.0
    """

    def __init__(self, max_features: int = 64) -> None:
        if max_features < 1:
            message = f"max_features: expected at least 1, got {max_features}"
            raise ValueFault(message)
        self.max_features = max_features
        self.model = OnlineDictionary(max_features, dtype="float64", learner=LEARNER)
        self.places: dict[FeatureName, int] = {}

    @property
    def atoms(self) -> dict[int, dict[FeatureName, float]]:
        """What each code stands for: the weight of every feature in its atom."""
        n = len(self.places)
        rows = self.model.dictionary_.T[:n, :n].tolist()
        return {code: dict(zip(self.places, row, strict=True)) for code, row in enumerate(rows)}

    def learn_one(self, x: dict[FeatureName, Any]) -> None:
        """Learn from one reading; a feature that is new takes a place.

        Parameters
        ----------
        x : dict
            Numbers by feature.

        Raises
        ------
        ValueFault
            When a value is no number, or too large to be learned from.
        """
        values = _numbers(x)
        self._admit(x)
        self.model.partial_fit(self._placed(x, values))

    def transform_one(self, x: dict[FeatureName, Any]) -> dict[FeatureName, Any]:
        """Return the codes of one reading, as many as features were learned from.

        Parameters
        ----------
        x : dict
            Numbers by feature; a feature that was never learned from is left out.

        Raises
        ------
        ValueFault
            When a value is no number.
        """
        return dict(enumerate(self._codes(x, _numbers(x))[0].tolist()))

    def learn_many(self, X: Any) -> None:
        """Learn from readings in order; the same as one at a time.

        Parameters
        ----------
        X : data frame
            Readings in rows; of pandas, or of another kind that river takes.

        Raises
        ------
        ValueFault
            When a value is too large; nothing of the call is learned then.
        """
        frame = dataframe.into_frame(X)
        values = dataframe.to_numpy(frame)
        self._admit(frame.columns)
        self.model.partial_fit(self._placed(frame.columns, values))

    def transform_many(self, X: Any) -> Any:
        """Return the codes of readings, a frame of the same kind and index.

        Parameters
        ----------
        X : data frame
            As for `learn_many`; columns that were never learned from are left out.
        """
        frame = dataframe.into_frame(X)
        codes = self._codes(frame.columns, dataframe.to_numpy(frame))
        return dataframe.to_native_frame(dict(enumerate(codes.T)), like=frame)

    def _admit(self, features: Iterable[FeatureName]) -> None:
        """Give new features the next free places, as long as there are any."""
        unknown = sorted((name for name in features if name not in self.places), key=repr)
        free = range(len(self.places), self.max_features)
        self.places.update(zip(unknown, free, strict=False))

    def _placed(self, features: Iterable[FeatureName], values: Array) -> Array:
        """Put each column in its place, zeros where nothing is known."""
        rows = np.zeros((len(values), self.max_features))
        for name, column in zip(features, values.T, strict=True):
            if (place := self.places.get(name)) is not None:
                rows[:, place] = np.where(np.isfinite(column), column, 0.0)
        return rows

    def _codes(self, features: Iterable[FeatureName], values: Array) -> Array:
        """Codes of the places that are taken: the others' are zero."""
        return self.model.transform(self._placed(features, values))[:, : len(self.places)]


def _numbers(x: Mapping[FeatureName, Any]) -> npt.NDArray[np.float64]:
    """One row of numbers, NaN for None."""
    try:
        return np.array([[np.nan if v is None else float(v) for v in x.values()]])
    except (TypeError, ValueError) as error:
        message = f"reading: expected numbers or None, got {x}; select or encode features before"
        raise ValueFault(message) from error
