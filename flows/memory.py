"""What is left to go on from where the snapshots are gone: offsets, and the last dictionaries."""

from flows import events
from flows.events import Tally
from flows.kafka import committed, whole_topic
from flows.settings import Settings
from flows.wire import DictionaryMessage, WireError, decode_dictionary, to_version
from oodl.coding import Version

__all__ = ["Memory"]


class Memory:
    """What the broker has kept of a pipeline that has lost its snapshots.

    The readings that its consumer group has committed are done; a group of readings goes on with
    its last dictionary, once, and learns anew.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    partitions : dict of str to int
        Every topic, with how many partitions it has.
    lost : bool
        Whether there is no snapshot at all. In a cluster a group's readings may be read by one
        process and its step be in another, which has to know without having asked for an offset.
    """

    def __init__(
        self, settings: Settings, tally: Tally, partitions: dict[str, int], *, lost: bool = False
    ) -> None:
        self._settings, self._tally, self._partitions = settings, tally, partitions
        self._offsets = self._committed() if lost else None
        self._lost, self._recalled = lost, False
        self._last: dict[str, tuple[tuple[int, int], DictionaryMessage]] = {}

    def offset(self, partition: int) -> int | None:
        """Where to go on in a partition that has no snapshot; None: at its beginning.

        Raises
        ------
        BrokerError
            When the broker does not tell.
        """
        if self._offsets is None:
            self._offsets = self._committed()
        found = self._offsets.get(partition)
        if found is not None:
            self._recall()
        return found

    def channels(self, group: str) -> tuple[str, ...]:
        """Return the channels of a group's last dictionary, until it is taken; () without one."""
        found = self._last.get(group)
        return () if found is None else tuple(found[1].channels)

    def take(self, group: str) -> Version | None:
        """Return the last dictionary of a group, if there is one that fits; only once.

        Raises
        ------
        BrokerError
            When the broker does not tell.
        """
        if self._lost and self._offsets:
            self._recall()
        found = self._last.pop(group, None)
        if found is None or found[1].window != self._settings.for_group(group).coding.window:
            return None
        try:
            return to_version(found[1])
        except WireError as problem:
            events.oddity(self._tally, "dictionary_unreadable", str(problem))
            return None

    def _committed(self) -> dict[int, int]:
        kafka, topic = self._settings.kafka, self._settings.topics.source
        found = committed(kafka, kafka.group, topic, self._partitions[topic])
        own = self._settings.workers.own(self._partitions[topic])
        return {number: offset for number, offset in found.items() if number in own}

    def _recall(self) -> None:
        """Read the dictionaries once: what was committed has no snapshot any more."""
        if self._recalled:
            return
        self._recalled = True
        kafka, topic = self._settings.kafka, self._settings.topics.dictionaries
        for raw in whole_topic(kafka, kafka.group, topic, self._partitions[topic]):
            self._note(raw.value(), raw.timestamp()[1])
        events.warm_started(self._tally, groups=len(self._last))

    def _note(self, value: bytes | None, stamp: int) -> None:
        """Keep the dictionary of a group that was written last; version 0 has learned nothing."""
        if value is None:  # superseded
            return
        try:
            message = decode_dictionary(value)
        except WireError as problem:
            events.oddity(self._tally, "dictionary_unreadable", str(problem))
            return
        order = stamp, message.offset
        if message.version and order >= self._last.get(message.group, (order,))[0]:
            self._last[message.group] = order, message
