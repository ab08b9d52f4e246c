"""The witness: reads what the pipeline writes, as any reader would, and keeps the ledger.

It has a client of its own; from the pipeline it knows the names of the topics alone.
"""

import threading
import time
from collections import deque
from typing import Any

from kafka import KafkaConsumer

from flows.settings import TopicSettings
from flows.tools.feed import Sent
from flows.tools.figures import Figures
from flows.tools.ledger import Ledger
from flows.wire import decode_codes, decode_dictionary

__all__ = ["Witness"]

POLL_MS = 50


class Witness:
    """Reads what comes out, and compares it with what was sent.

    Parameters
    ----------
    options : dict
        How kafka-python reaches the broker.
    topics : TopicSettings
        Their names.
    ledger : Ledger
    figures : Figures
        What is kept; only the thread in `read` writes to them.

    Attributes
    ----------
    first_code_at : float or None
        When the first code was read, as `time.time` has it.
    """

    def __init__(
        self, options: dict[str, Any], topics: TopicSettings, ledger: Ledger, figures: Figures
    ) -> None:
        self.ledger, self.figures = ledger, figures
        self.first_code_at: float | None = None
        self._options, self._topics = options, topics
        self._sent: deque[Sent] = deque()

    def sent(self, reading: Sent) -> None:
        """Hear of a reading that the broker confirmed; any thread may tell."""
        self._sent.append(reading)

    @property
    def settled(self) -> bool:
        """Whether every reading heard of has come back."""
        return not self._sent and self.ledger.settled

    def read(self, done: threading.Event) -> None:
        """Read until told that it is done, and then once more."""
        topics = self._topics
        consumer = KafkaConsumer(
            topics.codes,
            topics.dictionaries,
            topics.dead_letters,
            **self._options,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=POLL_MS,
        )
        last = False
        while not last:
            last = done.is_set()
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                for record in records:
                    self._enter(record)
            self._settle()
        consumer.close()

    def _enter(self, record: Any) -> None:
        now = time.monotonic()
        if record.topic == self._topics.dead_letters:
            headers = dict(record.headers)
            place = int(headers["oodl-partition"]), int(headers["oodl-offset"])
            self.ledger.dead_letter(place, now)
        elif record.topic == self._topics.codes:
            self.first_code_at = self.first_code_at or time.time()
            for code in decode_codes(record.value):
                self.ledger.code(code, now)
        elif record.value is not None:  # else a version that was superseded
            self.ledger.dictionary(decode_dictionary(record.value))

    def _settle(self) -> None:
        while self._sent:
            self.ledger.sent(self._sent.popleft())
        self.figures.add(self.ledger.settle(time.monotonic()))
