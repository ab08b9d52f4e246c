"""Whether the consumer group is this pipeline's own, and where it would go on."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from flows.kafka.connection import options, silent
from flows.tools.checks.findings import Finding, Grade, Scene

__all__ = ["has_its_offsets", "is_its_own"]

ANSWER: dict[str, Any] = {"request_timeout": 10.0}
WATCH_SECONDS = 3.0  # for another process to commit once more; it does so with every epoch
UNTOLD = frozenset({KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION})


class Committed(NamedTuple):
    """How far a partition was read, and by whom: host:process:token."""

    offset: int
    by: str


def is_its_own(scene: Scene, pause: Callable[[float], None] = time.sleep) -> Iterator[Finding]:
    """See that no other consumer uses the group id: it would commit offsets that are not ours."""
    group = scene.settings.kafka.group
    admin = AdminClient(options(scene.settings.kafka), logger=silent())
    remedy = "give it, or this pipeline, another group id (kafka.group)"
    for member in _members(admin, group):
        told = f"expected nobody else in group {group}, got a consumer {member}"
        yield Finding("kafka.group", told, remedy)
    before = _committed(admin, scene)
    others = {number: each for number, each in before.items() if not _is_holder(each, scene)}
    if not others:
        return
    pause(WATCH_SECONDS)
    after = _committed(admin, scene)
    moving = {each.by for number, each in after.items()
              if number in others and each.offset != others[number].offset}  # fmt: skip
    for by in sorted(moving):
        host, _, rest = by.partition(":")
        told = (
            f"expected nobody else to read as group {group}, got process {rest.partition(':')[0]}"
        )
        remedy = "stop that one: codes come from both; or give one another kafka.group and folder"
        yield Finding("kafka.group", f"{told} of host {host}", remedy)


def has_its_offsets(scene: Scene) -> Iterator[Finding]:
    """See that the readings to go on with are still there."""
    topic, settings = scene.settings.topics.source, scene.settings
    admin = AdminClient(options(settings.kafka), logger=silent())
    committed = _committed(admin, scene)
    earliest, latest = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
    first, end = (_ends(admin, topic, committed, spec) for spec in (earliest, latest))
    stops = settings.recovery.expired == "stop"
    for number, each in committed.items():
        told = f"expected offset {each.offset}, where the group goes on, to be there, got "
        if each.offset < first[number]:
            lost = f"{told}{first[number]} as the earliest: retention has deleted what was not read"
            remedy = (
                'the flow would not start: set recovery.expired = "earliest" to go on without them'
                if stops
                else "the flow goes on with the earliest; raise retention.ms of that topic"
            )
            grade: Grade = "problem" if stops else "advice"
            yield Finding(f"{topic}/{number}", lost, remedy, grade)
        elif each.offset > end[number]:
            shorter = f"{told}{end[number]} as its end: the topic was made anew"
            remedy = "delete the group's offsets (kafka-consumer-groups --delete-offsets), or take "
            yield Finding(f"{topic}/{number}", shorter, f"{remedy}another kafka.group")


def _members(admin: AdminClient, group: str) -> list[str]:
    """List who has subscribed in a group's name; the pipeline does not, it assigns."""
    try:
        found = admin.describe_consumer_groups([group], **ANSWER)[group].result()
    except KafkaException as problem:
        if problem.args[0].code() in UNTOLD:
            return []
        raise
    return [f"{each.client_id} at {each.host}" for each in found.members]


def _committed(admin: AdminClient, scene: Scene) -> dict[int, Committed]:
    """How far this worker's partitions were read, where anybody committed it."""
    topic, group = scene.settings.topics.source, scene.settings.kafka.group
    partitions = 0 if scene.cluster is None else scene.cluster.partitions.get(topic, 0)
    parts = [TopicPartition(topic, number) for number in scene.settings.workers.own(partitions)]
    if not parts:
        return {}
    asked = [ConsumerGroupTopicPartitions(group, parts)]
    found = admin.list_consumer_group_offsets(asked, **ANSWER)[group].result()
    return {
        part.partition: Committed(part.offset, part.metadata or "")
        for part in found.topic_partitions
        if part.offset >= 0
    }


def _is_holder(committed: Committed, scene: Scene) -> bool:
    """Whether that was written by the process that has the recovery folder."""
    return bool(scene.holder) and committed.by.startswith(f"{socket.gethostname()}:{scene.holder}:")


def _ends(
    admin: AdminClient, topic: str, partitions: Mapping[int, Committed], spec: OffsetSpec
) -> dict[int, int]:
    if not partitions:
        return {}
    asked = {TopicPartition(topic, number): spec for number in partitions}
    answers = admin.list_offsets(asked, **ANSWER)
    return {part.partition: answer.result().offset for part, answer in answers.items()}
