"""What the pipeline and each tool have to be allowed on the broker, and nothing beyond it.

docs/security.md shows the same as a table, with the commands that grant it.
"""

from collections.abc import Iterator

from flows.kafka import Right
from flows.settings import Settings

__all__ = [
    "group_of_part",
    "group_of_repartition",
    "to_decode",
    "to_inspect",
    "to_repartition",
    "to_replay",
    "to_resend",
    "to_run",
    "to_see_letters",
    "to_send",
    "transactions_of_part",
    "transactions_of_repartition",
]


def group_of_part(group: str, part: str, parts: int) -> str:
    """Name the consumer group that has how far the outputs of a part of the sink reach.

    >>> group_of_part("oodl", "00003", 8)
    'oodl.outputs.00003-of-00008'
    """
    return f"{group}.outputs.{part}-of-{parts:05d}"


def transactions_of_part(settings: Settings, part: str, parts: int) -> str:
    """Name the transactions of a part of the sink: of several workers each has its own.

    How far they reach is kept in one group for all: what a worker committed of a partition, the one
    that has the partition after `oodl rebalance` knows.

    >>> transactions_of_part(Settings(workers={"index": 1, "count": 2}), "00003", 8)
    'oodl.outputs.00003-of-00008.worker-00001'
    """
    name, workers = group_of_part(settings.kafka.group, part, parts), settings.workers
    return name if workers.count == 1 else f"{name}.worker-{workers.index:05d}"


def to_run(settings: Settings, parts: int) -> Iterator[Right]:
    """Yield what `oodl run` needs; `parts` is how many the sink has."""
    names = settings.topics
    role = "readings" if names.repartitioned is None else "repartitioned"
    yield Right("Read", "topic", names.source, f"topics.{role}")
    yield Right("Read", "group", settings.kafka.group, "kafka.group")
    yield Right("Write", "topic", names.codes, "topics.codes")
    yield Right("Write", "topic", names.dictionaries, "topics.dictionaries")
    yield Right("Write", "topic", names.dead_letters, "topics.dead_letters")
    # with which a flow goes on that has lost its snapshots
    yield Right("Read", "topic", names.dictionaries, "topics.dictionaries")
    if settings.recovery.delivery == "exactly-once":
        for number in range(parts):
            part = f"{number:05d}"
            group = group_of_part(settings.kafka.group, part, parts)
            name = transactions_of_part(settings, part, parts)
            yield Right("Read", "group", group, "kafka.group")
            yield Right("Write", "transactional-id", name, "kafka.group")


def group_of_repartition(settings: Settings) -> str:
    """Name the consumer group of `oodl repartition`.

    >>> group_of_repartition(Settings())
    'oodl.repartition'
    """
    return f"{settings.kafka.group}.repartition"


def transactions_of_repartition(settings: Settings) -> str:
    """Name its transactions: of several workers each has its own."""
    return f"{group_of_repartition(settings)}.worker-{settings.workers.index:05d}"


def to_repartition(settings: Settings) -> Iterator[Right]:
    """Yield what `oodl repartition` needs."""
    names, group = settings.topics, group_of_repartition(settings)
    yield Right("Read", "topic", names.readings, "topics.readings")
    yield Right("Read", "group", group, "kafka.group")
    yield Right("Write", "topic", names.source, "topics.repartitioned")
    yield Right("Write", "topic", names.dead_letters, "topics.dead_letters")
    if settings.recovery.delivery == "exactly-once":
        yield Right("Read", "group", f"{group}.reached", "kafka.group")
        name = transactions_of_repartition(settings)
        yield Right("Write", "transactional-id", name, "kafka.group")


def to_send(settings: Settings) -> Iterator[Right]:
    """Yield what `oodl simulate` and `oodl sense` need."""
    yield Right("Write", "topic", settings.topics.readings, "topics.readings")


def to_replay(settings: Settings, topic: str | None = None) -> Iterator[Right]:
    """Yield what `oodl replay` needs; of a topic that is replayed the right to read it."""
    yield from to_send(settings)
    if topic is not None:
        yield Right("Read", "topic", topic, "replay")


def to_decode(settings: Settings) -> Iterator[Right]:
    """Yield what `oodl decode --follow` needs; it is in no group."""
    yield Right("Read", "topic", settings.topics.codes, "topics.codes")
    yield Right("Read", "topic", settings.topics.dictionaries, "topics.dictionaries")


def to_inspect(settings: Settings) -> Iterator[Right]:
    """Yield what `oodl inspect` needs; without the right to the group it tells no lag."""
    yield from to_decode(settings)


def to_see_letters(settings: Settings) -> Iterator[Right]:
    """Yield what `oodl dead-letters list` and `explain` need."""
    yield Right("Read", "topic", settings.topics.dead_letters, "topics.dead_letters")


def to_resend(settings: Settings) -> Iterator[Right]:
    """Yield what `oodl dead-letters send-again` needs in any case: it writes notes as well.

    To send again what was cut it has to read the readings besides, and for a code that was refused
    to write codes.
    """
    yield from to_see_letters(settings)
    yield Right("Write", "topic", settings.topics.dead_letters, "topics.dead_letters")
    yield Right("Write", "topic", settings.topics.readings, "topics.readings")
