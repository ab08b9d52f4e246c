"""Messages of dead letters on their way back to where they came from.

Each carries how often it was sent again, and a note beside its letter says that it was: neither a
message that stays bad nor a command that is repeated goes round for ever.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from flows.kafka import DeliveryError
from flows.reading import reader
from flows.settings import Settings
from flows.tools.letters import SENT_AGAIN, Letter, Note, Place, Record
from flows.tools.sender import PRODUCER
from flows.wire import Fault

__all__ = ["BATCH", "Judge", "Resender", "Verdict"]

BATCH = 200  # messages that are confirmed before their notes are written
LARGEST = 100_000_000  # bytes; the broker has a limit of its own
PATIENCE = 30.0  # seconds for a confirmation; longer than the client's own

Verdict = Literal["sent", "already", "too-often", "unreadable", "not-whole", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Judge:
    """Tells which letters are worth to be sent again.

    Parameters
    ----------
    settings : Settings
        Those in force now, after what was wrong has been mended.
    fetch : callable
        Returns the record at a place, None where it is no longer there.
    most : int
        A message that was sent again so often is not once more.
    force : bool
        Send also what was, and what the settings would refuse again.
    """

    settings: Settings
    fetch: Callable[[Place], Record | None]
    most: int = 1
    force: bool = False

    def __call__(self, letter: Letter, *, noted: bool) -> tuple[Verdict, bytes | None]:
        """Return what is to become of a letter, and the whole value of its message."""
        topics = self.settings.topics
        if letter.origin.topic not in (topics.readings, topics.source):
            return "elsewhere", None
        if noted and not self.force:
            return "already", None
        if letter.times >= self.most and not self.force:
            return "too-often", None
        whole = letter.value if letter.size is None else self._whole(letter)
        if letter.size is not None and whole is None:
            return "not-whole", None
        if self._readable(letter, whole) or self.force:
            return "sent", whole
        return "unreadable", None

    def _whole(self, letter: Letter) -> bytes | None:
        """Fetch what was cut from where it came; a refused output was never there."""
        if letter.reason == "refused":
            return None
        found = self.fetch(letter.origin)
        value = None if found is None else found.value
        same = value is not None and sha256(value).hexdigest() == letter.sha256
        return value if same else None

    def _readable(self, letter: Letter, whole: bytes | None) -> bool:
        if letter.reason == "refused":
            return True
        message = letter.message()
        message.value = whole
        return not isinstance(reader(self.settings).message(message), Fault)


class _Waiting(NamedTuple):
    letter: Letter
    future: Any


class Resender:
    """Sends messages again and writes the notes.

    Guarantee
        A note is written once the broker has confirmed the message. When that fails in between, at
        most `BATCH` messages are sent once more the next time.
    Order
        That of the letters of a partition. A message goes to the partition that it came from.
    Limits
        A header without a value has an empty one; kafka-python has no other.

    Parameters
    ----------
    options : dict
        How kafka-python reaches the broker.
    settings : Settings
    """

    def __init__(self, options: dict[str, Any], settings: Settings) -> None:
        self.sent: Counter[str] = Counter()
        self._topics = settings.topics
        self._waiting: list[_Waiting] = []
        try:
            self._producer = KafkaProducer(
                **(PRODUCER | options), enable_idempotence=True, max_request_size=LARGEST
            )
        except KafkaError as problem:
            raise self._failed(problem) from problem

    def send(self, letter: Letter, value: bytes | None) -> None:
        """Send a letter's message; it counts once it is confirmed.

        Raises
        ------
        DeliveryError
            If the broker does not confirm.
        """
        topic, partition = self._target(letter)
        try:
            future = self._producer.send(
                topic,
                value,
                letter.key,
                headers=[*letter.headers, (SENT_AGAIN, b"%d" % (letter.times + 1))],
                partition=partition,
                timestamp_ms=round(1000 * letter.stamp) if letter.stamp >= 0 else None,
            )
        except (KafkaError, AssertionError) as problem:
            raise self._failed(problem) from problem
        self._waiting.append(_Waiting(letter, future))
        if len(self._waiting) >= BATCH:
            self.settle()

    def settle(self) -> None:
        """Wait until what was sent is confirmed, and note it.

        Raises
        ------
        DeliveryError
            If the broker does not confirm; what it has confirmed is noted.
        """
        waiting, self._waiting = self._waiting, []
        failures: list[KafkaError] = []
        notes = []
        for letter, future in waiting:
            try:
                where = future.get(PATIENCE)
                self.sent[letter.reason] += 1
                notes.append(self._note(letter, Place(where.topic, where.partition, where.offset)))
            except KafkaError as problem:
                failures.append(problem)
        for note in notes:
            try:
                note.get(PATIENCE)
            except KafkaError as problem:
                failures.append(problem)
        if failures:
            raise self._failed(failures[0]) from failures[0]

    def close(self) -> None:
        """Let go of the broker; `settle` comes before."""
        self._producer.close(timeout=PATIENCE)

    def _target(self, letter: Letter) -> tuple[str, int]:
        """A reading goes to its partition, a code to that of its group, as the sink has it."""
        if letter.reason != "refused":
            return letter.origin.topic, letter.origin.partition
        count = len(self._producer.partitions_for(self._topics.codes))
        return self._topics.codes, zlib.crc32(letter.key or b"") % count

    def _note(self, letter: Letter, to: Place) -> Any:
        return self._producer.send(
            letter.at.topic,
            b"",
            letter.key,
            headers=Note.headers(letter, to),
            partition=letter.at.partition,
        )

    def _failed(self, problem: Exception) -> DeliveryError:
        return DeliveryError(
            f"expected the broker to confirm, got {problem!r} after {sum(self.sent.values())} "
            "messages; what was confirmed is noted, so start again when the broker is up"
        )
