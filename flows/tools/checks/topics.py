"""Whether the topics are there, and like what the settings need."""

from collections.abc import Iterator

from flows.kafka import BrokerError
from flows.tools.checks.findings import Finding, Grade, Scene, of_error
from flows.tools.comparing import compare
from flows.tools.topic_rules import Difference, wanted

__all__ = ["as_needed"]


def as_needed(scene: Scene) -> Iterator[Finding]:
    """Compare those that the pipeline reads and writes, as `oodl topics --compare` does."""
    settings, cluster = scene.settings, scene.cluster
    if cluster is None:
        return
    used = settings.topics.of_pipeline
    roles = {name: f"topics.{role}" for role, name in used.items()}
    seen = [topic for topic in wanted(settings) if topic.name in roles]
    there = cluster.partitions.keys() - scene.denied
    missing = [topic for topic in seen if topic.name not in cluster.partitions]
    for topic in missing:
        if topic.name not in scene.denied:
            told = f"expected topic {topic.name}, got none of that name"
            yield Finding(roles[topic.name], told, "create it with `oodl topics`")
    yield from _enough(scene)
    try:
        differences = compare(
            [topic for topic in seen if topic.name in there], there, settings.kafka
        )
    except BrokerError as untold:
        yield from of_error(untold, "unknown")
        return
    for difference in differences:
        yield _finding(difference)


def _finding(each: Difference) -> Finding:
    told = f"expected {each.expected}, got {each.got}"
    grade: Grade = "problem" if each.grave else "advice"
    return Finding(f"{each.topic}: {each.what}", told, each.remedy, grade)


def _enough(scene: Scene) -> Iterator[Finding]:
    """See that each worker has a partition to read."""
    source, workers = scene.settings.topics.source, scene.settings.workers.count
    partitions = {} if scene.cluster is None else scene.cluster.partitions
    if 0 < partitions.get(source, 0) < workers:
        yield Finding(
            "workers.count",
            f"expected at most {partitions[source]}, the partitions of {source}, got {workers}",
            "lower it, or add partitions",
        )
