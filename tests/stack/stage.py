"""The whole stack on one stage: something goes wrong, and it is seen which alerts tell so."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.stack.alertmanager import Alertmanager
from tests.stack.pipeline import Pipeline
from tests.stack.programs import wait_until
from tests.stack.prometheus import Alert, Prometheus

__all__ = ["Stage", "Times"]

POLL = 0.25  # seconds
LONGEST_TO_RESOLVE = (
    180.0  # seconds, of the shipped rules: two minutes of dead letters leave slowly
)


@dataclass(frozen=True, slots=True)
class Times:
    """How long an alert took.

    Parameters
    ----------
    alert : str
    fired, told : float
        Seconds from the cause until it fired, and until Alertmanager had it.
    resolved : float
        Seconds from when all was well again until it no longer fired.
    """

    alert: str
    fired: float
    told: float
    resolved: float


@dataclass(frozen=True, slots=True)
class Stage:
    """A pipeline that works, and who looks at it.

    Parameters
    ----------
    pipeline : Pipeline
    prometheus : Prometheus
    alertmanager : Alertmanager
    waits : dict of str to float
        The `for` of each alert, in seconds.
    """

    pipeline: Pipeline
    prometheus: Prometheus
    alertmanager: Alertmanager
    waits: dict[str, float]

    def watch(self, seconds: float) -> set[str]:
        """Which alerts fire within so many seconds."""
        seen: set[str] = set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen |= set(map(_told, self._firing()))
            time.sleep(POLL)
        return seen

    def perform(
        self, alert: str, cause: Callable[[], None], mend: Callable[[], None], about: str = ""
    ) -> Times:
        """Let something go wrong until an alert fires, mend it until that is resolved.

        Parameters
        ----------
        alert : str
        cause, mend : callable
        about : str
            The group that the alert is about, if any.

        Raises
        ------
        AssertionError
            When it does not fire or resolve in time, or another one fires.
        """
        expected, seen = f"{alert} {about}".strip(), set[str]()
        self._await(lambda: not self._seen(seen), "no alert fires", 60.0)
        seen.clear()
        began = time.monotonic()
        cause()
        self._await(lambda: expected in self._seen(seen), expected, self.waits[alert] + 60)
        fired = time.monotonic() - began
        self._await(lambda: alert in self.alertmanager.active(), "Alertmanager has it", 15.0)
        told = time.monotonic() - began
        mended = time.monotonic()
        mend()
        self._await(lambda: not self._seen(seen), "resolved", LONGEST_TO_RESOLVE)
        resolved = time.monotonic() - mended
        self._await(lambda: not self.alertmanager.active(), "Alertmanager knows so", 15.0)
        assert seen == {expected}
        return Times(alert, round(fired, 1), round(told, 1), round(resolved, 1))

    def _seen(self, seen: set[str]) -> set[str]:
        """Take down what fires now."""
        now = set(map(_told, self._firing()))
        seen |= now
        return now

    def _firing(self) -> list[Alert]:
        return [alert for alert in self.prometheus.alerts() if alert.state == "firing"]

    def _await(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        wait_until(done, what, seconds, POLL)


def _told(alert: Alert) -> str:
    """The alert and the group that it is about, if any."""
    return f"{alert.name} {alert.labels.get('group', '')}".strip()
