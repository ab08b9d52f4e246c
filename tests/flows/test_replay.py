"""What is replayed, when and how, without a broker or on the embedded one."""

import json
import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from kafka import KafkaConsumer

from flows.kafka import EmbeddedBroker, client_options
from flows.reading import reader
from flows.settings import Settings
from flows.tables import Columns, open_table
from flows.tools import replay as command
from flows.tools.bounds import Bound, bound
from flows.tools.pace import paced
from flows.tools.recorded import Recorded
from flows.tools.recorded_file import FileRecording
from flows.tools.recorded_topic import AHEAD, TopicRecording
from flows.tools.replay import NothingToReplayError, replay
from flows.tools.replayer import Replayer
from flows.tools.shift import Shift
from flows.wire import Message, Reading, Readings, Sample
from oodl.errors import ValueFault

PUMPS = Path(__file__).parents[2] / "docs" / "examples" / "pumps.csv"
MOCK_VERSION = {"api_version": (2, 0)}
TOPICS = Settings().topics


# Files


def of_file(tmp_path: Path, text: str, **how: Any) -> FileRecording:
    path = tmp_path / "hall.csv"
    path.write_text(text)
    return FileRecording(open_table(path, Columns(group=("machine",))), **how)


MACHINES = """time,machine,flow,speed
2026-03-02T08:00:00,a,1.5,10
2026-03-02T08:00:02,a,2.5,
2026-03-02T08:00:04,a,x,30
2026-03-02T08:00:00,b,3.5,40
2026-03-02T08:00:01,b,4.5,50
"""


def places(recording: FileRecording) -> list[str]:
    return [one.place for one in recording]


def test_rows_are_messages_that_the_pipeline_reads_as_the_file_has_them(tmp_path: Path) -> None:
    recording = of_file(tmp_path, MACHINES)

    second = next(one for one in recording if one.place == "hall.csv/1")
    body = json.loads(second.value or b"")

    assert second.key == b"a"
    assert body == {
        "group": "a", "ts": 1772438402.0, "values": {"flow": 2.5, "speed": None}
    }  # fmt: skip
    assert (len(recording), [row.line for row in recording.bad]) == (4, [4])


def test_machines_that_follow_one_another_come_together_in_time(tmp_path: Path) -> None:
    inside = ["hall.csv/0", "hall.csv/3", "hall.csv/4", "hall.csv/1"]
    assert places(of_file(tmp_path, MACHINES)) == inside
    assert places(of_file(tmp_path, MACHINES, by_time=False)) == [
        "hall.csv/0", "hall.csv/1", "hall.csv/3", "hall.csv/4"
    ]  # fmt: skip


def test_a_part_of_a_file_is_told_by_time_or_by_row(tmp_path: Path) -> None:
    one, two = Bound(time=1772438401.0), Bound(time=1772438402.0)
    assert places(of_file(tmp_path, MACHINES, since=one)) == ["hall.csv/4", "hall.csv/1"]
    assert places(of_file(tmp_path, MACHINES, since=one, until=two)) == ["hall.csv/4"]
    rows = of_file(tmp_path, MACHINES, since=Bound(offset=1), until=Bound(offset=4))
    assert places(rows) == ["hall.csv/3", "hall.csv/1"]
    assert len(rows) == 2
    assert [row.offset for row in rows.bad] == [2]
    assert of_file(tmp_path, MACHINES, since=Bound(offset=3)).bad == []


# Pace


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds <= 0.2  # so often it is looked at whether to end
        self.now += seconds


def recorded(*times: float) -> list[Recorded]:
    return [Recorded(time, f"x/{time}", b"a", b"{}", []) for time in times]


@pytest.mark.parametrize(
    ("speed", "due"), [(1.0, [0, 5, 5, 10]), (10.0, [0, 0.5, 0.5, 1]), (math.inf, [0, 0, 0, 0])]
)
def test_messages_come_as_far_apart_as_they_were(speed: float, due: list[float]) -> None:
    clock, came = Clock(), []
    for _ in paced(recorded(100, 105, 104, 110), speed, lambda: False, clock, clock.sleep):
        came.append(clock.now - 50.0)
    assert came == pytest.approx(due)


def test_an_end_that_is_asked_for_ends_a_long_wait() -> None:
    clock = Clock()
    given = paced(recorded(0, 1e6), 1.0, lambda: clock.now > 51, clock, clock.sleep)
    assert [message.time for _, message in given] == [0]
    assert clock.now < 52


# Times


FLOATS = np.array([1.5, 2.5], "<f4").tobytes()


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b'{"ts": 1764000000.25, "values": [1, NaN]}', []),
        (b'{"ts": 1764000000250, "values": [1, null]}', []),
        (b'{"ts": "2025-11-24T16:00:00.25Z", "values": {"a": 1}}', []),
        (b'{"ts": "2025-11-24T16:00:00.25", "values": {"a": 1}}', []),
        (b'{"ts": [1764000000.25, 1764000001], "values": [[1, 2], [3, 4]]}', []),
        (b'{"sensor": "heat", "ts": 1764000000.25, "value": 3}', []),
        (b'{"values": [1, 2]}', []),
        (
            msgspec.msgpack.encode({"ts": 1764000000.25, "values": FLOATS}),
            [("content-type", b"application/msgpack")],
        ),
        (FLOATS, [("Content-Type", b"float32"), ("ts", b"1764000000.25")]),
        (FLOATS, [("content-type", b"float32"), ("ts", b"2025-11-24T16:00:00.25Z")]),
        (FLOATS, [("content-type", b"float32")]),
    ],
)
def test_readings_are_moved_in_time_and_otherwise_stay(
    value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    read, by = reader(Settings()), 86400.0 * 365

    def found(value: bytes, headers: Any, stamp: float) -> Reading | Readings | Sample:
        reading = read.message(Message("t", 0, 0, b"press", value, headers, stamp))
        assert isinstance(reading, Reading | Readings | Sample), reading
        return reading

    moved, with_headers = Shift(Settings())(by, value, headers)

    before, after = found(value, headers, 7e8), found(moved or b"", with_headers, 7e8 + by)
    times = [each.times if isinstance(each, Readings) else [each.time] for each in (before, after)]
    assert times[1] == pytest.approx([time + by for time in times[0]])
    told = "value" if isinstance(before, Sample) else "values"
    assert str(getattr(before, told)) == str(getattr(after, told))


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"3", b'{"ts": "soon"}', b'{"ts": true}'])
def test_bad_input_stays_the_same_bad_input(value: bytes) -> None:
    assert Shift(Settings())(5.0, value, []) == (value, [])


def test_a_time_is_moved_where_the_settings_say_that_it_is() -> None:
    settings = Settings.model_validate({"messages": {"fields": {"time": "meta.t"}}})
    moved, _ = Shift(settings)(5.0, b'{"meta": {"t": 1.5}, "ts": 2}', [])
    assert json.loads(moved or b"") == {"meta": {"t": 6.5}, "ts": 2}


# Topics


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker("archive", TOPICS.readings) as embedded:
        yield embedded


def fill(broker: EmbeddedBroker, *messages: tuple[int, int, bytes | None]) -> None:
    """Write messages to the archive: partition, ms, key."""
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number, (partition, stamp, key) in enumerate(messages):
        producer.produce(
            "archive", b"%d" % number, key, partition, timestamp=stamp, headers=[("site", b"B")]
        )
    producer.flush(10)


def options(broker: EmbeddedBroker) -> dict[str, Any]:
    return client_options(Settings(kafka={"bootstrap": broker.bootstrap})) | MOCK_VERSION


def sent(broker: EmbeddedBroker, many: int) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "test"})
    consumer.assign([TopicPartition(TOPICS.readings, part, OFFSET_BEGINNING) for part in range(4)])
    found = consumer.consume(many, timeout=10)
    consumer.close()
    return found


def test_messages_come_in_the_order_of_their_stamps_and_of_each_partition(
    broker: EmbeddedBroker,
) -> None:
    fill(broker, (0, 1000, b"a"), (0, 4000, b"a"), (1, 2000, b"b"), (1, 3000, b"b"), (3, 10, b"c"))
    with TopicRecording(options(broker), "archive", partitions=4) as recording:
        assert len(recording) == 5
        assert [one.value for one in recording] == [b"4", b"0", b"2", b"3", b"1"]


def test_a_partition_that_is_far_behind_in_time_holds_up_no_other(broker: EmbeddedBroker) -> None:
    late = [(0, 5_000_000 + number, b"a") for number in range(AHEAD + 500)]
    fill(broker, *late, *((1, 1 + number, b"b") for number in range(AHEAD + 500)))
    with TopicRecording(options(broker), "archive", partitions=4) as recording:
        came = [int(one.value or b"") for one in recording]
    assert came == [*range(AHEAD + 500, 2 * AHEAD + 1000), *range(AHEAD + 500)]


def test_a_part_of_a_topic_is_told_by_offset(broker: EmbeddedBroker) -> None:
    fill(broker, *((0, 1000 + number, b"a") for number in range(6)))
    ends = bound("--from", "2"), bound("--to", "5")
    with TopicRecording(options(broker), "archive", *ends, partitions=4) as recording:
        assert [one.place for one in recording] == ["archive/0/2", "archive/0/3", "archive/0/4"]


def test_key_value_headers_and_stamp_are_kept_and_each_is_marked(broker: EmbeddedBroker) -> None:
    fill(broker, (2, 1500, b"a"), (2, 1600, None))
    with (
        TopicRecording(options(broker), "archive", partitions=4) as recording,
        Replayer(options(broker), TOPICS.readings) as replayer,
    ):
        for message in recording:
            replayer.send(message)

    first, second = sorted(sent(broker, 2), key=lambda one: one.offset())
    assert replayer.sent == 2
    assert (first.key(), first.value(), first.partition()) == (b"a", b"0", 2)
    assert (second.key(), second.value(), second.partition()) == (None, b"1", 2)
    assert first.timestamp()[1] == 1500
    assert first.headers() == [("site", b"B"), ("oodl-replayed", b"archive/2/0")]


def test_a_message_that_the_client_cannot_read_is_told(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a header whose name is no UTF-8, which none of our clients can write
    fill(broker, (0, 1000, b"a"))
    monkeypatch.setattr(KafkaConsumer, "poll", lambda *_, **__: b"\xff".decode())
    with (
        TopicRecording(options(broker), "archive", partitions=4) as recording,
        pytest.raises(ValueFault, match="archive: expected names of headers in UTF-8, got 'utf-8'"),
    ):
        list(recording)


def test_with_other_partitions_a_key_decides_and_without_one_the_old_number(
    broker: EmbeddedBroker,
) -> None:
    fill(broker, (3, 1500, b"a"), (3, 1600, None))
    with TopicRecording(options(broker), "archive", partitions=2) as recording:
        assert [one.partition for one in recording] == [None, 1]


def test_what_was_replayed_before_says_where_it_was_last(broker: EmbeddedBroker) -> None:
    again = Recorded(0.0, "b/0/1", b"a", b"{}", [("oodl-replayed", b"a/0/9")])
    with Replayer(options(broker), TOPICS.readings) as replayer:
        replayer.send(again)
        replayer.send(again._replace(key=None, value=None))
    (found,) = sent(broker, 1)
    assert found.headers() == [("oodl-replayed", b"b/0/1")]
    assert (replayer.sent, replayer.left_out) == (1, 1)


# The command


@pytest.fixture
def settings_file(broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a broker whose release kafka-python cannot find out by itself."""
    monkeypatch.setattr(
        command, "client_options", lambda settings: client_options(settings) | MOCK_VERSION
    )
    file = tmp_path / "oodl.toml"
    file.write_text(f'[kafka]\nbootstrap = "{broker.bootstrap}"\n', encoding="utf-8")
    return file


def test_a_file_is_sent_and_confirmed(
    broker: EmbeddedBroker, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = replay(str(PUMPS), speed="max", group_column=["pump"], settings=settings_file)

    assert ended == 0
    assert "800 of 800 messages sent to sensors.readings, confirmed" in capsys.readouterr().err
    found = sent(broker, 800)
    assert {one.key() for one in found} == {b"pump-1", b"pump-2"}
    marks = {dict(one.headers())["oodl-replayed"] for one in found}
    assert marks == {b"pumps.csv/%d" % row for row in range(800)}


def test_now_moves_a_file_to_when_it_is_sent(broker: EmbeddedBroker, settings_file: Path) -> None:
    replay(str(PUMPS), speed=1e5, until="40", now=True, settings=settings_file)
    times = [json.loads(one.value())["ts"] for one in sent(broker, 40)]
    stamps = [one.timestamp()[1] / 1000 for one in sent(broker, 40)]
    assert max(abs(a - b) for a, b in zip(times, stamps, strict=True)) < 60
    assert max(times) - min(times) == pytest.approx(190 / 1e5, abs=1e-4)


@pytest.mark.parametrize(
    ("source", "how", "told"),
    [
        ("archve", {}, "did you mean the topic 'archive'"),
        ("none/such.csv", {}, "which is neither; name one that is there"),
        ("sensors.readings", {}, "--into-itself"),
        ("archive", {"group_column": ["pump"]}, "leave out the columns"),
        ("archive", {"since": "soon"}, "--from: expected a time or an offset, got 'soon'"),
        ("archive", {"speed": 0.0}, "--speed: expected a number above 0"),
        ("archive", {"speed": math.nan}, "--speed: expected a number above 0"),
        ("archive", {"speed": "max", "now": True}, "--now: expected --speed with a number"),
    ],
)
def test_what_cannot_be_replayed_is_told(
    source: str, how: dict[str, Any], told: str, settings_file: Path
) -> None:
    with pytest.raises((ValueFault, NothingToReplayError), match=told):
        replay(source, settings=settings_file, **how)


def test_a_time_is_refused_where_a_file_has_none(tmp_path: Path, settings_file: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("a,b\n1,2\n2,3\n")
    with pytest.raises(ValueFault, match=r"--to: expected a row of .*plain\.csv"):
        replay(str(path), until="2026-03-02", settings=settings_file)


def test_a_topic_is_sent_into_itself_when_asked(
    broker: EmbeddedBroker, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(EmbeddedProducer(broker)) as producer:
        producer.send(TOPICS.readings, 3)
    replay(TOPICS.readings, speed="max", into_itself=True, settings=settings_file)
    assert "3 of 3 messages sent" in capsys.readouterr().err
    assert len(sent(broker, 6)) == 6


class EmbeddedProducer:
    """Sends readings of one group."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._producer = Producer({"bootstrap.servers": broker.bootstrap})

    def send(self, topic: str, many: int) -> None:
        for number in range(many):
            self._producer.produce(topic, b'{"values": [%d]}' % number, b"a")

    def close(self) -> None:
        self._producer.flush(10)
