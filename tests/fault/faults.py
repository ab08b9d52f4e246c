"""What a row of the table of faults is, and what acts have in common."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.fault.readings import TIMES, readings
from tests.fault.stage import Stage
from tests.traffic import Record

__all__ = ["ALL", "PORTION", "Fault", "Figures", "refused", "work_and_end"]

PORTION, ALL = 1000 * TIMES, 20_000 * TIMES
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row.

    Parameters
    ----------
    act : callable
        Does it, and returns the figures that belong to it.
    seconds : float
        How long readings are on their way meanwhile, where they are 20,000.
    kills : bool
        Whether a process ends without its last snapshot: at least once is then more than once.
    doubles : bool
        Whether two processes read the same; the readings of one of them are then allowed twice.
    forgets : bool
        Whether what was learned is lost but for the last dictionary: a repeat may be another code.
    alone : bool
        Whether it is done to the broker, which other rows share otherwise.
    copied : bool
        Whether it takes three brokers, which copy to one another.
    portions : bool
        Whether it says itself how many readings may come.
    records : callable
        Returns what is sent.
    deliveries : tuple of str
        The ways of delivery that it is done to.
    kafka, recovery : tuple of (str, object)
        Settings of these sections besides.
    then : callable
        Looks at more than the ledger when all is done.
    """

    act: Callable[[Stage], Figures]
    seconds: float = 5.0
    kills: bool = False
    doubles: bool = False
    forgets: bool = False
    alone: bool = False
    copied: bool = False
    portions: bool = False
    records: Callable[[], list[Record]] = readings
    deliveries: tuple[str, ...] = ("at-least-once", "exactly-once")
    kafka: tuple[tuple[str, object], ...] = ()
    recovery: tuple[tuple[str, object], ...] = ()
    then: Callable[[Stage], None] = lambda _: None

    @property
    def brokers(self) -> str:
        """The name of the fixture that has them."""
        if self.copied:
            return "three_kafkas"
        return "troubled_kafka" if self.alone else "apache_kafka"

    def __repr__(self) -> str:
        return self.act.__name__


def work_and_end(stage: Stage) -> None:
    """Let a worker write its snapshots."""
    with stage.worker() as worker:
        stage.await_work(worker)
        assert worker.end(signal.SIGTERM) == 0


def refused(stage: Stage, *told: str, ordinary: bool = False) -> None:
    """See that a worker does not start, and says why in one line."""
    with stage.worker(ordinary=ordinary) as worker:
        assert worker.process.wait(60) == 1
    said = worker.log_file.read_text()
    assert all(words in said for words in told), said
    assert "Traceback" not in said
