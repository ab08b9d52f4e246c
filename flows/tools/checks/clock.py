"""Whether this host's clock and the brokers' agree; nothing is written to find it out.

The controller stamps what it says of its quorum, which a client may ask for that may Describe the
cluster. Else the broker's clock shows in what it has stamped: a message from our future tells that
it is ahead, and nothing tells that it is behind.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from flows.kafka import client_options
from flows.kafka.connection import options, silent
from flows.tools.checks.findings import Finding, Scene
from oodl.errors import ValueFault

__all__ = ["Glimpse", "agrees", "skew"]

MOST_SECONDS = 5.0  # an hour of surprise needs no better clock; dashboards show seconds of lag
ANSWER: dict[str, Any] = {"request_timeout": 10.0}
REMEDY = "let NTP set both clocks (`timedatectl`): lags, and when old dictionaries go, are by them"


class Glimpse(NamedTuple):
    """The controller's clock, and ours before it was asked and after it answered; in seconds."""

    before: float
    there: float
    after: float


def agrees(scene: Scene, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Ask for the time if that is allowed, else look for messages from the future."""
    try:
        with KafkaAdminClient(**client_options(scene.settings)) as admin:
            glimpse = _glimpse(admin, clock)
    except (KafkaError, ValueFault, LookupError) as untold:
        yield from _from_stamps(scene, clock, untold)
        return
    if abs(ahead := skew(glimpse)) > MOST_SECONDS:
        yield _apart(ahead)


def skew(glimpse: Glimpse) -> float:
    """Return by how many seconds the broker is ahead at least; 0 while it could be none.

    Examples
    --------
    >>> skew(Glimpse(100.0, 100.5, 101.0)), skew(Glimpse(100.0, 90.0, 101.0))
    (0.0, -10.0)
    """
    if glimpse.there > glimpse.after:
        return glimpse.there - glimpse.after
    return min(0.0, glimpse.there - glimpse.before)


def _glimpse(admin: KafkaAdminClient, clock: Callable[[], float]) -> Glimpse:
    before = clock()
    told = admin.describe_metadata_quorum()
    after = clock()
    [partition] = told["topics"][0]["partitions"]
    if partition["error"]:
        raise LookupError(partition["error"])
    leader = partition["leader_id"]
    stamps = [
        voter["last_fetch_timestamp"]
        for voter in partition["current_voters"]
        if voter["replica_id"] == leader
    ]
    if not stamps or stamps[0] < 0:
        msg = "no time of the leader"
        raise LookupError(msg)
    return Glimpse(before, stamps[0] / 1000, after)


def _from_stamps(scene: Scene, clock: Callable[[], float], untold: Exception) -> Iterator[Finding]:
    """Compare the newest message of each topic that the broker stamps."""
    names = scene.settings.topics
    partitions = {} if scene.cluster is None else scene.cluster.partitions
    newest_one = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
    asked = {
        TopicPartition(topic, number): newest_one
        for topic in (names.codes, names.dictionaries, names.dead_letters)
        for number in range(partitions.get(topic, 0))
        if topic not in scene.denied
    }
    admin = AdminClient(options(scene.settings.kafka), logger=silent())
    answers = admin.list_offsets(asked, **ANSWER).values() if asked else ()
    newest = max((answer.result().timestamp for answer in answers), default=-1) / 1000
    if (ahead := newest - clock()) > MOST_SECONDS:
        yield _apart(ahead)
        return
    yield Finding(
        "clock",
        f"expected to be told the broker's time, got {untold!r}",
        "grant Describe of the cluster to see it; no message is from the future",
        "unknown",
    )


def _apart(ahead: float) -> Finding:
    told = f"{abs(ahead):,.0f} s {'ahead' if ahead > 0 else 'behind'}"
    return Finding("clock", f"expected the broker's clock to be this host's, got {told}", REMEDY)
