"""What `oodl check` looks at, in order, each in a file of its own.

A check yields findings, and an error that it ends with is one. What needs an answer of the broker
is left out when there was none.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from confluent_kafka import KafkaException
from kafka.errors import KafkaError

from flows.settings import Settings
from flows.tools.checks import broker, clock, group, host, recovery, rights, topics
from flows.tools.checks.findings import Finding, Scene, of_error
from oodl.errors import OodlError

__all__ = ["CHECKS", "Check", "Finding", "Looked", "look"]


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is looked at.

    Parameters
    ----------
    name, fine : str
        What it is called, and what is so when nothing is found.
    find : callable
    asks : bool
        Whether it needs a broker that answers.
    """

    name: str
    fine: str
    find: Callable[[Scene], Iterable[Finding]]
    asks: bool = True


@dataclass(frozen=True, slots=True)
class Looked:
    """A check that was done, with what it found; nothing: all is well."""

    check: Check
    findings: tuple[Finding, ...]


SETTINGS = Check("settings", "every key is known, and its value fits", lambda _: (), asks=False)
CHECKS = (
    Check("broker", "answers and lets this client in", broker.answers, asks=False),
    Check("addresses", "brokers are reached where they say they are", broker.can_be_reached),
    Check("rights", "all that the pipeline does is allowed", rights.allowed),
    Check("topics", "are there, with the settings they need", topics.as_needed),
    Check("recovery", "the folder is ours, whole and free", recovery.fits, asks=False),
    Check("disk", "has room for snapshots", host.has_room, asks=False),
    Check("metrics", "the port is free", host.has_a_free_port, asks=False),
    Check("group", "nobody else has the consumer group", group.is_its_own),
    Check("offsets", "the readings to go on with are there", group.has_its_offsets),
    Check("clock", "this host's and the brokers' agree", clock.agrees),
)
UNANSWERED = Finding("broker", "expected an answer, got none", "see above", "unknown")


def look(settings: Settings, checks: Iterable[Check] = CHECKS) -> Iterator[Looked]:
    """Do one check after the other; each is told as soon as it is done."""
    scene = Scene(settings)
    yield Looked(SETTINGS, ())
    for check in checks:
        gc.collect()  # clients of the check before: one collected in another's thread aborts
        if check.asks and scene.cluster is None:
            yield Looked(check, (UNANSWERED,))
        else:
            yield Looked(check, tuple(_found(check, scene)))


def _found(check: Check, scene: Scene) -> Iterator[Finding]:
    try:
        yield from check.find(scene)
    except OodlError as problem:
        yield from of_error(problem)
    except OSError as problem:
        place = str(problem.filename or check.name)
        yield Finding(place, f"expected to look at it, got: {problem.strerror}", "mend that first")
    except KafkaException as problem:
        yield _unanswered(check, problem.args[0].str())
    except KafkaError as problem:
        yield _unanswered(check, repr(problem))


def _unanswered(check: Check, got: str) -> Finding:
    told = f"expected the broker to answer, got: {got}"
    return Finding(check.name, told, "see what the broker's log says, and check again", "unknown")
