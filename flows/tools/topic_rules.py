"""What the topics have to be like, and how one that exists differs: no broker in here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flows.settings import Settings

__all__ = ["KEYS", "PARTITIONS", "Difference", "Found", "Topic", "wanted"]

PARTITIONS = 6  # of readings and codes: as many workers can share the work
SIZE = "max.message.bytes"  # what a topic allows beyond our own limit does no harm
STAMP, POLICY = "message.timestamp.type", "cleanup.policy"
COPIES, KEPT = "min.insync.replicas", "retention.ms"
KEYS = (SIZE, STAMP, POLICY, COPIES, KEPT)  # what is compared
DAY_MS = 86_400_000
FOR_EVER = -1
MANY = 3  # copies; of so many one may be away while two confirm


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is.

    Parameters
    ----------
    partitions, copies : int
    settings : mapping of str to str
        By Kafka's names, those of `KEYS`.
    """

    partitions: int
    copies: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which a topic is not as it should be.

    Parameters
    ----------
    topic, what, expected, got, remedy : str
    grave : bool
        Whether the pipeline does wrong with it; else it is worth to be known.

    Examples
    --------
    >>> print(Difference("codes", "cleanup.policy", "delete", "compact", "alter it"))
    codes: cleanup.policy: expected delete, got compact; alter it
    """

    topic: str
    what: str
    expected: str
    got: str
    remedy: str
    grave: bool = True

    def __str__(self) -> str:
        return f"{self.topic}: {self.what}: expected {self.expected}, got {self.got}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be.

    Parameters
    ----------
    name : str
    partitions : int or None
        None: six when it is created, and any number is fine when it exists.
    settings : mapping of str to str
        By Kafka's names; what it is created with.
    kept_ms : int
        How long its messages are to be kept at least.
    """

    name: str
    partitions: int | None
    settings: Mapping[str, str]
    kept_ms: int = 0

    def differences(self, found: Found, bootstrap: str) -> Iterator[Difference]:
        """Say how the topic that exists differs, each with the command that mends it.

        Examples
        --------
        >>> topic = Topic("codes", None, {"max.message.bytes": "2000"})
        >>> asis = {"max.message.bytes": "1000", "min.insync.replicas": "1", "retention.ms": "-1"}
        >>> print(*topic.differences(Found(3, 1, asis), "kafka:9092"))
        codes: max.message.bytes: expected 2000, got 1000; kafka-configs --bootstrap-server \
kafka:9092 --alter --entity-type topics --entity-name codes --add-config max.message.bytes=2000
        """
        if self.partitions not in (None, found.partitions):
            yield self._partitions(found.partitions, bootstrap)
        for key, value in self.settings.items():
            got = found.settings[key]
            if not (int(got) >= int(value) if key == SIZE else got == value):
                yield Difference(self.name, key, value, got, self._alter(bootstrap, key, value))
        yield from self._copies(found, bootstrap)
        kept = int(found.settings[KEPT])
        if FOR_EVER < kept < self.kept_ms:
            remedy = self._alter(bootstrap, KEPT, str(self.kept_ms))
            expected = f"{self.kept_ms} at least"
            yield Difference(self.name, KEPT, expected, str(kept), remedy, grave=False)

    def _partitions(self, got: int, bootstrap: str) -> Difference:
        expected = self.partitions or 0
        remedy = f"fewer need a new topic, or leave --partitions {expected} out"
        if got < expected:
            remedy = (
                f"kafka-topics --bootstrap-server {bootstrap} --alter --topic {self.name} "
                f"--partitions {expected}; groups then change theirs"
            )
        return Difference(self.name, "partitions", str(expected), str(got), remedy)

    def _copies(self, found: Found, bootstrap: str) -> Iterator[Difference]:
        """Compare how many copies confirm a message with how many there are."""
        confirm, copies = int(found.settings[COPIES]), found.copies
        if confirm > copies:
            remedy = self._alter(bootstrap, COPIES, str(max(1, copies - 1)))
            expected = f"{copies} at most, so many copies there are"
            yield Difference(self.name, COPIES, expected, str(confirm), remedy)
        elif copies >= MANY and confirm == 1:
            remedy = (
                f"{self._alter(bootstrap, COPIES, '2')}; else what one broker confirmed is lost"
            )
            yield Difference(
                self.name, COPIES, f"2 of {copies} copies", "1", f"{remedy} with it", grave=False
            )

    def _alter(self, bootstrap: str, key: str, value: str) -> str:
        return (
            f"kafka-configs --bootstrap-server {bootstrap} --alter --entity-type topics "
            f"--entity-name {self.name} --add-config {key}={value}"
        )


def wanted(settings: Settings, partitions: int | None = None) -> list[Topic]:
    """List the topics as the settings need them.

    What we write is stamped by the broker, so that readings of any age are kept as long as others.
    What is not a state is never compacted: of a group's codes only the last would be left. Readings
    and dead letters are kept for a day at least, so that a pipeline may stand still for a night.
    """
    size = {SIZE: str(settings.kafka.max_message_bytes)}
    messages = size | {POLICY: "delete"}
    ours = messages | {STAMP: "LogAppendTime"}
    names = settings.topics
    internal = names.repartitioned
    return [
        *([] if internal is None else [Topic(internal, partitions, messages, DAY_MS)]),
        Topic(names.readings, partitions, messages, DAY_MS),
        Topic(names.codes, partitions, ours),
        Topic(names.dictionaries, None, ours | {POLICY: "compact"}),
        Topic(names.dead_letters, None, ours, DAY_MS),
    ]
