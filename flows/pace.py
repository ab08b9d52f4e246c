"""How many messages a partition may bring in a turn, so that the flow comes round soon.

The engine looks at its epoch between two turns, and a turn takes as long as all that its messages
cause. A backlog taken by the ten thousand held a snapshot up for 5 to 10 seconds on a busy machine,
and what was read since the last one comes again after a kill.
"""

__all__ = ["LEAST", "MOST", "TURN", "Pace"]

TURN = 0.25  # seconds that a turn should take, a quarter of the usual epoch
FIRST, LEAST, MOST = 1000, 100, 5000  # messages


class Pace:
    """The pace of one partition; those beside it slow it down, as they take time too.

    It decides how many messages come together and nothing about what becomes of them.

    Examples
    --------
    Turns that take a second instead of a quarter are halved until they do not.

    >>> pace = Pace()
    >>> for second in range(3):
    ...     most = pace.most(float(second))
    ...     pace.took(most)
    >>> most
    250
    """

    def __init__(self) -> None:
        self._most = FIRST
        self._began = 0.0
        self._full = False

    def most(self, now: float) -> int:
        """Return how many messages may be taken in the turn that begins (`now` in seconds).

        Only a turn that took all that it might says how long so many take; one that waited for
        messages, or for a broker, is no reason to take more than twice or less than half.
        """
        if self._full:
            lasted = max(now - self._began, TURN / 2)
            self._most = round(min(max(self._most * max(TURN / lasted, 0.5), LEAST), MOST))
        self._began = now
        return self._most

    def took(self, messages: int) -> None:
        """Note how many were taken."""
        self._full = messages >= self._most
