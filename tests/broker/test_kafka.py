"""The clients on the embedded broker: what they raise, and what they keep as a value."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from flows.kafka import (
    BrokerError,
    Cluster,
    ConfirmedProducer,
    DeliveryError,
    EmbeddedBroker,
    Health,
    Limits,
    Output,
    PartitionQueue,
    SharedConsumer,
    StopFlag,
    Together,
    client_options,
    describe,
)
from flows.kafka.consumer import LINGER, QUIET_LINGER
from flows.kafka.dispatch import Dispatch
from flows.settings import Settings
from oodl.errors import ValueFault
from tests.traffic import Record, read, send

PATIENCE = 30.0
TOPIC = "sensors.readings"
ENDLESS = """
import sys, time
from flows.kafka import StopFlag
stop = StopFlag().install()
if sys.argv[1] == "running":
    stop.defer()
print("ready", flush=True)
while not stop:
    time.sleep(0.01)
print(stop.cause, flush=True)
sys.exit(7)
"""
DEAF = """
import ctypes, os
from flows.kafka import StopFlag
stop = StopFlag().install()
stop.defer()
stop.listen(lambda: os._exit(7))
print("ready", flush=True)
mutex = ctypes.create_string_buffer(64)
for _ in range(2):  # the second time it waits for itself, and no handler runs meanwhile
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def test_a_broker_tells_its_id_and_its_topics() -> None:
    with EmbeddedBroker(TOPIC, "sensors.codes") as broker:
        cluster = describe(broker)

    assert cluster.id.startswith("mockCluster")
    assert cluster.partitions == {TOPIC: 4, "sensors.codes": 4}


def test_a_broker_that_does_not_answer_is_named_with_the_remedy() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        settings = Settings.model_validate({"kafka": {"bootstrap": address}})

        with pytest.raises(BrokerError, match=rf"kafka\.bootstrap: .*{address}.* start it"):
            describe(settings.kafka, patience=0.1)


def test_an_option_that_the_client_does_not_know_is_named() -> None:
    settings = Settings.model_validate({"kafka": {"security": {"sasl.usrname": "press"}}})

    with pytest.raises(BrokerError, match=r"kafka\.security: .*sasl\.usrname"):
        describe(settings.kafka)


def test_every_missing_topic_is_named_with_its_key_in_the_settings() -> None:
    cluster = Cluster("here", {"in": 1})

    with pytest.raises(BrokerError, match=r"topics\.codes \(out\), topics\.dead_letters \(bad\)"):
        cluster.require(readings="in", codes="out", dead_letters="bad")


def test_security_is_given_to_the_tools_client_by_its_own_names() -> None:
    security = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "press",
        "sasl.password": "secret",
        "ssl.endpoint.identification.algorithm": "none",
    }
    settings = Settings.model_validate({"kafka": {"security": security}})

    assert client_options(settings) == {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "press",
        "sasl_plain_password": "secret",
        "ssl_check_hostname": False,
    }


def test_an_option_that_the_tools_client_lacks_is_named() -> None:
    settings = Settings.model_validate({"kafka": {"security": {"ssl.ca.pem": "..."}}})

    with pytest.raises(ValueFault, match=r"kafka\.security: .*'ssl\.ca\.pem'"):
        client_options(settings)


def test_a_full_queue_pauses_its_partition_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.kafka.consumer.QUEUE_LIMIT", 20)
    with EmbeddedBroker(TOPIC) as broker:
        consumer = SharedConsumer(broker, topic=TOPIC, group="oodl")
        slow, fast = consumer.open(0, None), consumer.open(1, None)
        fill(broker, 0, 100)
        wait_until(lambda: not fast.take(100) and slow.paused)
        fill(broker, 0, 100)

        found = take(slow, 200, at_a_time=7)

        assert found == list(range(200))
        assert not slow.paused


class Waits:
    """A clock that moves by what is waited for, and what that was."""

    def __init__(self) -> None:
        self.now, self.waited = 1000.0, list[float]()

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        return False


def test_a_consumer_looks_less_often_while_nothing_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Waits()
    monkeypatch.setattr("flows.kafka.consumer.monotonic", lambda: clock.now)
    with EmbeddedBroker(TOPIC) as broker:
        consumer = SharedConsumer(broker, topic=TOPIC, group="oodl")
        monkeypatch.setattr(consumer, "_nothing", clock)
        queue = consumer.open(0, None)
        while clock.now < 1003.0:
            queue.take(10)
            consumer.rest(queue)
        fill(broker, 0, 1)
        while not queue.take(1):
            consumer.rest(queue)
            time.sleep(0.001)
        queue.take(1)
        consumer.rest(queue)

    assert clock.waited[0] == pytest.approx(LINGER)
    assert clock.waited[60] == pytest.approx(QUIET_LINGER)
    assert clock.waited[-1] == pytest.approx(LINGER)
    assert all(waited <= QUIET_LINGER for waited in clock.waited)


def test_an_expired_offset_is_a_value_and_reading_goes_on_at_the_earliest() -> None:
    with EmbeddedBroker(TOPIC) as broker:
        fill(broker, 0, 5)
        queue = SharedConsumer(broker, topic=TOPIC, group="oodl").open(0, 1000)

        found = take(queue, 5)

        expired = queue.take_expired()
        assert expired is not None
        assert (expired.partition, expired.offset) == (0, 1000)
        assert queue.take_expired() is None
        assert found == list(range(5))


def test_the_lag_is_what_the_broker_has_beyond_an_offset() -> None:
    with EmbeddedBroker(TOPIC) as broker:
        fill(broker, 0, 10)
        queue = SharedConsumer(broker, topic=TOPIC, group="oodl").open(0, None)
        assert queue.lag(4) is None

        take(queue, 10)

        assert (queue.lag(4), queue.lag(10)) == (6, 0)


def test_the_silence_of_the_leaders_is_measured_and_other_brokers_do_not_count() -> None:
    health = Health()

    health.measured(
        '{"brokers": {"a": {"nodeid": 1, "rxidle": 7000000, "source": "learned"},'
        ' "b": {"nodeid": 2, "rxidle": 9000000, "source": "learned"},'
        ' "boot": {"nodeid": -1, "rxidle": -1, "source": "configured"},'
        ' "GroupCoordinator": {"nodeid": -1, "rxidle": 8000000, "source": "logical"}},'
        ' "topics": {"in": {"partitions": {"0": {"leader": 1}, "-1": {"leader": -1}}}}}'
    )

    assert 7 <= health.silent_seconds < 8


def test_a_broker_is_not_silent_because_nothing_is_committed() -> None:
    with EmbeddedBroker(TOPIC) as broker:
        fill(broker, 0, 1)
        consumer = SharedConsumer(broker, topic=TOPIC, group="oodl")
        queue = consumer.open(0, None)
        take(queue, 1)
        queue.snapped(1)
        queue.commit()
        committed = time.monotonic()

        wait_until(lambda: not queue.take(1) and time.monotonic() > committed + 4)

        assert consumer.health.silent_seconds < (time.monotonic() - committed) / 2


def test_a_queue_tells_what_can_still_be_read() -> None:
    with EmbeddedBroker(TOPIC) as broker:
        fill(broker, 0, 5)
        consumer = SharedConsumer(broker, topic=TOPIC, group="oodl")
        queue, empty = consumer.open(0, None), consumer.open(1, None)
        assert (queue.behind(None), empty.behind(None)) == (None, None)

        take(queue, 2, at_a_time=2)

        assert queue.behind(2) == 3
        take(queue, 3)
        wait_until(lambda: not empty.take(1) and empty.behind(None) == 0)
        wait_until(lambda: not queue.take(1) and queue.behind(5) == 0)
        fill(broker, 0, 1)
        assert take(queue, 1) == [5]


def test_a_broker_that_ends_is_an_error_of_the_connection_and_no_exception() -> None:
    broker = EmbeddedBroker(TOPIC)
    consumer = SharedConsumer(broker, topic=TOPIC, group="oodl")
    queue = consumer.open(0, None)
    fill(broker, 0, 1)
    take(queue, 1)

    broker.close()

    wait_until(lambda: not queue.take(1) and consumer.health.error != "")


def test_what_is_confirmed_is_told_output_by_output() -> None:
    confirmed: list[Output] = []
    with EmbeddedBroker(TOPIC) as broker:
        producer = ConfirmedProducer(
            broker, together=Together(StopFlag()), confirmed=confirmed.append
        )
        outputs = [Output(TOPIC, b"key", b"%d" % number) for number in range(100)]
        for output in outputs:
            producer.write(output)

        assert producer.flush() == []

        assert confirmed == outputs
        assert producer.unconfirmed == 0
        assert [record.value for record in read(broker.bootstrap, TOPIC)] == [
            output.value for output in outputs
        ]


def test_what_the_broker_refuses_for_itself_comes_back_from_a_flush() -> None:
    confirmed: list[Output] = []
    with EmbeddedBroker(TOPIC) as broker:
        producer = ConfirmedProducer(
            broker,
            together=Together(StopFlag()),
            confirmed=confirmed.append,
            limits=Limits(max_message_bytes=2000),
        )
        small, large = Output(TOPIC, b"key", b"small"), Output(TOPIC, b"key", b"l" * 3000)
        for output in (large, small):
            producer.write(output)

        [refused] = producer.flush()

        assert refused.output is large
        assert "too large" in refused.detail
        assert confirmed == [small]
        assert producer.flush() == []


def test_a_queue_that_is_full_is_waited_for() -> None:
    confirmed: list[Output] = []
    with EmbeddedBroker(TOPIC) as broker:
        security = {"queue.buffering.max.messages": "10"}
        settings = Settings.model_validate(
            {"kafka": {"bootstrap": broker.bootstrap, "security": security}}
        )
        producer = ConfirmedProducer(
            settings.kafka, together=Together(StopFlag()), confirmed=confirmed.append
        )

        for number in range(200):
            producer.write(Output(TOPIC, b"key", b"%d" % number))
        producer.flush()

        assert len(confirmed) == 200


def test_a_full_queue_and_a_broker_that_is_gone_end_in_a_delivery_error() -> None:
    with EmbeddedBroker(TOPIC) as broker:
        security = {"queue.buffering.max.messages": "10"}
        settings = Settings.model_validate(
            {"kafka": {"bootstrap": broker.bootstrap, "security": security}}
        )
        producer = ConfirmedProducer(
            settings.kafka,
            together=Together(StopFlag()),
            confirmed=lambda _: None,
            limits=Limits(delivery_seconds=1.0),
        )
        producer.flush()
    for number in range(10):
        producer.write(Output(TOPIC, b"key", b"%d" % number))

    with pytest.raises(DeliveryError, match="nothing is lost"):
        producer.write(Output(TOPIC, b"key", b"one more than there is room for"))


def test_a_broker_that_says_nothing_ends_the_wait_after_the_delivery_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    together = Together(StopFlag(), 5.0)
    with EmbeddedBroker(TOPIC) as broker:
        producer = ConfirmedProducer(broker, together=together, confirmed=lambda _: None)
        producer.flush()
    producer.write(Output(TOPIC, b"key", b"value"))

    for _ in range(5):
        together.serve()
        clock.now += 0.9
    clock.now += 100.0  # the process slept, and counts one second of it
    together.serve()
    clock.now += 0.5

    with pytest.raises(DeliveryError, match="1 outputs unconfirmed 5 s in which the broker said"):
        together.serve()


def test_a_producer_that_is_replaced_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    together = Together(StopFlag(), 5.0)
    with EmbeddedBroker(TOPIC) as broker:
        first, second = (
            Dispatch(broker, together=together, answered=lambda *_: None, limits=Limits())
            for _ in range(2)
        )
    first.answers = 7
    together.add(first)
    together.watch()

    for _ in range(5):
        clock.now += 0.9
        together.watch()
    together.discard(first)
    together.add(second)
    clock.now += 0.9

    with pytest.raises(DeliveryError, match="in which the broker said nothing"):
        together.watch()


def test_a_producer_with_nothing_unconfirmed_may_hear_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    together = Together(StopFlag(), 5.0)
    with EmbeddedBroker(TOPIC) as broker:
        ConfirmedProducer(broker, together=together, confirmed=lambda _: None)

        for _ in range(20):
            together.serve()
            clock.now += 1.0


def test_what_one_producer_has_met_ends_the_wait_of_another() -> None:
    together = Together(StopFlag())
    with EmbeddedBroker(TOPIC) as broker, EmbeddedBroker(TOPIC) as other:
        quick = Limits(delivery_seconds=1.0)
        first = ConfirmedProducer(broker, together=together, confirmed=ignored, limits=quick)
        second = ConfirmedProducer(other, together=together, confirmed=ignored)
        first.flush()
        broker.close()
        other.close()
        first.write(Output(TOPIC, b"key", b"value"))
        second.write(Output(TOPIC, b"key", b"value"))

        with pytest.raises(DeliveryError, match="timed out"):
            second.flush()


def ignored(_: Output) -> None:
    """Take no note."""


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("flows.kafka.dispatch.monotonic", lambda: self.now)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("phase", "code"), [("starting", 0), ("running", 7)])
def test_a_signal_ends_a_start_at_once_and_is_left_to_a_flow_that_runs(
    phase: str, code: int, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", ENDLESS, phase]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        process.send_signal(number)
        said = process.stdout.read()

    assert process.returncode == code
    assert said == (f"{number.name}\n" if phase == "running" else "")


def test_a_signal_is_heard_while_a_library_has_the_main_thread() -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.2)

        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 7


def fill(broker: EmbeddedBroker, partition: int, count: int) -> None:
    send(broker.bootstrap, TOPIC, [Record(b"key", b"value", partition=partition)] * count)


def take(queue: PartitionQueue, count: int, at_a_time: int = 1000) -> list[int]:
    """Offsets of so many messages."""
    found: list[int] = []

    def enough() -> bool:
        found.extend(raw.offset() or 0 for raw in queue.take(at_a_time))
        return len(found) >= count

    wait_until(enough)
    return found


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)
