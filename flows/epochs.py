"""How much of the time snapshots take, and when the epoch should be longer.

The engine takes the snapshots of one epoch in one go, and fixes the epoch while it runs: a longer
one holds from the next start on, which finds it in the manifest.
"""

from collections.abc import Callable
from time import monotonic

from flows import events
from flows.events import Tally

__all__ = ["LONGEST", "Epochs"]

WINDOW = 60.0  # seconds over which the share is taken
SHARE = 0.1  # of the time
LONGEST = 30.0  # seconds: as long, and longer, a restart would go over readings again


class Epochs:
    """Sees that snapshots take a small share of the time.

    Parameters
    ----------
    tally : Tally
        Whose beats tell how long snapshots have held the flow.
    seconds : float
        The epoch in force.
    remember : callable
        Given the epoch that the next start should have.
    clock : callable
        Seconds that only rise.

    Examples
    --------
    >>> tally, now, remembered = Tally(), [0.0], []
    >>> epochs = Epochs(tally, 1.0, remembered.append, lambda: now[0])
    >>> tally.beats.held_by_snapshots, now[0] = 6.1, 60.0
    >>> epochs.look()
    >>> remembered
    [2.0]
    """

    def __init__(
        self,
        tally: Tally,
        seconds: float,
        remember: Callable[[float], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._tally, self._seconds, self._remember, self._clock = tally, seconds, remember, clock
        self._since, self._held, self._told = clock(), tally.beats.held_by_snapshots, False

    def look(self) -> None:
        """Look once a minute; say once, where it is so, that snapshots take too long."""
        now = self._clock()
        if self._told or now - self._since < WINDOW:
            return
        held = self._tally.beats.held_by_snapshots
        share = (held - self._held) / (now - self._since)
        self._since, self._held = now, held
        if share <= SHARE:
            return
        self._told = True
        longer = max(self._seconds, min(2 * self._seconds, LONGEST))
        if longer > self._seconds:
            self._remember(longer)
        events.snapshots_slow(self._tally, share=share, seconds=self._seconds, longer=longer)
