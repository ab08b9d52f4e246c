"""Codes and dictionaries from the topics of a broker, as they come."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

from flows.settings import TopicSettings
from flows.tools.rebuild import Rebuilder
from flows.tools.topic import POLL_MS, opened
from flows.wire import CodeMessage

__all__ = ["Follower"]

PATIENCE = 10.0  # seconds that a dictionary may come later than the code that names it


class Follower:
    """Reads both topics from their beginning and hands codes on when their dictionary is there.

    Of codes in transactions those that are committed are read.

    A dictionary is confirmed before the first code that names it is sent, but comes from another
    topic: for a code without one that topic is read to where it ends now. Where topics are mirrored
    it may come later still: without an end to reach, a code waits for it, and all that follow with
    it, at most `patience` seconds once.

    Parameters
    ----------
    rebuilder : Rebuilder
        Decodes and writes.
    options : dict
        How kafka-python reaches the broker.
    topics : TopicSettings
        Their names.
    patience : float
        Seconds.

    Attributes
    ----------
    messages : int
        How many codes there were at the start, as far as offsets tell.

    Raises
    ------
    MissingTopicError
        If a topic is not there.
    """

    def __init__(
        self,
        rebuilder: Rebuilder,
        options: dict[str, Any],
        topics: TopicSettings,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._rebuilder, self._patience = rebuilder, patience
        with ExitStack() as opening:
            self._dictionaries = opening.enter_context(_Topic(topics.dictionaries, options))
            self._codes = opening.enter_context(_Topic(topics.codes, options))
            self.messages = self._codes.length()
            self._opened = opening.pop_all()
        self._given_up: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def read(self, *, until_end: bool) -> Iterator[int]:
        """Decode what comes and tell how many messages, poll by poll; for ever, or to the end.

        The end is where the topic of codes ends at the start.
        """
        ends = self._codes.ends() if until_end else None
        patience = 0.0 if until_end else self._patience
        self._read_dictionaries()
        while ends is None or not self._codes.reached(ends):
            messages = list(self._codes.poll())
            for place, value in messages:
                self._take(place, value, patience)
            yield len(messages)

    def _take(self, place: str, value: bytes, patience: float) -> None:
        for code in self._rebuilder.codes(value, place):
            self._await(code, patience)
            self._rebuilder.write(code, place)

    def _await(self, code: CodeMessage, patience: float) -> None:
        name = code.group, code.id
        if self._rebuilder.knows(code) or name in self._given_up:
            return
        self._read_dictionaries()
        until = time.monotonic() + patience
        while not self._rebuilder.knows(code) and time.monotonic() < until:
            self._poll_dictionaries()
        if not self._rebuilder.knows(code):
            self._given_up.add(name)

    def _read_dictionaries(self) -> None:
        """Read all dictionaries that are there now."""
        present = self._dictionaries.ends()
        while not self._dictionaries.reached(present):
            self._poll_dictionaries()

    def _poll_dictionaries(self) -> None:
        for place, value in self._dictionaries.poll():
            self._rebuilder.dictionary(value, place)


class _Topic:
    """All partitions of a topic, from the beginning."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self._consumer, _ = opened(name, options)
        self._consumer.seek_to_beginning()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def ends(self) -> dict[Any, int]:
        """Where each partition ends now."""
        ends: dict[Any, int] = self._consumer.end_offsets(list(self._consumer.assignment()))
        return ends

    def length(self) -> int:
        """Say how many messages there are now."""
        ends = self.ends()
        starts: dict[Any, int] = self._consumer.beginning_offsets(list(ends))
        return sum(end - starts[partition] for partition, end in ends.items())

    def reached(self, ends: dict[Any, int]) -> bool:
        """Whether all up to there was read."""
        return all(self._consumer.position(partition) >= end for partition, end in ends.items())

    def poll(self) -> Iterator[tuple[str, bytes]]:
        """Messages that have come, and where they stand; tombstones are none."""
        for records in self._consumer.poll(timeout_ms=POLL_MS).values():
            for record in records:
                if record.value is not None:
                    place = f"{self.name}, partition {record.partition}, offset {record.offset}"
                    yield place, record.value
