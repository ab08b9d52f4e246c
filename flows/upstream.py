"""Whether what is sent reaches the internal topic: who reads that alone would not notice.

Where `oodl repartition` does not run, nothing comes, which looks as if nothing was sent. So it is
asked now and then how far that has come, in a thread of its own.
"""

from threading import Event, Thread
from time import monotonic

from flows import access, events
from flows.events import Tally
from flows.kafka import BrokerError, unread
from flows.settings import Settings

__all__ = ["Upstream"]

LOOK_SECONDS = 10.0  # between two questions, each with a client of its own
STANDING = 30.0  # seconds without a step, while messages wait; it commits once an epoch


class Upstream:
    """How far `oodl repartition` has come.

    Parameters
    ----------
    settings : Settings
    tally : Tally
        Its beats say what stands still.

    Examples
    --------
    >>> upstream = Upstream(Settings(topics={"repartitioned": "internal"}), Tally())
    >>> upstream.note(0.0, done=7, waiting=3)
    >>> upstream.note(31.0, done=7, waiting=5)
    >>> upstream.tally.beats.unfed
    '5 messages of sensors.readings wait for `oodl repartition`, which moves none; see that it runs'
    """

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self.settings, self.tally = settings, tally
        self._done, self._since, self._denied = -1, 0.0, False
        self._closed = Event()

    def start(self) -> None:
        """Ask from now on, in a thread."""
        Thread(target=self._watch, name="upstream", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def look(self) -> None:
        """Ask once; without the right to the topic that is said once, and nothing is known."""
        settings = self.settings
        group, topic = access.group_of_repartition(settings), settings.topics.readings
        try:
            done, waiting = unread(settings.kafka, group, topic)
        except BrokerError as problem:
            if not self._denied and "uthoriz" in str(problem):
                self._denied = True
                events.oddity(self.tally, "repartition_unseen", str(problem))
            return
        self.note(monotonic(), done=done, waiting=waiting)

    def note(self, now: float, *, done: int, waiting: int) -> None:
        """Take an answer: messages that were moved, and that wait; tell once what stands still."""
        beats = self.tally.beats
        if not waiting or done != self._done:
            self._done, self._since, beats.unfed = done, now, ""
        elif now - self._since > STANDING:
            told = f"{waiting} messages of {self.settings.topics.readings} wait for"
            told = f"{told} `oodl repartition`, which moves none; see that it runs"
            if not beats.unfed:
                events.oddity(self.tally, "not_repartitioned", told)
            beats.unfed = told

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            self.look()
