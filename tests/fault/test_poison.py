"""Messages of a kind that only a real broker takes: they are dead letters, and the flow goes on."""

import hashlib
import signal
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import Record, codes_by_position, machine, position_of_letter, read, send

MEGABYTE = 1_000_000
HUGE = b'{"values": [' + b"1," * (25 * MEGABYTE) + b"1]}"


class Bytes(str):
    """The name of a header that is no text."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"\xff\xfe"


def test_a_header_whose_name_is_no_text_stops_nothing(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topics, port = create_topics(apache_kafka, "headers"), free_port()
    producer = KafkaProducer(bootstrap_servers=apache_kafka.address)
    for record in [*machine(["press-0"], 3), Record(b"press-0", b"{")]:
        headers = [(Bytes("x"), b"1")]
        producer.send(topics["readings"], record.value, record.key, headers=headers).get(30)
    producer.close()

    with Worker(settings(apache_kafka, tmp_path, topics, port), port) as worker:
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_dead_letters_sent_total", ""] == 1)
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == 3)
        assert worker.metrics()["oodl_oddities_total", "headers_unreadable"] == 4
        assert worker.end(signal.SIGTERM) == 0

    [letter] = read(apache_kafka.address, topics["dead_letters"])
    assert (letter.key, letter.value) == (b"press-0", b"{")


def test_fifty_megabytes_are_a_dead_letter_of_64_kib_however_they_were_packed(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given a topic that takes it, and one message that is sent as it is and one that is compressed
    topics, port = create_topics(apache_kafka, "huge"), free_port()
    name = f"{topics['readings']}-large"
    apache_kafka.create_topic(name, settings={"max.message.bytes": str(60 * MEGABYTE)})
    topics["readings"] = name
    for packing in (None, "gzip"):
        producer = KafkaProducer(
            bootstrap_servers=apache_kafka.address,
            compression_type=packing,
            max_request_size=60 * MEGABYTE,
        )
        producer.send(name, HUGE, b"press-0").get(60)
        producer.close()
    sent = send(apache_kafka.address, name, machine(["press-0"], 40))
    # when it is read
    with Worker(settings(apache_kafka, tmp_path, topics, port), port) as worker:
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == len(sent))
        assert worker.end(signal.SIGTERM) == 0
    # then its start, its size and its hash are there, and what came after is coded
    letters = read(apache_kafka.address, topics["dead_letters"])
    assert [position_of_letter(letter) for letter in letters] == [(0, 0), (0, 1)]
    for letter in letters:
        headers = dict(letter.headers)
        assert letter.value == HUGE[:65536]
        assert int(headers["oodl-size"]) == len(HUGE)
        assert headers["oodl-sha256"].decode() == hashlib.sha256(HUGE).hexdigest()
        assert headers["oodl-reason"] == b"size"
    coded = codes_by_position(read(apache_kafka.address, topics["codes"]))
    assert sorted(coded) == [record.position for record in sent]


def test_a_group_of_any_name_is_coded_and_goes_on_after_a_restart(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    names = [
        "a\0b",
        "a\0c",
        "a\nb",
        "\x1b[2J",
        "\u2028",
        "a/b",
        "__other__",
        " ",
        '"\\',
        "日" * 249,
    ]
    topics, port = create_topics(apache_kafka, "names"), free_port()
    file = settings(apache_kafka, tmp_path, topics, port)
    sent: list[Record] = []
    for first, rows in ((0, 120), (120, 20)):
        sent += send(apache_kafka.address, topics["readings"], machine(names, rows, first=first))
        with Worker(file, port) as worker:
            worker.await_metrics()
            await_codes(worker, rows * len(names))
            assert worker.metrics()["oodl_groups", ""] == len(names)
            assert worker.end(signal.SIGTERM) == 0
        assert worker.said()[-1]["codes_sent"] == rows * len(names)
    coded = codes_by_position(read(apache_kafka.address, topics["codes"]))
    assert sorted(coded) == sorted(record.position for record in sent)
    for name in names:
        codes = [code for at in sorted(coded) for code in coded[at] if code.group == name]
        assert not any(code.version for code in codes[:64])
        assert all(code.version for code in codes[120:])


def await_codes(worker: Worker, count: int) -> None:
    wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == count)


def settings(broker: ApacheKafka, folder: Path, topics: dict[str, str], port: int) -> Path:
    return write_settings(
        folder,
        {
            "kafka": {"bootstrap": broker.address},
            "topics": {**topics},
            "recovery": {"folder": str(folder / "recovery")},
            "metrics": {"port": port},
        },
    )
