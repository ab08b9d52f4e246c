"""Messages to the internal topic: by which group, and when it stops; without a broker."""

import json
from collections.abc import Callable, Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from flows import dataflow, repartition
from flows.events import Tally
from flows.expired import ExpiredError
from flows.health import state
from flows.kafka import Cluster, DeliveryError, Health, OffsetExpired, Output, StopFlag
from flows.repartition import Repartition
from flows.settings import Settings
from oodl.errors import ValueFault
from tests.flows.partition import Raw


class Queue:
    """What arrives of a partition, once."""

    def __init__(self, raws: list[Raw], expired: OffsetExpired | None) -> None:
        self._raws, self._expired = raws, expired

    def take(self, _most: int) -> list[Raw]:
        raws, self._raws = self._raws, []
        return raws

    def take_expired(self) -> OffsetExpired | None:
        expired, self._expired = self._expired, None
        return expired

    def behind(self, _offset: int | None) -> int:
        return 3


class Way:
    """Keeps what is written."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.written: list[Output] = []
        self.closed = False
        self.confirmed: Callable[[Output], None] = self.written.append
        self._failing = failing

    def begin(self) -> dict[int, int]:
        return {}

    def write(self, output: Output) -> None:
        self.written.append(output)

    def hear(self) -> None:
        """Nothing is ever answered."""

    def commit(self, _reached: object) -> list[Any]:
        if self._failing:
            raise self._failing
        for output in self.written:
            self.confirmed(output)
        return []

    def close(self) -> None:
        self.closed = True


class RunningError(Exception):
    """It has not ended by itself."""


def run(
    monkeypatch: pytest.MonkeyPatch,
    raws: list[Raw],
    settings: Settings,
    expired: OffsetExpired | None = None,
    partitions: int = 1,
    way: Way | None = None,
) -> tuple[list[Output], Tally, bool]:
    """Move some messages; tell also whether it ended by itself."""
    health, tally, way = Health(), Tally(), way or Way()
    turns: Iterator[None] = iter([None] * 3)

    def rest(_queue: object) -> None:
        health.partitions["sensors.readings"] = partitions
        if next(turns, 0) == 0:
            raise RunningError

    consumer = SimpleNamespace(
        health=health,
        open=lambda *_: Queue(raws, expired),
        rest=rest,
        commit=lambda *_: None,
        close=lambda: None,
    )
    monkeypatch.setattr(repartition, "SharedConsumer", lambda *_, **__: consumer)

    def confirming(*given: Any) -> Way:
        *_, way.confirmed = given
        return way

    monkeypatch.setattr(repartition, "_Confirmed", confirming)
    cluster = Cluster("a", {"sensors.readings": 1})
    try:
        Repartition(settings, tally, StopFlag(), cluster).run()
    except RunningError:
        return way.written, tally, False
    return way.written, tally, True


def chosen(**more: Any) -> Settings:
    return Settings.model_validate({"topics": {"repartitioned": "internal"}, **more})


class Packed(Raw):
    def headers(self) -> Any:
        return [("content-type", b"msgpack")]


ONE = {"group": "oven", "sensor": "heat", "value": 1.5, "ts": 1.0}
FOREIGN = {"device": {"id": "oven"}, "sensor": "heat", "value": 1.5, "ts": 1.0}


@pytest.mark.parametrize(
    ("raw", "settings"),
    [
        (Raw(0, b"heat", json.dumps(ONE).encode()), {}),
        (Raw(0, b"heat", json.dumps(ONE | {"value": float("nan")}).encode()), {}),
        (Packed(0, b"heat", msgspec.msgpack.encode(ONE)), {}),
        (
            Raw(0, b"heat", json.dumps(FOREIGN).encode()),
            {"messages": {"fields": {"group": "device.id"}}},
        ),
    ],
)
def test_the_field_names_the_group_in_any_format_and_place(
    monkeypatch: pytest.MonkeyPatch, raw: Raw, settings: dict[str, Any]
) -> None:
    [output], *_ = run(monkeypatch, [raw], chosen(**settings))

    assert (output.topic, output.key, output.value) == ("internal", b"oven", raw.body)


@pytest.mark.parametrize("body", [b"{", b"", b'{"sensor": "heat", "value": 1}'])
def test_where_no_field_does_the_key_names_it(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    [output], *_ = run(monkeypatch, [Raw(0, b"heat", body)], chosen())

    assert output.key == b"heat"


class Laden(Raw):
    def headers(self) -> Any:
        return [("é", b"")] * 200


def test_what_has_no_room_with_its_headers_is_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a record that has the room for its bytes, not for its headers with their lengths
    settings = chosen(kafka={"max_message_bytes": 4096})
    raws: list[Raw] = [Laden(at, b"heat", b" " * size) for at, size in enumerate((1000, 2600))]

    first, second = run(monkeypatch, raws, settings)[0]

    assert (first.topic, second.topic) == ("internal", "sensors.dead-letters")
    assert dict(second.headers)["oodl-reason"] == b"size"


def test_what_was_confirmed_and_what_waits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    raws: list[Raw] = [Raw(0, b"heat", b"{}"), Laden(1, b"heat", b" " * 2600)]

    _, tally, _ = run(monkeypatch, raws, chosen(kafka={"max_message_bytes": 4096}))

    assert (tally.readings_received, tally.messages_repartitioned) == (2, 1)
    assert (tally.readings_rejected, tally.dead_letters_sent) == ({"size": 1}, 1)
    assert tally.lag_readings == {0: 3}
    assert state(monotonic(), tally.beats).name == "working"


def test_an_open_transaction_is_closed_when_a_message_is_not_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = Way(DeliveryError("internal: timed out"))

    with pytest.raises(DeliveryError):
        run(monkeypatch, [Raw(0, b"heat", b"{}")], chosen(), way=way)

    assert way.closed


def test_more_workers_than_partitions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueFault, match=r"at most the 1 partitions of sensors\.readings, got 2"):
        run(monkeypatch, [], chosen(workers={"count": 2, "index": 1}))


def test_a_partition_that_is_added_ends_it_for_a_start_that_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, tally, ended = run(monkeypatch, [], chosen(), partitions=2)

    assert ended
    assert tally.oddities["partitions_added"] == 1


@pytest.mark.parametrize("way", ["earliest", "stop"])
def test_an_offset_that_has_expired_is_told_and_stops_it_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    settings, expired = chosen(recovery={"expired": way}), OffsetExpired(0, 7, "gone")

    if way == "stop":
        with pytest.raises(ExpiredError, match=r"sensors\.readings/0: .*offset 7"):
            run(monkeypatch, [], settings, expired)
        return
    _, tally, _ = run(monkeypatch, [], settings, expired)
    assert tally.oddities["offset_expired"] == 1


def test_the_pipeline_does_not_ask_for_the_topic_that_it_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a client that may see what the pipeline reads and writes
    settings = chosen(workers={"count": 7})
    seen = [settings.topics.codes, settings.topics.dictionaries, settings.topics.dead_letters]
    cluster = Cluster("a", dict.fromkeys([*seen, "internal"], 6))
    monkeypatch.setattr(dataflow, "admit", lambda *_: cluster)

    with pytest.raises(ValueFault, match="got 6 partitions of internal for 7"):
        dataflow.assemble(settings, Tally(), StopFlag())
