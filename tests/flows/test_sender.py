import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.kafka import EmbeddedBroker, client_options
from flows.settings import Settings
from flows.tools import sender
from flows.tools.feed import Sent, Values, ticks
from flows.tools.fleet import Fleet
from flows.tools.sender import Sender, send_all, send_to_broker
from flows.tools.sense import sense
from flows.tools.simulate import simulate
from flows.tools.writing import FORMATS, SEVERAL, FormatName, writing
from flows.wire import Reader, Reading, Readings
from oodl.errors import ValueFault

TOPIC = "sensors.readings"
MOCK_VERSION = {"api_version": (2, 0)}


class Counting:
    """A feed of two groups that counts; at the fourth tick Ctrl-C may be met where none is told."""

    def __init__(self, *, interrupted: bool = False) -> None:
        self._numbers, self._interrupted = count(), interrupted

    def readings(self) -> Iterator[tuple[str, Values]]:
        number = float(next(self._numbers))
        if self._interrupted and number >= 3:
            with suppress(BaseException):  # as clients do in places
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.01)
        yield "a", [number]
        yield "b", {"x": number}


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(TOPIC) as embedded:
        yield embedded


@pytest.fixture
def settings_file(broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a broker whose release kafka-python cannot find out by itself."""
    monkeypatch.setattr(
        sender, "client_options", lambda settings: client_options(settings) | MOCK_VERSION
    )
    file = tmp_path / "oodl.toml"
    file.write_text(f'[kafka]\nbootstrap = "{broker.bootstrap}"\n', encoding="utf-8")
    return file


def options(bootstrap: str) -> dict[str, Any]:
    return client_options(Settings(kafka={"bootstrap": bootstrap})) | MOCK_VERSION


def raws(broker: EmbeddedBroker, many: int) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "test"})
    consumer.assign([TopicPartition(TOPIC, part, OFFSET_BEGINNING) for part in range(4)])
    found = consumer.consume(many, timeout=10)
    consumer.close()
    return found


def records(broker: EmbeddedBroker, many: int) -> list[Any]:
    return [
        (one.partition(), one.offset(), one.key(), msgspec.json.decode(one.value() or b""))
        for one in raws(broker, many)
    ]


def test_what_is_confirmed_is_what_can_be_read(broker: EmbeddedBroker) -> None:
    confirmed: list[Sent] = []
    sending = Sender(options(broker.bootstrap), TOPIC, confirmed.append)

    send_all(Counting(), sending, range(5))
    sending.close()

    assert sending.sent == 10
    assert sorted(
        (one.partition, one.offset, one.group.encode(),
         {"group": one.group, "ts": one.ts, "values": one.values})
        for one in confirmed
    ) == sorted(records(broker, 10))  # fmt: skip


def test_a_group_stays_on_one_partition_in_its_order(broker: EmbeddedBroker) -> None:
    confirmed: list[Sent] = []
    sending = Sender(options(broker.bootstrap), TOPIC, confirmed.append)

    send_all(Counting(), sending, range(20))
    sending.close()

    of_a = sorted((one for one in confirmed if one.group == "a"), key=lambda one: one.offset)
    assert len({one.partition for one in of_a}) == 1
    assert [one.values for one in of_a] == [[float(number)] for number in range(20)]


def failing(script: str, bootstrap: str) -> subprocess.Popen[str]:
    """A process of its own: kafka-python leaves sockets and threads behind where it fails."""
    return subprocess.Popen(
        [sys.executable, "-c", script, bootstrap],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_no_broker_is_told_with_what_to_do() -> None:
    script = """
import sys
from flows.tools.sender import Sender
Sender({"bootstrap_servers": sys.argv[1], "bootstrap_timeout_ms": 300}, "sensors.readings")
"""

    _, errors = failing(script, "127.0.0.1:1").communicate(timeout=60)

    assert re.search(
        r"DeliveryError: sensors\.readings: .* see that the broker is up", errors.splitlines()[-1]
    )


def test_a_broker_that_goes_away_is_told_with_how_many_were_sent(broker: EmbeddedBroker) -> None:
    script = """
import sys
from flows.tools.sender import Sender
hurried = {"request_timeout_ms": 500, "delivery_timeout_ms": 1000, "max_block_ms": 1000}
place = {"bootstrap_servers": sys.argv[1], "api_version": (2, 0)}
sending = Sender(place | hurried, "sensors.readings", lambda sent: print("sent", flush=True))
sending.send("a", 0.0, [1.0])
sys.stdin.readline()
while True:
    sending.send("a", 0.0, [1.0])
"""
    process = failing(script, broker.bootstrap)
    assert process.stdout is not None
    assert process.stdout.readline() == "sent\n"

    broker.close()

    _, errors = process.communicate("go on\n", timeout=60)
    assert process.returncode == 1
    assert re.search(r"DeliveryError: sensors\.readings: .* after \d+ readings", errors)


def test_simulate_sends_the_fleet_s_readings_and_says_how_many(
    broker: EmbeddedBroker, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(settings=settings_file, machines=1, rate=20, seconds=0.5, seed=5)

    sent = records(broker, 30)
    assert {key for _, _, key, _ in sent} == {b"press-1", b"vibration-1", b"vibration-2"}
    assert len(sent) == 30
    assert "30 readings sent to sensors.readings" in capsys.readouterr().err


def test_simulate_sends_a_message_a_sensor_where_it_is_asked_to(
    broker: EmbeddedBroker, settings_file: Path
) -> None:
    simulate(settings=settings_file, machines=1, rate=20, seconds=0.1, one_sensor=True)

    sent = records(broker, 2 * (16 + 32 + 32))
    bodies = [body for _, _, key, body in sent if key == b"press-1"]
    assert len({body["sensor"] for body in bodies}) == 16
    assert len(bodies) == 32
    assert all(isinstance(body["value"], float | int) for body in bodies)


def test_sense_sends_the_host_s_readings(broker: EmbeddedBroker, settings_file: Path) -> None:
    sense(settings=settings_file, seconds=0.3)

    keys = [key for _, _, key, _ in records(broker, 12)]
    kinds = {key.rpartition(b"/")[2] for key in keys}
    assert {b"cpu", b"memory"} <= kinds <= {b"cpu", b"memory", b"disk", b"network"}
    assert len(keys) == 3 * len(kinds)


def test_ctrl_c_ends_cleanly_once_everything_is_confirmed(
    broker: EmbeddedBroker, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(kafka={"bootstrap": broker.bootstrap})

    send_to_broker(Counting(interrupted=True), lambda stop: ticks(100.0, stop), settings)

    assert settings_file.exists()
    assert "8 readings sent to sensors.readings" in capsys.readouterr().err
    assert len(records(broker, 8)) == 8


def test_progress_is_told_while_it_sends(
    settings_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "LINE_SECONDS", 0.1)

    simulate(settings=settings_file, machines=0, rate=50, seconds=0.5)

    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "a second" in line]
    assert list(islice(reversed(lines), 1)) == ["50 readings sent to sensors.readings"]


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_sent_in_a_format_is_read_as_it_was_drawn(
    format_: FormatName, broker: EmbeddedBroker, settings_file: Path
) -> None:
    # given the readings of a fleet of one machine and two sensors
    fleet = Fleet(machines=1, seed=3)
    drawn: dict[str, list[list[float]]] = {}
    for _ in range(10):
        for group, values in fleet.readings():
            listed = list(values.values()) if isinstance(values, dict) else values
            drawn.setdefault(group, []).append(listed)
    # when they are sent in a format, and read by what their header says
    simulate(settings=settings_file, machines=1, rate=100, seconds=0.1, seed=3, format=format_)
    read, found = Reader(), dict[str, list[list[float]]]()
    for raw in raws(broker, 3 * (2 if "batch" in format_ else 10)):
        reading = read(raw.key(), raw.value(), raw.headers() or [], -1.0)
        assert isinstance(reading, Reading | Readings), reading
        rows = found.setdefault(reading.group, [])
        assert isinstance(reading, Reading) is ("batch" not in format_)
        rows += _rows(reading)
    # then they are the same, as exactly as the format has numbers, and each has a time
    assert found.keys() == drawn.keys()
    exact = format_ in ("json", "float64", "json-batch")
    for group, rows in drawn.items():
        np.testing.assert_allclose(found[group], rows, rtol=0 if exact else 1e-6)


def _rows(reading: Reading | Readings) -> list[list[float]]:
    values: Any = reading.values
    if isinstance(values, dict):
        return [list(values.values())]
    return [values] if isinstance(values, list) else cast(list[list[float]], values.rows())


def test_what_waits_for_more_is_sent_at_the_end_and_each_reading_is_confirmed(
    broker: EmbeddedBroker,
) -> None:
    confirmed: list[Sent] = []
    sending = Sender(options(broker.bootstrap), TOPIC, confirmed.append, writing("json-batch"))

    send_all(Counting(), sending, range(SEVERAL + 3))
    sending.close()

    of_a = sorted((one.offset, one.row, one.values) for one in confirmed if one.group == "a")
    assert [values for _, _, values in of_a] == [[float(n)] for n in range(SEVERAL + 3)]
    assert [row for _, row, _ in of_a] == [*range(SEVERAL), 0, 1, 2]
    assert sending.sent == 2 * (SEVERAL + 3)


def test_a_message_a_sensor_has_no_other_format(settings_file: Path) -> None:
    with pytest.raises(ValueFault, match="--one-sensor: expected --format json, got float32"):
        simulate(settings=settings_file, one_sensor=True, format="float32")
