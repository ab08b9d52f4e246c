"""What is usual for a group lately: how many atoms its frames take, and what these leave.

Two histograms that forget, no frame is kept: one of the atoms that the usual tolerance asks for,
and for each number of atoms one of the error that it leaves. Frames enter coded by a dictionary
that has not learned from them yet; otherwise the limit would be too narrow for the next ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Recent"]

Array = npt.NDArray[np.floating]

USUAL_TOLERANCE = 0.1  # deviations; the usual number of atoms is the median that it asks for
USUAL_SHARE = (
    3  # but at most a third of the atoms: what more would leave is noise, and tells nothing
)
LEAST_LIMIT = 0.1  # deviations; what stays within the default tolerance is never unusual
QUANTILE = 0.95  # of the errors left by the usual number of atoms: the limit
MEMORY = 2048  # frames; enough for the .95 quantile to rest on a hundred
FADING = 2  # exponent of the weights until then: the first frames, coded by a guess, fade
EDGES = np.geomspace(LEAST_LIMIT, 50.0, 64)  # of the error histogram, 10 % apart


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """Two histograms over the last two thousand frames or so.

    Parameters
    ----------
    seen : int
        Frames so far.
    counts : ndarray of float32, shape (N + 1,)
        Share of frames by the number of atoms that `USUAL_TOLERANCE` asks for.
    errors : ndarray of float32, shape (N + 1, bins)
        Share of frames by the error that 0..N atoms leave.

    Examples
    --------
    >>> left = np.array([[1.0, 0.04, 0.0]] * 50)  # mean squares: one atom leaves .2
    >>> recent = Recent.start(2).update(left)
    >>> recent.usual, round(recent.limit(1), 1)
    (1, 0.2)
    """

    seen: int
    counts: npt.NDArray[np.float32]
    errors: npt.NDArray[np.float32]

    @classmethod
    def start(cls, n: int) -> "Recent":
        """Nothing seen yet, for frames of `n` numbers."""
        bins = len(EDGES) + 1
        return cls(0, np.zeros(n + 1, np.float32), np.zeros((n + 1, bins), np.float32))

    def update(self, left: Array) -> "Recent":
        """Count frames by what 0..N atoms leave of them (mean squares, shape (B, N + 1))."""
        rows, width = left.shape
        counts = np.bincount(np.argmax(left <= USUAL_TOLERANCE**2, axis=1), minlength=width)
        bins = np.searchsorted(EDGES**2, left)
        cells = np.bincount(
            (bins + self.errors.shape[1] * np.arange(width)).ravel(),
            minlength=self.errors.size,
        ).reshape(self.errors.shape)
        share = max(1 - (self.seen / (self.seen + rows)) ** FADING, min(1.0, rows / MEMORY))
        rho, kept = np.float32(share / rows), np.float32(1 - share)
        return Recent(
            self.seen + rows,
            kept * self.counts + rho * counts.astype(np.float32),
            kept * self.errors + rho * cells.astype(np.float32),
        )

    @property
    def usual(self) -> int:
        """The median number of atoms within `USUAL_TOLERANCE`, at most a third of all."""
        median = int(np.searchsorted(np.cumsum(self.counts), 0.5 * self.counts.sum()))
        return min(median, max(1, (len(self.counts) - 1) // USUAL_SHARE))

    def limit(self, atoms: int) -> float:
        """Return the .95 quantile of the error left by so many atoms, no less than .1."""
        shares = np.cumsum(self.errors[atoms], dtype=np.float64)
        wanted = QUANTILE * shares[-1]
        cell = int(np.searchsorted(shares, wanted))
        if cell == 0:
            return LEAST_LIMIT
        if cell == len(EDGES):
            return float(EDGES[-1])
        below = shares[cell - 1]
        part = (wanted - below) / max(shares[cell] - below, np.finfo(np.float64).tiny)
        low, high = np.log(EDGES[cell - 1]), np.log(EDGES[cell])
        return round(float(np.exp(low + part * (high - low))), 6)
