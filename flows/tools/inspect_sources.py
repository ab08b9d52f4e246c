"""Where the figures of groups come from: topics, committed offsets, snapshots, the pipeline itself.

Each figure has one source. What cannot be reached is told, and its figures are left out.
"""

import json
import sqlite3
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flows import access
from flows.kafka import BrokerError, Newest, admit, committed, extents
from flows.manifest import Manifest, ManifestError
from flows.manifest import read as read_manifest
from flows.settings import Settings, worker_folder
from flows.snapshots import GROUPS, sizes
from flows.tools.inspect_figures import Recent
from flows.tools.progress import progress
from flows.wire import CodeMessage, WireError, decode_codes

__all__ = ["Published", "Seen", "look"]

ANSWER_SECONDS = 2.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # where one listens, and where one asks


class _Head(msgspec.Struct):
    """What a dictionary's message says beside its matrix."""

    group: str
    id: str
    version: int
    channels: list[str]
    window: int
    usual: int
    limit: float | None
    partition: int
    offset: int
    restart: bool


class Published(msgspec.Struct):
    """A version that was published; `value` is its whole message, of the group that is looked at.

    `stamp` is when the broker took it, in seconds.
    """

    head: _Head
    stamp: float
    value: bytes = b""

    @property
    def size(self) -> int:
        """Numbers a frame."""
        return len(self.head.channels) * self.head.window


@dataclass(slots=True)
class Seen:
    """What was found.

    Attributes
    ----------
    versions : dict
        By group, those that are in the topic, in the order in which they were learned.
    recent : dict
        By group, what its newest codes say.
    codes : list
        Those of the group that is looked at.
    read : int
        Messages of codes that were read.
    lags : dict of int to int, or None
        Readings of each partition that have no snapshot yet.
    states : dict of str to int, or None
        Bytes of each group's state.
    pipeline : dict or None
        What the pipeline says of itself: state, seconds, reason.
    problems : list of str
        What could not be reached, or not be read.
    """

    versions: dict[str, list[Published]] = field(default_factory=lambda: defaultdict(list))
    recent: dict[str, Recent] = field(default_factory=lambda: defaultdict(Recent))
    codes: list[CodeMessage] = field(default_factory=list)
    read: int = 0
    lags: dict[int, int] | None = None
    states: dict[str, int] | None = None
    pipeline: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)

    def current(self, group: str) -> Published | None:
        """Return the version that the newest code names, else the one published last."""
        versions = self.versions.get(group, [])
        recent = self.recent.get(group)
        named = [each for each in versions if recent is not None and each.head.id == recent.id]
        found = named or versions
        return found[-1] if found else None


def look(settings: Settings, newest: int, group: str | None = None) -> Seen:
    """Look at everything there is.

    Parameters
    ----------
    settings : Settings
    newest : int
        How many messages of codes to go back.
    group : str or None
        The one of which codes and dictionaries are kept.

    Raises
    ------
    BrokerError
        When the broker does not answer, or does not let this client read codes and dictionaries.
    """
    seen, topics = Seen(), settings.topics
    cluster = admit(settings.kafka, access.to_inspect(settings))
    cluster.require(codes=topics.codes, dictionaries=topics.dictionaries)
    _read_dictionaries(seen, settings, cluster.partitions[topics.dictionaries], group)
    _read_codes(seen, settings, cluster.partitions[topics.codes], newest, group)
    seen.lags = _lags(seen, settings, cluster.partitions.get(topics.source, 0))
    seen.states = _states(seen, settings)
    seen.pipeline = _pipeline(seen, settings)
    return seen


def _read_dictionaries(seen: Seen, settings: Settings, partitions: int, group: str | None) -> None:
    decoder = msgspec.json.Decoder(_Head)
    found: dict[bytes, Published] = {}
    topic, bad = settings.topics.dictionaries, 0
    with progress(topic, "messages") as tell:
        messages = Newest(settings.kafka, topic, partitions)
        for done, raw in enumerate(messages, start=1):
            tell(done, len(messages))
            key, value = raw.key() or b"", raw.value()
            found.pop(key, None)  # what comes again, comes last
            if value is None:
                continue
            try:
                head = decoder.decode(value)
            except (msgspec.DecodeError, UnicodeError):
                bad += 1
                continue
            kept = value if head.group == group else b""
            found[key] = Published(head, max(0, raw.timestamp()[1]) / 1000, kept)
    for each in sorted(found.values(), key=_learned):
        seen.versions[each.head.group].append(each)
    if bad:
        seen.problems.append(f"{topic}: {bad:,} messages are no dictionaries; is it the right one?")


def _learned(published: Published) -> tuple[int, int, float]:
    """Order versions of a group as they were learned: stamps of two partitions may be the same."""
    return published.head.offset, published.head.version, published.stamp


def _read_codes(
    seen: Seen, settings: Settings, partitions: int, newest: int, group: str | None
) -> None:
    topic, bad = settings.topics.codes, 0
    with progress(topic, "messages") as tell:
        messages = Newest(settings.kafka, topic, partitions, newest)
        for done, raw in enumerate(messages, start=1):
            tell(done, len(messages))
            try:
                codes = decode_codes(raw.value() or b"")
            except WireError:
                bad += 1
                continue
            seen.read += 1
            for code in codes:
                seen.recent[code.group].add(code)
                if code.group == group:
                    seen.codes.append(code)
    if bad:
        seen.problems.append(f"{topic}: {bad:,} messages are no codes; is it the right topic?")


def _lags(seen: Seen, settings: Settings, partitions: int) -> dict[int, int] | None:
    topic, group = settings.topics.source, settings.kafka.group
    if not partitions:
        seen.problems.append(
            f"lag: no topic {topic} to be seen; grant Describe, or create it by `oodl topics`"
        )
        return None
    try:
        ends = extents(settings.kafka, topic, partitions)
        reached = committed(settings.kafka, group, topic, partitions)
    except BrokerError as problem:
        seen.problems.append(f"lag: {problem}")
        return None
    return {
        part: end - min(end, max(begin, reached.get(part, begin)))
        for part, (begin, end) in ends.items()
    }


def _states(seen: Seen, settings: Settings) -> dict[str, int] | None:
    """Read how large states are, of all workers whose folders are here."""
    found: dict[str, int] = {}
    try:
        for manifest in _manifests(settings):
            top = settings.recovery.folder
            found |= sizes(worker_folder(top, manifest.worker, manifest.workers), GROUPS)
    except (ManifestError, OSError, sqlite3.Error) as problem:
        seen.problems.append(f"state: {problem}")
        return None
    if not found:
        where = settings.recovery.folder
        seen.problems.append(f"state: no snapshots in {where}; it is where the pipeline runs")
        return None
    return found


def _manifests(settings: Settings) -> Iterator[Manifest]:
    top = settings.recovery.folder
    for place in (top, *sorted(top.glob("worker-*"))):
        if (found := read_manifest(place)) is not None:
            yield found


def _pipeline(seen: Seen, settings: Settings) -> dict[str, Any] | None:
    """Ask the (first) process of the pipeline how it does."""
    metrics = settings.metrics
    address = EVERYWHERE.get(metrics.address, metrics.address)
    place = f"http://{address}:{metrics.port}/healthz"
    try:
        with urllib.request.urlopen(place, timeout=ANSWER_SECONDS) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as unwell:
        with unwell:
            told = _json_of(unwell.read())
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        seen.problems.append(f"pipeline: no answer at {place} ({reason}); does it run here?")
        return None
    if not isinstance(told, dict) or "state" not in told:
        seen.problems.append(f"pipeline: something else answers at {place}; see metrics.port")
        return None
    return told


def _json_of(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
