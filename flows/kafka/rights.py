"""What a client has to be allowed, asked before anything starts.

A broker tells each client what it may do with a topic and with a group. So a right that is missing
is told at the start, and not with the first dead letter after weeks.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from flows.kafka.connection import BrokerError, Connection, options, silent

__all__ = ["AccessError", "Right", "require_rights"]

ANSWER_SECONDS = 10.0
ANY_GROUP = "oodl"  # asked for in any case: the embedded broker has no answer about topics
UNTOLD = frozenset({  # answers of brokers that do not tell: then it shows when it is needed
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.UNSUPPORTED_VERSION,
})  # fmt: skip
DENIED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})

Kind = Literal["topic", "group", "transactional-id"]


class AccessError(BrokerError, PermissionError):
    """The broker does not allow what has to be done."""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that a client has to be allowed.

    Parameters
    ----------
    operation : str
        Read or Write, as Kafka has it; each brings Describe with it.
    kind : str
        What of: a topic, a group, or a transactional id.
    name : str
    key : str
        Where the settings have that name.

    Examples
    --------
    >>> print(Right("Write", "topic", "sensors.codes", "topics.codes").denied())
    topics.codes: expected the right to Write topic sensors.codes, got none; let an administrator \
grant it: kafka-acls --add --allow-principal User:... --operation Write --topic sensors.codes
    """

    operation: Literal["Read", "Write"]
    kind: Kind
    name: str
    key: str

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} {self.name}"

    def denied(self) -> str:
        """Say that it is missing, and how it is given."""
        granted = f"--operation {self.operation} --{self.kind} {self.name}"
        return (
            f"{self.key}: expected the right to {self}, got none; let an administrator grant it: "
            f"kafka-acls --add --allow-principal User:... {granted}"
        )


def require_rights(connection: Connection, rights: Iterable[Right]) -> None:
    """Refuse to start without a right; what brokers do not tell before is left out.

    These are rights to transactional ids, and topics that are not there.

    Raises
    ------
    AccessError
        With a line for every right that is missing.
    BrokerError
        When the broker does not answer.
    """
    told = [right for right in rights if right.kind != "transactional-id"]
    topics = sorted({right.name for right in told if right.kind == "topic"})
    groups = sorted({right.name for right in told if right.kind == "group"}) or [ANY_GROUP]
    admin = AdminClient(options(connection), logger=silent())
    allowed: dict[tuple[str, str], set[AclOperation] | None] = {}
    asked: dict[str, Any] = {
        "include_authorized_operations": True,
        "request_timeout": ANSWER_SECONDS,
    }
    allowed.update(_answers("group", admin.describe_consumer_groups(groups, **asked)))
    if topics and None not in allowed.values():
        allowed.update(_answers("topic", admin.describe_topics(TopicCollection(topics), **asked)))
    if problems := list(_missing(told, allowed)):
        raise AccessError("\n".join(problems))


def _answers(
    kind: Kind, futures: Mapping[str, "Future[Any]"]
) -> Iterator[tuple[tuple[str, str], set[AclOperation] | None]]:
    """Yield what may be done with each; None where the broker does not tell."""
    for name, future in futures.items():
        try:
            found = future.result().authorized_operations
            yield (kind, name), set(found) if found else None
        except KafkaException as problem:
            error = problem.args[0]
            if error.code() in DENIED:
                yield (kind, name), set()
            elif error.code() in UNTOLD or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                yield (kind, name), None
            else:
                msg = (
                    f"kafka.bootstrap: expected the broker to tell the rights to {kind} {name}, "
                    f"got {error.str()}; start again when it answers"
                )
                raise BrokerError(msg) from problem


def _missing(
    rights: Iterable[Right], allowed: Mapping[tuple[str, str], set[AclOperation] | None]
) -> Iterator[str]:
    for right in rights:
        may = allowed.get((right.kind, right.name))
        wanted = {AclOperation[right.operation.upper()], AclOperation.ALL}
        if may is not None and not may & wanted:
            yield right.denied()
