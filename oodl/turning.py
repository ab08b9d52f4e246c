r"""Does the dictionary turn steadily? Then what is remembered is out of date.

The turn over a window of rows is noise while nothing changes: turns of consecutive windows are then
unrelated, and the cosine of their skew-symmetric matrices has mean 0 and variance
``2 / (N (N - 1))``. Where the plant drifts slowly, or the dictionary still improves, they agree.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

__all__ = ["Turning"]

Array = npt.NDArray[np.floating]

WINDOW = 4  # rows, in units of N, from turn to turn
SURE = 3.0  # deviations of the cosine beyond which turns agree


@dataclass(frozen=True, slots=True, eq=False)
class Turning:
    """The dictionary when the window began, and the turn of the window before.

    Parameters
    ----------
    checkpoint : ndarray, shape (N, N)
    turn : ndarray, shape (N, N)
        Skew-symmetric, ``(T - T.T) / 2`` of ``T = checkpoint.T @ dictionary``; 0 at first.
    rows : int
        Rows since the checkpoint.

    Examples
    --------
    Two turns in the same direction agree; back and forth do not.

    >>> def turned(angle):
    ...     c, s = np.cos(angle), np.sin(angle)
    ...     return np.block([[np.array([[c, -s], [s, c]]), np.zeros((2, 6))],
    ...                      [np.zeros((6, 2)), np.eye(6)]])
    >>> turning, _ = Turning.start(np.eye(8)).update(turned(0.1), 32)
    >>> round(turning.update(turned(0.2), 32)[1], 2), turning.update(turned(0.0), 32)[1]
    (1.0, 0.0)
    """

    checkpoint: Array
    turn: Array
    rows: int = 0

    @classmethod
    def start(cls, D: Array) -> "Turning":
        """Begin at a dictionary."""
        return cls(D, np.zeros_like(D))

    def update(self, D: Array, rows: int) -> tuple["Turning", float]:
        """Take the dictionary after `rows` more; return the turns' cosine, 0 where it is chance."""
        n, rows = len(D), self.rows + rows
        if rows < WINDOW * n:
            return Turning(self.checkpoint, self.turn, rows), 0.0
        T = self.checkpoint.T @ D
        turn = (T - T.T) / 2
        lengths = sqrt(float(np.vdot(turn, turn)) * float(np.vdot(self.turn, self.turn)))
        cosine = float(np.vdot(turn, self.turn)) / lengths if lengths > 0 else 0.0
        agree = cosine * sqrt(n * (n - 1) / 2) > SURE
        return Turning(D, turn), cosine if agree else 0.0
