"""``oodl dead-letters`` on a real broker: poison, list, explain, fix, send again, coded."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.wire import Message, Rejected, dead_letter
from tests.brokers import ApacheKafka
from tests.fault.workers import (
    ROOT,
    Worker,
    create_topics,
    free_port,
    wait_until,
    write_settings,
)
from tests.traffic import Record, codes_by_position, read, send

pytestmark = pytest.mark.operation

WIDE = [json.dumps({"ts": 1.7e9 + row, "values": [row, *range(5)]}).encode() for row in range(5)]
TIMELESS = b'{"values": [9, 8, 7, 6, 5, 4]}'
LARGE = b'{"ts": 1700000000, "values": [1, 2, 3]' + b" " * 300_000 + b"}"
BROKEN = b'{"values": [1,'


def configured(
    broker: ApacheKafka, folder: Path, topics: dict[str, str], port: int, *, fixed: bool
) -> Path:
    """Settings under which wide and large readings are refused, or the same after the fix."""
    folder.mkdir(exist_ok=True)
    return write_settings(
        folder,
        {
            "kafka": {
                "bootstrap": broker.address,
                "max_message_bytes": 1_048_576 if fixed else 200_000,
            },
            "topics": {**topics},
            "channels": {"max_frame": 256 if fixed else 4},
            "recovery": {"folder": str(folder.parent / "recovery")},
            "metrics": {"port": port},
        },
    )


def oodl(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows", "dead-letters", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def answers(*words: object) -> list[dict[str, Any]]:
    """What a command prints as JSON, line by line."""
    ended = oodl(*words, "--json")
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def sent_again(records: list[Record]) -> dict[bytes, list[bytes]]:
    """Values of the messages that were sent again, by how often they say they were."""
    found: dict[bytes, list[bytes]] = {}
    for record in records:
        times = dict(record.headers).get("oodl-sent-again")
        if times is not None:
            found.setdefault(times, []).append(record.value or b"")
    return {times: sorted(values) for times, values in found.items()}


def test_what_was_refused_is_coded_once_it_is_sent_again_after_the_fix(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given a pipeline whose settings refuse some readings, and one that nothing could read
    topics, port = create_topics(apache_kafka, "letters"), free_port()
    own = (("trace", b"7"),)
    poison = [Record(b"wide-0", value, own) for value in (*WIDE, TIMELESS)]
    poison += [Record(b"large-0", LARGE, own), Record(b"broken\n-0", BROKEN)]
    sent = send(apache_kafka.address, topics["readings"], poison)
    narrow = configured(apache_kafka, tmp_path / "narrow", topics, port, fixed=False)
    with Worker(narrow, port) as worker:
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_dead_letters_sent_total", ""] == len(poison))
        assert worker.end(signal.SIGTERM) == 0
    # when they are listed
    listed = {each["reason"]: each for each in answers("list", "--settings", narrow)}
    # then each reason has its count and an example
    assert {reason: each["letters"] for reason, each in listed.items()} == {
        "length": 6, "size": 1, "json": 1,
    }  # fmt: skip
    assert listed["length"]["example"]["detail"] == "expected at most 4 values, got 6"
    table = oodl("list", "--settings", narrow, "--reason", "length", "--group", "wide-*").stdout
    assert "length" in table
    assert "json" not in table
    # and one in full says what was expected, what helps, and whether it could be read now
    at = listed["length"]["example"]["letter"]
    [told] = answers("explain", at, "--settings", narrow)
    assert (told["group"], told["reason"], told["headers"]) == ("wide-0", "length", ["trace: 7"])
    assert "max_frame" in told["expected"]
    assert "send again" in told["remedy"]
    text = oodl("explain", "--reason", "json", "--settings", narrow).stdout
    assert r"broken\n-0" in text
    assert "these settings would refuse it again: json" in text
    # when the settings are mended, and what was refused is sent again
    wider = configured(apache_kafka, tmp_path / "wider", topics, port, fixed=True)
    dry = answers("send-again", "--all", "--dry-run", "--settings", wider)
    [done] = answers("send-again", "--all", "--settings", wider)
    # then all but what cannot be read is, whole, once, to the partition that it came from
    assert [dry[0]["sent"], done["sent"], done["unreadable"]] == [7, 7, 1]
    readings = read(apache_kafka.address, topics["readings"])
    assert sent_again(readings) == {b"1": sorted([*WIDE, TIMELESS, LARGE])}
    assert {r.partition for r in readings} == {r.partition for r in sent}
    assert {dict(r.headers)["trace"] for r in readings if r.key != b"broken\n-0"} == {b"7"}
    [again] = answers("send-again", "--all", "--settings", wider)
    assert (again["sent"], again["already"], again["unreadable"]) == (0, 7, 1)
    relisted = {each["reason"]: each["sent_again"] for each in answers("list", "--settings", wider)}
    assert relisted == {"length": 6, "size": 1, "json": 0}
    [explained] = answers("explain", at, "--settings", wider)
    assert topics["readings"] in explained["sent again"][0]
    # and the pipeline codes them
    with Worker(wider, port) as worker:
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == 7)
        assert worker.end(signal.SIGTERM) == 0
    coded = codes_by_position(read(apache_kafka.address, topics["codes"]))
    expected = {r.position: r for r in readings if "oodl-sent-again" in dict(r.headers)}
    assert coded.keys() == expected.keys()
    # a reading without a time of its own has kept that of its message
    [timeless] = [at for at, record in expected.items() if record.value == TIMELESS]
    assert (
        abs(coded[timeless][0].times[0] - stamps(apache_kafka, topics["readings"])[timeless])
        < 0.002
    )
    assert stamps(apache_kafka, topics["readings"])[timeless] == pytest.approx(
        stamps(apache_kafka, topics["readings"])[position(sent, TIMELESS)]
    )


def test_a_message_that_stays_bad_goes_round_once_and_no_more(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given letters whose messages are sent again though nothing was mended
    topics, port = create_topics(apache_kafka, "round"), free_port()
    send(apache_kafka.address, topics["readings"], [Record(b"wide-0", value) for value in WIDE])
    narrow = configured(apache_kafka, tmp_path / "narrow", topics, port, fixed=False)
    with Worker(narrow, port) as worker:
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_dead_letters_sent_total", ""] == 5)
        [first] = answers("send-again", "--reason", "length", "--settings", narrow)
        wait_until(lambda: worker.metrics()["oodl_dead_letters_sent_total", ""] == 10)
        # when that is done again
        [second] = answers("send-again", "--reason", "length", "--settings", narrow)
        # then neither the letters nor those that came back are sent
        assert (first["sent"], second["sent"]) == (5, 0)
        assert (second["already"], second["too-often"]) == (5, 5)
        # unless it is allowed, or forced
        [third] = answers("send-again", "--group", "wide-?", "--most", 2, "--settings", narrow)
        assert (third["sent"], third["already"]) == (5, 5)
        wait_until(lambda: worker.metrics()["oodl_dead_letters_sent_total", ""] == 15)
        [listed] = answers("list", "--settings", narrow)
        at = listed["example"]["letter"]
        [held] = answers("send-again", at, "--settings", narrow)
        [forced] = answers("send-again", at, "--force", "--settings", narrow)
        assert (held["sent"], held["too-often"], forced["sent"]) == (0, 1, 1)
    again = sent_again(read(apache_kafka.address, topics["readings"]))
    assert {times: len(values) for times, values in again.items()} == {b"1": 5, b"2": 5, b"3": 1}


def test_ctrl_c_ends_it_and_the_next_call_goes_on_from_there(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given many letters
    topics = create_topics(apache_kafka, "ctrl-c")
    settings = configured(apache_kafka, tmp_path / "x", topics, free_port(), fixed=True)
    count = 20_000
    send(apache_kafka.address, topics["dead_letters"], [letter(topics, n) for n in range(count)])
    # when they are sent again, and Ctrl-C comes in the middle of it
    command = [sys.executable, "-m", "flows", "dead-letters", "send-again", "--all", "--json"]
    with subprocess.Popen(
        [*command, "--settings", str(settings)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: bool(read(apache_kafka.address, topics["readings"])))
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        first = json.loads(process.stdout.read())
    [second] = answers("send-again", "--all", "--settings", settings)
    # then it ends with what was on its way, and the next one does the rest
    assert process.returncode == 130
    assert first["stopped"]
    assert 0 < first["sent"] < count
    assert (second["sent"], second["already"]) == (count - first["sent"], first["sent"])
    values = [record.value for record in read(apache_kafka.address, topics["readings"])]
    assert len(values) == len(set(values)) == count


def test_a_refused_code_goes_to_the_codes_once_the_topic_takes_it(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given a topic of codes that takes only small ones
    topics, port = create_topics(apache_kafka, "small"), free_port()
    small = f"{topics['codes']}-small"
    apache_kafka.create_topic(small, partitions=3, settings={"max.message.bytes": "700"})
    topics["codes"] = small
    settings = configured(apache_kafka, tmp_path / "x", topics, port, fixed=True)
    body = json.dumps({"ts": 1, "values": [1 / 3 + row for row in range(64)]}).encode()
    [sent] = send(apache_kafka.address, topics["readings"], [Record(b"wide-0", body)])
    with Worker(settings, port) as worker:
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_dead_letters_sent_total", ""] == 1)
        assert worker.end(signal.SIGTERM) == 0
    assert read(apache_kafka.address, small) == []
    # when it takes larger ones
    alter(apache_kafka, small, "max.message.bytes", "100000")
    [done] = answers("send-again", "--reason", "refused", "--settings", settings)
    # then the code is there, and no reading was sent again
    assert done["sent"] == 1
    assert codes_by_position(read(apache_kafka.address, small)).keys() == {sent.position}
    assert len(read(apache_kafka.address, topics["readings"])) == 1


def test_a_message_that_is_gone_from_where_it_was_cut_is_told(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topics = create_topics(apache_kafka, "deleted")
    settings = configured(apache_kafka, tmp_path / "x", topics, free_port(), fixed=True)
    send(apache_kafka.address, topics["readings"], [Record(b"large-0", b"another", partition=0)])
    letters = [letter(topics, offset, LARGE) for offset in (0, 7)]  # another one there, and none
    send(apache_kafka.address, topics["dead_letters"], letters)

    [done] = answers("send-again", "--all", "--settings", settings)

    assert (done["sent"], done["not-whole"]) == (0, 2)


def test_letters_are_picked_by_when_they_were_written(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topics = create_topics(apache_kafka, "times")
    settings = configured(apache_kafka, tmp_path / "x", topics, free_port(), fixed=True)
    send(apache_kafka.address, topics["dead_letters"], [letter(topics, n) for n in range(3)])
    before, after = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"

    for words, count in [(("--from", before), 3), (("--from", after), 0), (("--to", before), 0),
                         (("--from", before, "--to", after), 3)]:  # fmt: skip
        found = answers("list", *words, "--settings", settings)
        assert sum(each["letters"] for each in found) == count


def test_what_is_not_a_letter_is_passed_over_and_what_is_not_there_is_told(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topics = create_topics(apache_kafka, "strange")
    settings = configured(apache_kafka, tmp_path / "x", topics, free_port(), fixed=True)
    strangers = [
        Record(b"k", b"v"),
        Record(b"k", b"v", (("oodl-reason", b"json"),)),
        Record(b"k", b"v", (("oodl-sent-again-of", b"x"), ("oodl-sent-to", b""))),
    ]
    send(apache_kafka.address, topics["dead_letters"], [r._replace(partition=0) for r in strangers])

    assert answers("list", "--settings", settings) == []
    for words, told in [
        (("explain", "0/0"), "expected a dead letter, got none"),
        (("explain", "9/0"), "expected a dead letter, got none"),
        (("explain", "x"), "expected the position of a dead letter like 0/17, got 'x'"),
        (("explain",), "expected a letter that fits, got none"),
        (("send-again",), "expected which letters, got none; name some, or take --all"),
    ]:
        ended = oodl(*words, "--settings", settings)
        assert ended.returncode == 1
        assert ended.stderr.startswith("oodl: ")
        assert told in ended.stderr


def letter(topics: dict[str, str], offset: int, value: bytes | None = None) -> Record:
    """A dead letter of partition 0, as the sink writes it.

    Its message is of now: the broker deletes what is sent again with a time beyond its retention.
    """
    body = value or json.dumps({"ts": 1, "values": [offset, 2, 3]}).encode()
    message = Message(topics["readings"], 0, offset, b"press-0", body, [], time.time())
    written = dead_letter(Rejected(message, "length", "expected 4 values"), 200_000)
    headers = tuple((name, each or b"") for name, each in written.headers)
    return Record(written.key, written.value, headers)


def position(records: list[Record], value: bytes) -> tuple[int, int]:
    [found] = [record.position for record in records if record.value == value]
    return found


def stamps(broker: ApacheKafka, topic: str) -> dict[tuple[int, int], float]:
    """The messages' own times."""
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=broker.address,
        auto_offset_reset="earliest",
        consumer_timeout_ms=2000,
    )
    found = {(each.partition, each.offset): each.timestamp / 1000 for each in consumer}
    consumer.close()
    return found


def alter(broker: ApacheKafka, topic: str, name: str, value: str) -> None:
    from confluent_kafka.admin import (
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = broker.admin()  # answers end with it
    admin.incremental_alter_configs([resource])[resource].result(30)
