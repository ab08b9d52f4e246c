"""Whether the broker answers, lets this client in, and can be reached where it says it is."""

import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from flows.kafka import describe
from flows.kafka.connection import options, silent
from flows.tools.checks.findings import Finding, Scene

__all__ = ["Place", "answers", "can_be_reached"]

ANSWER_SECONDS, CONNECT_SECONDS = 10.0, 3.0
AT_A_TIME = 16
SCHEME = "://"


class Place(NamedTuple):
    """An address to connect to."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def answers(scene: Scene) -> Iterator[Finding]:
    """Ask the broker what it is; the checks after this one know it."""
    scene.cluster = describe(scene.settings.kafka, patience=ANSWER_SECONDS)
    yield from ()


def can_be_reached(
    scene: Scene, ask: Callable[[Scene], Mapping[Place, int]] | None = None
) -> Iterator[Finding]:
    """Connect to each address of the settings, and to each that the brokers name as theirs."""
    kafka = scene.settings.kafka
    named = (ask or _named)(scene)
    given = [place for place in map(_place, kafka.bootstrap.split(",")) if place is not None]
    places = list(dict.fromkeys([*given, *named]))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        failures = dict(zip(places, pool.map(_failure, places), strict=True))
    for place, failure in failures.items():
        if failure and place in named:
            yield Finding(
                f"broker {named[place]}",
                f"expected to reach it at {place}, as it says of itself, got: {failure}",
                "correct advertised.listeners of that broker, or names and routes on this host",
            )
        elif failure:
            remedy = "start that one, or leave it out; the others tell where all are"
            told_of = f"expected {place} to answer, got: {failure}"
            yield Finding("kafka.bootstrap", told_of, remedy, "advice")


def _named(scene: Scene) -> dict[Place, int]:
    """Ask where the brokers say that they are, each with its id."""
    admin = AdminClient(options(scene.settings.kafka), logger=silent())
    told = admin.list_topics(timeout=ANSWER_SECONDS).brokers.values()
    return {Place(str(broker.host), broker.port): broker.id for broker in told}


def _place(address: str) -> Place | None:
    host, _, port = address.strip().rpartition(SCHEME)[2].rpartition(":")
    return Place(host.strip("[]"), int(port)) if host and port.isdecimal() else None


def _failure(place: Place) -> str:
    """Say why nobody answers there; "" when somebody does."""
    try:
        socket.create_connection(place, CONNECT_SECONDS).close()
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""
