"""A topic keyed by sensor, through the internal one: kill -9 of either process loses nothing."""

import json
import signal
import time
from dataclasses import dataclass

import pytest

from flows.wire import CodeMessage, decode_codes, origins
from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import Position, Record, machine, position_of_letter, read, send

GROUPS = [f"press-{number}" for number in range(6)]
SENSORS = ("acoustic", "bearing", "coolant", "motor", "speed")
SECONDS, WAIT = 200, 40.0
BAD = b'{"sensor": "speed", "ts": 1'
REPARTITION = ("-m", "flows", "repartition", "--settings")


def samples() -> list[Record]:
    """Each second each sensor of each group, keyed by sensor; one in a hundred is bad."""
    found: list[Record] = []
    for record in machine(GROUPS, SECONDS, channels=len(SENSORS)):
        body, group = json.loads(record.value or b""), (record.key or b"").decode()
        for name, value in zip(SENSORS, body["values"], strict=True):
            said = {"group": group, "sensor": name, "ts": body["ts"], "value": value}
            bad = len(found) % 100 == 99
            found.append(Record(name.encode(), BAD if bad else json.dumps(said).encode()))
    return found


def closing() -> list[Record]:
    """What closes all that came before, and waits itself."""
    at = 1.7e9 + SECONDS + 2 * WAIT
    return [
        Record(
            b"speed",
            json.dumps({"group": group, "sensor": "speed", "ts": at, "value": 1.0}).encode(),
        )
        for group in GROUPS * 2
    ]


@dataclass(frozen=True, slots=True)
class Story:
    """What was sent and what came out.

    Parameters
    ----------
    delivery : str
    sent, closing : dict of Position to Record
    codes : list of CodeMessage
    letters : list of Record
    internal : int
        Messages of the internal topic, as a reader of what is committed sees it.
    exported : dict of (str, str) to float
        The last metrics of the process that moves messages.
    """

    delivery: str
    sent: dict[Position, Record]
    closing: dict[Position, Record]
    codes: list[CodeMessage]
    letters: list[Record]
    internal: int
    exported: dict[tuple[str, str], float]

    @property
    def coded(self) -> list[Position]:
        return [place for code in self.codes for place in origins(code)]

    @property
    def buried(self) -> list[Position]:
        return [position_of_letter(letter) for letter in self.letters]


@pytest.fixture(scope="module", params=["at-least-once", "exactly-once"])
def story(
    request: pytest.FixtureRequest,
    apache_kafka: ApacheKafka,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """6,000 samples; either process is killed once."""
    delivery: str = request.param
    name, port, moved_at = f"repartition-{delivery}", free_port(), free_port()
    topics, folder = create_topics(apache_kafka, name), tmp_path_factory.mktemp("repartition")
    topics["repartitioned"] = f"{name}.internal"
    apache_kafka.create_topic(topics["repartitioned"], partitions=4, settings={})
    settings = write_settings(
        folder,
        {
            "kafka": {"bootstrap": apache_kafka.address, "group": name},
            "topics": {**topics},
            "sensors": {"wait": WAIT},
            "recovery": {"folder": str(folder / "recovery"), "delivery": delivery},
            "metrics": {"port": port, "repartition_port": moved_at},
        },
    )
    address, sent = apache_kafka.address, list[Record]()

    def feed(part: list[Record]) -> None:
        for first in range(0, len(part), 200):
            sent.extend(send(address, topics["readings"], part[first : first + 200]))
            time.sleep(0.1)

    def told(last: list[Record], exported: dict[tuple[str, str], float]) -> Story:
        values = read(address, topics["codes"])
        return Story(
            delivery,
            {record.position: record for record in sent},
            {record.position: record for record in last},
            [code for each in values for code in decode_codes(each.value or b"")],
            read(address, topics["dead_letters"]),
            len(read(address, topics["repartitioned"])),
            exported,
        )

    def moving(number: int) -> Worker:
        log_file = folder / f"repartition-{number}.log"
        return Worker(settings, moved_at, program=REPARTITION, log_file=log_file)

    def coding(number: int) -> Worker:
        return Worker(settings, port, log_file=folder / f"run-{number}.log")

    records = samples()
    third = len(records) // 3
    with coding(0) as pipeline:
        pipeline.await_metrics()
        with moving(0) as mover:
            feed(records[:third])
            wait_until(lambda: written(pipeline) > 100)
            assert mover.end(signal.SIGKILL) == -signal.SIGKILL
        with moving(1) as mover:
            mover.await_metrics()
            feed(records[third : 2 * third])
            wait_until(lambda: written(pipeline) > 300)
            pipeline.end(signal.SIGKILL)
            with coding(1) as again:
                again.await_metrics()
                feed(records[2 * third :])
                last = send(address, topics["readings"], closing())
                deadline, found = time.monotonic() + 60, told(last, {})
                while left(found) and time.monotonic() < deadline:
                    time.sleep(0.5)
                    found = told(last, {})
                wait_until(lambda: not lag(mover))
                exported = mover.metrics()
                assert mover.end(signal.SIGTERM) == 0
                assert again.end(signal.SIGTERM) == 0
    return told(last, exported)


def left(story: Story) -> set[Position]:
    return story.sent.keys() - set(story.coded) - set(story.buried)


def lag(worker: Worker) -> float:
    shown = worker.metrics()
    return sum(shown["oodl_partition_lag_readings", f"{number}"] for number in range(6))


def written(worker: Worker) -> float:
    return worker.metrics()["oodl_codes_sent_total", ""]


def test_every_sample_is_in_a_code_or_a_dead_letter_by_where_it_was_sent(story: Story) -> None:
    coded, buried = set(story.coded), set(story.buried)

    assert left(story) == set()
    assert coded & buried == set()
    assert (coded | buried) - story.sent.keys() <= story.closing.keys()
    assert {code.group for code in story.codes} == set(GROUPS)


def test_a_dead_letter_is_the_message_as_it_was_sent(story: Story) -> None:
    bad = {at for at, record in story.sent.items() if record.value == BAD}

    assert bad <= set(story.buried)
    for letter in story.letters:
        was = story.sent[position_of_letter(letter)]
        assert (letter.key, letter.value) == (was.key, was.value)
        assert dict(letter.headers)["oodl-topic"].decode().endswith(".readings")
        assert not [name for name, _ in letter.headers if name.startswith("oodl-origin")]


def test_a_sample_is_in_one_reading_however_often_it_was_repartitioned(story: Story) -> None:
    of: dict[Position, set[tuple[Position, ...]]] = {}
    for code in story.codes:
        for place in origins(code):
            of.setdefault(place, set()).add(tuple(origins(code)))

    assert all(len(readings) == 1 for readings in of.values())
    if story.delivery == "exactly-once":
        assert len(set(story.coded)) == len(story.coded)
        assert len(set(story.buried)) == len(story.buried)
        assert story.internal == len(story.sent) + len(story.closing)


def test_samples_of_a_group_come_together_from_several_partitions(story: Story) -> None:
    whole = [code for code in story.codes if len(origins(code)) == len(SENSORS)]

    assert len(whole) > 0.5 * SECONDS * len(GROUPS)
    assert all(len({partition for partition, _ in origins(code)}) > 1 for code in whole)


def test_the_process_that_moves_messages_tells_how_many(story: Story) -> None:
    exported = story.exported

    assert exported["oodl_messages_repartitioned_total", ""] > len(story.sent) / 3
    assert exported["oodl_readings_received_total", ""] > len(story.sent) / 3
    assert exported["oodl_dead_letters_sent_total", ""] == 0
