"""``oodl topics``: create the four topics, or say how those that exist differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import KafkaError
from rich.console import Console

from flows.kafka import BrokerError, client_options, describe
from flows.settings import Settings, load
from oodl.errors import OodlError

__all__ = ["Topic", "TopicsError", "topics", "wanted"]

PARTITIONS = 6  # of readings and codes: as many workers can share the work
READY_MS = 30_000
SIZE = "max.message.bytes"  # what a topic allows beyond our own limit does no harm


class TopicsError(OodlError, ValueError):
    """Topics that exist are not as the settings need them."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be.

    Parameters
    ----------
    name : str
    partitions : int or None
        None: six when it is created, and any number is fine when it exists.
    settings : mapping of str to str
        By Kafka's names.
    """

    name: str
    partitions: int | None
    settings: Mapping[str, str]

    def differences(self, partitions: int, settings: Mapping[str, str]) -> Iterator[str]:
        """Say how the topic that exists differs, with the remedy.

        Examples
        --------
        >>> topic = Topic("codes", None, {"max.message.bytes": "2000"})
        >>> list(topic.differences(3, {"max.message.bytes": "1000"}))
        ['codes: max.message.bytes: expected 2000, got 1000; alter it on the broker']
        """
        if self.partitions not in (None, partitions):
            remedy = "more can be added, but groups then change theirs; fewer need a new topic"
            yield f"{self.name}: partitions: expected {self.partitions}, got {partitions}; {remedy}"
        for key, value in self.settings.items():
            found = settings[key]
            if not (int(found) >= int(value) if key == SIZE else found == value):
                yield f"{self.name}: {key}: expected {value}, got {found}; alter it on the broker"


def topics(
    *,
    settings: Path | None = None,
    partitions: Annotated[int, Parameter(validator=Number(gte=1))] | None = None,
) -> None:
    """Create the topics of readings, codes, dictionaries and dead letters.

    One that exists is left as it is; how it differs from what the settings need is told, and the
    command ends with 1.

    Parameters
    ----------
    settings
        TOML file; without it the defaults and the environment hold.
    partitions
        Of readings and of codes; six when they are created.

    Examples
    --------
    The topics, or how those that exist differ from what the settings need:
    $ oodl topics --settings oodl.toml
    As many partitions as workers may ever share the work:
    $ oodl topics --settings oodl.toml --partitions 6
    """
    asked = load(settings)
    there = describe(asked.kafka).partitions
    try:
        with KafkaAdminClient(**client_options(asked)) as admin:
            problems = list(_settle(admin, wanted(asked, partitions), there))
    except KafkaError as problem:
        msg = f"topics: expected {asked.kafka.bootstrap} to create and describe, got {problem!r}; "
        msg += "see that this client may Create, Describe and DescribeConfigs these topics"
        raise BrokerError(msg) from problem
    if problems:
        raise TopicsError("\n".join(problems))


def wanted(settings: Settings, partitions: int | None = None) -> list[Topic]:
    """List the four topics as the settings need them.

    What we write is stamped by the broker, so that readings of any age are kept as long as others.
    """
    size = {SIZE: str(settings.kafka.max_message_bytes)}
    ours = size | {"message.timestamp.type": "LogAppendTime"}
    names = settings.topics
    internal = names.repartitioned
    return [
        *([] if internal is None else [Topic(internal, partitions, size)]),
        Topic(names.readings, partitions, size),
        Topic(names.codes, partitions, ours),
        Topic(names.dictionaries, None, ours | {"cleanup.policy": "compact"}),
        Topic(names.dead_letters, None, ours),
    ]


def _settle(
    admin: KafkaAdminClient, expected: list[Topic], there: Mapping[str, int]
) -> Iterator[str]:
    """Create what is missing, say what is well, and yield what differs."""
    console = Console(highlight=False)
    missing = [topic for topic in expected if topic.name not in there]
    if missing:
        admin.create_topics(
            {
                topic.name: {
                    "num_partitions": topic.partitions or PARTITIONS,
                    "configs": dict(topic.settings),
                }
                for topic in missing
            }
        )
        admin.wait_for_topics([topic.name for topic in missing], timeout_ms=READY_MS)
    for topic in expected:
        if topic in missing:
            console.print(f"{topic.name}: created", markup=False)
            continue
        differences = list(topic.differences(there[topic.name], _found(admin, topic)))
        yield from differences
        if not differences:
            console.print(f"{topic.name}: as it should be", markup=False)


def _found(admin: KafkaAdminClient, topic: Topic) -> dict[str, str]:
    """Return the settings of a topic that exists, those that we care for."""
    resource = ConfigResource("TOPIC", topic.name)
    configs: dict[str, Any] = admin.describe_configs([resource], config_filter="all")
    found = configs["topic"][topic.name]
    return {key: str(found[key]["value"]) for key in topic.settings}
