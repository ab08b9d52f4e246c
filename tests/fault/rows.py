"""A row of the table of faults: a pipeline of its own, what is done to it, and what was found."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from confluent_kafka import KafkaException

from benchmarks.record import Bar, worst
from tests.brokers import ApacheKafka, KafkaCluster
from tests.fault.faults import Fault, Figures
from tests.fault.ledger import Ledger
from tests.fault.readings import TIMES
from tests.fault.stage import Stage
from tests.fault.to_brokers import GONE_SECONDS, GRACE

__all__ = ["Row", "bars", "perform"]

RESUMED_SECONDS = 5.0  # at most, after a broker's return


@dataclass(frozen=True, slots=True)
class Row:
    """What was found.

    Parameters
    ----------
    fault, delivery : str
    kills : bool
        Whether a process ended without its last snapshot.
    doubles : bool
        Whether two processes read the same.
    ledger : Ledger
    bound : int
        Repeats that are allowed where delivery is at least once.
    scraped : int
        Outputs that such processes said were confirmed when they were last looked at.
    told : int
        Outputs that the others said in their last line.
    ended : list of int
        What the processes ended with.
    figures : dict of str to float
        Those of the fault, in seconds.
    seconds : float
        How long it took.
    tries : int
        How often it was done: twice where it came to no end the first time.
    """

    fault: str
    delivery: str
    kills: bool
    doubles: bool
    ledger: Ledger
    bound: int
    scraped: int
    told: int
    ended: list[int]
    figures: Figures
    seconds: float
    tries: int = 1

    @property
    def allowed(self) -> int:
        """Repeats that are allowed."""
        more = self.kills or self.doubles
        return self.bound if more and self.delivery == "at-least-once" else 0

    def as_json(self) -> dict[str, Any]:
        """Return all of it, flat."""
        told = asdict(self)
        return {**told, **told.pop("ledger"), **told.pop("figures"), "allowed": self.allowed}


def perform(fault: Fault, delivery: str, brokers: ApacheKafka | KafkaCluster, folder: Path) -> Row:
    """Do a fault to a pipeline, once more where that comes to no end: brokers share the machine.

    What the ledger shows is never asked twice.
    """
    try:
        return _perform(fault, delivery, brokers, folder)
    except (AssertionError, KafkaException, TimeoutError, TimeoutExpired):
        logging.getLogger(__name__).exception("%r, %s: once more", fault, delivery)
    again = folder / "again"
    again.mkdir()
    return replace(_perform(fault, delivery, brokers, again, ".again"), tries=2)


def _perform(
    fault: Fault,
    delivery: str,
    brokers: ApacheKafka | KafkaCluster,
    folder: Path,
    suffix: str = "",
) -> Row:
    """Do it, bring what was begun to an end, and compare."""
    began = time.monotonic()
    cluster = brokers if isinstance(brokers, KafkaCluster) else None
    stage = Stage(
        brokers.nodes[0] if isinstance(brokers, KafkaCluster) else brokers,
        f"{fault!r}.{delivery}{suffix}",
        folder,
        delivery,
        fault.seconds * TIMES,
        kafka=dict(fault.kafka),
        recovery=dict(fault.recovery),
        portions=fault.portions,
        records=fault.records(),
        cluster=cluster,
    )
    try:
        figures = fault.act(stage)
        stage.finish()
        fault.then(stage)
    finally:
        stage.close()
    return Row(
        fault=repr(fault),
        delivery=delivery,
        kills=fault.kills,
        doubles=fault.doubles,
        ledger=stage.ledger(),
        bound=stage.bound,
        scraped=stage.scraped,
        told=stage.told,
        ended=stage.ended,
        figures=figures,
        seconds=round(time.monotonic() - began, 1),
    )


def bars(rows: Sequence[Row]) -> list[Bar]:
    """What is expected of all of them together."""
    killed = [row.ledger.repeats / row.allowed for row in rows if row.allowed and row.kills]
    doubled = [row.ledger.repeats / row.allowed for row in rows if row.allowed and row.doubles]
    others = [row.ledger.repeats for row in rows if not row.allowed]
    return [
        Bar("readings missing in a row", _most([row.ledger.missing for row in rows]), 0),
        Bar("repeats in a row with exactly-once, or in which nothing is killed", _most(others), 0),
        Bar("repeats of kills, by twice the epoch's readings", _most(killed), 1),
        Bar("repeats of two processes, by what the second one read", _most(doubled), 1),
        Bar("seconds until resumed, after a broker's return", _told(rows, "resumed"),
            RESUMED_SECONDS),
        Bar("seconds until ended, after a broker has gone for good", _told(rows, "gave up"),
            GONE_SECONDS + GRACE),
        Bar("rows that were done twice", sum(row.tries > 1 for row in rows), 0),
    ]  # fmt: skip


def _told(rows: Sequence[Row], name: str) -> float | None:
    return _most([row.figures[name] for row in rows if name in row.figures])


def _most(figures: Sequence[float]) -> float | None:
    return worst(figures) if figures else None
