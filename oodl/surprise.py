"""Whether a group behaves unlike its past: an exponential mean of its readings' surprise.

It starts above 1 and ends below .8, so that it does not flicker in between.
"""

from collections.abc import Iterable, Sequence
from math import inf, isnan
from typing import Literal, NamedTuple

__all__ = ["LOUDEST", "MEMORY", "Surprise", "Turn"]

Turn = Literal["surprised", "calm"]

MEMORY = 1 / 32  # weight of a reading in the mean
LOUDEST = 8.0  # what one reading adds to it at most: it takes four in a row to surprise
CALM = 0.8  # below it a surprise ends


class Surprise(NamedTuple):
    """How surprised a group is, and since when.

    Parameters
    ----------
    mean : float
        Exponential mean of the readings' surprise.
    since : float or None
        Event time at which it rose above 1; None again once it falls below .8.
    at : int
        Readings that had come by then.

    Examples
    --------
    One loud reading does not surprise a group, five in a row do.

    >>> once, _ = Surprise().feel([50.0], [0.0], first=0)
    >>> round(once.mean, 2), once.since
    (0.25, None)
    >>> after, turns = once.feel([50.0] * 4, [1.0, 2.0, 3.0, 4.0], first=1)
    >>> after.since, after.at, turns
    (4.0, 4, ['surprised'])
    """

    mean: float = 0.0
    since: float | None = None
    at: int = 0

    def feel(
        self, surprises: Iterable[float], nows: Sequence[float | None], *, first: int
    ) -> tuple["Surprise", list[Turn]]:
        """Take readings into the mean.

        Parameters
        ----------
        surprises : iterable of float
            NaN where it cannot be told.
        nows : sequence of float or None
            Event time at each reading.
        first : int
            Readings that came before.

        Returns
        -------
        surprise : Surprise
        turns : list
            "surprised" where it rose above 1, "calm" where it fell below .8.
        """
        mean, since, at = self
        turns: list[Turn] = []
        for row, surprise in enumerate(surprises):
            if isnan(surprise):
                continue
            mean += MEMORY * ((surprise if surprise < LOUDEST else LOUDEST) - mean)
            if since is None and mean > 1:
                now = nows[row]
                since, at = inf if now is None else now, first + row
                turns.append("surprised")
            elif since is not None and mean < CALM:
                since = None
                turns.append("calm")
        return Surprise(mean, since, at), turns
