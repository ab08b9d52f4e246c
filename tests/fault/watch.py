"""What a worker exports, looked at while it runs: of one that is killed the last look is left."""

from http.client import HTTPException
from itertools import pairwise
from threading import Event
from time import monotonic
from typing import NamedTuple

from flows.tools.worker import Worker as Thread
from tests.fault.workers import Worker

__all__ = ["Watch", "written"]

PAUSE = 0.2  # seconds
RECEIVED = "oodl_readings_received_total", ""


class Look(NamedTuple):
    """Readings that were received, and outputs that were confirmed, by a moment (monotonic)."""

    at: float
    received: float
    sent: float


class Watch:
    """Looks at a worker's metrics until it has ended.

    Parameters
    ----------
    worker : Worker

    Attributes
    ----------
    looks : list of Look
    """

    def __init__(self, worker: Worker) -> None:
        self.looks = [Look(0.0, 0.0, 0.0)]
        self._worker, self._ended = worker, Event()
        self._thread = Thread("watch", self._look_on)
        self._thread.start()

    @property
    def sent(self) -> int:
        """Outputs that it said were confirmed, when it was last looked at."""
        return int(self.looks[-1].sent)

    def look(self) -> None:
        """Take a look, if there is something to see."""
        began = monotonic()
        try:
            shown = self._worker.metrics()
        except (OSError, HTTPException):  # it does not answer yet, or no more
            return
        if RECEIVED in shown:
            self.looks.append(Look(began, shown[RECEIVED], _confirmed(shown)))

    def lately(self, seconds: float) -> int:
        """Readings that it took in the last so many seconds in which it took any."""
        moved = [after.at for before, after in pairwise(self.looks) if after[1] > before[1]]
        if not moved:
            return 0
        earlier = [look.received for look in self.looks if look.at <= moved[-1] - seconds]
        return int(self.looks[-1].received - earlier[-1])

    def finish(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.finish()

    def _look_on(self) -> None:
        while not self._ended.wait(PAUSE) and self._worker.process.poll() is None:
            self.look()


def written(worker: Worker) -> float:
    """Outputs that a worker has seen confirmed."""
    return _confirmed(worker.metrics())


def _confirmed(shown: dict[tuple[str, str], float]) -> float:
    names = "oodl_codes_sent_total", "oodl_dead_letters_sent_total"
    return sum(shown[name, ""] for name in names)
