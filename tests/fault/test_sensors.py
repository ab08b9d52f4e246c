"""Messages of one sensor each, through kill -9: each is in one code or in one dead letter."""

import json
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from flows.wire import CodeMessage, decode_codes, origins
from oodl.coding import Version
from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import (
    Position,
    Record,
    machine,
    position_of_letter,
    read,
    rebuilt,
    same,
    send,
    versions,
)

GROUPS = [f"press-{number}" for number in range(8)]
SENSORS = ("acoustic", "bearing", "coolant", "motor", "speed")
SECONDS, EVERY, WAIT = 240, 1.0, 2.0
BAD = b'{"sensor": "speed", "ts": 1'
RATE = 4000
TOLERANCE = 0.1


def samples(seed: int = 0) -> list[Record]:
    """Each second each sensor of each group, out of order within the bound; some late, some bad."""
    chance, arrived = random.Random(seed), list[tuple[float, Record]]()
    for number, record in enumerate(machine(GROUPS, SECONDS, channels=len(SENSORS))):
        body = json.loads(record.value or b"")
        for place, (name, value) in enumerate(zip(SENSORS, body["values"], strict=True)):
            at = body["ts"] + 0.1 * place
            delay = chance.uniform(0, 0.9 * WAIT)
            if number > 400 and chance.random() < 0.01:
                delay = 20.0
            said = json.dumps({"sensor": name, "ts": at, "value": value}).encode()
            if number > 400 and chance.random() < 0.01:
                said = BAD
            arrived.append((at + delay, Record(record.key, said)))
    arrived.sort(key=lambda each: each[0])
    return [record for _, record in arrived]


def closing() -> list[Record]:
    """What closes all that came before, and waits itself."""
    body = json.dumps({"sensor": "speed", "ts": 1.7e9 + SECONDS + 60, "value": 1.0}).encode()
    return [Record(group.encode(), body) for group in GROUPS * 2]


@dataclass(frozen=True, slots=True)
class Story:
    """What was sent and what came out.

    Parameters
    ----------
    delivery : str
    sent, closing : dict of Position to Record
        What must come out, and what closes it.
    codes : list of CodeMessage
    letters : list of Record
    known : dict of (str, str) to Version
    exported : dict of (str, str) to float
        The last process's metrics, when all was done.
    """

    delivery: str
    sent: dict[Position, Record]
    closing: dict[Position, Record]
    codes: list[CodeMessage]
    letters: list[Record]
    known: dict[tuple[str, str], Version]
    exported: dict[tuple[str, str], float]

    @property
    def placed(self) -> set[Position]:
        """Where there is a code or a dead letter for."""
        coded = {place for code in self.codes for place in origins(code)}
        return coded | {position_of_letter(letter) for letter in self.letters}


@pytest.fixture(scope="module", params=["at-least-once", "exactly-once"])
def story(
    request: pytest.FixtureRequest,
    apache_kafka: ApacheKafka,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """9,600 samples, two kill -9 on the way, and a process that goes on to the end."""
    delivery: str = request.param
    topics, port = create_topics(apache_kafka, f"sensors-{delivery}"), free_port()
    settings = settings_of(tmp_path_factory.mktemp("sensors"), apache_kafka, topics, port, delivery)
    records, sent = samples(), list[Record]()

    def feed(part: list[Record]) -> None:
        for first in range(0, len(part), RATE // 10):
            chunk = part[first : first + RATE // 10]
            sent.extend(send(apache_kafka.address, topics["readings"], chunk))
            time.sleep(0.1)

    third = len(records) // 3
    for part in (records[:third], records[third : 2 * third]):
        with Worker(settings, port) as worker:
            worker.await_metrics()
            feed(part)
            wait_until(lambda: outputs(worker) > 100)
            worker.end(signal.SIGKILL)
    with Worker(settings, port) as worker:
        worker.await_metrics()
        feed(records[2 * third :])
        last = send(apache_kafka.address, topics["readings"], closing())
        story = None
        deadline = time.monotonic() + 60

        def told() -> Story:
            values = read(apache_kafka.address, topics["codes"])
            return Story(
                delivery,
                {record.position: record for record in sent},
                {record.position: record for record in last},
                [code for each in values for code in decode_codes(each.value or b"")],
                read(apache_kafka.address, topics["dead_letters"]),
                versions(read(apache_kafka.address, topics["dictionaries"])),
                worker.metrics(),
            )

        story = told()
        while story.sent.keys() - story.placed and time.monotonic() < deadline:
            time.sleep(0.5)
            story = told()
        assert worker.end(signal.SIGTERM) == 0
    return story


def settings_of(
    folder: Path, broker: ApacheKafka, topics: dict[str, str], port: int, delivery: str
) -> Path:
    return write_settings(
        folder,
        {
            "kafka": {"bootstrap": broker.address, "group": f"sensors-{delivery}"},
            "topics": {**topics},
            "sensors": {"every": EVERY, "wait": WAIT},
            "recovery": {"folder": str(folder / "recovery"), "delivery": delivery},
            "metrics": {"port": port},
        },
    )


def outputs(worker: Worker) -> float:
    return worker.metrics()["oodl_codes_sent_total", ""]


def test_every_sample_is_in_a_code_or_a_dead_letter(story: Story) -> None:
    coded = {place for code in story.codes for place in origins(code)}
    buried = {position_of_letter(letter) for letter in story.letters}

    assert story.sent.keys() - coded - buried == set()
    assert coded & buried == set()
    assert (coded | buried) - story.sent.keys() <= story.closing.keys()


def test_the_late_and_the_bad_are_dead_letters_with_their_bytes(story: Story) -> None:
    reasons = {
        position_of_letter(each): dict(each.headers)["oodl-reason"] for each in story.letters
    }
    bad = {at for at, record in story.sent.items() if record.value == BAD}

    assert {at for at, reason in reasons.items() if reason == b"json"} == bad
    assert set(reasons.values()) == {b"json", b"late"}
    assert 40 < sum(reason == b"late" for reason in reasons.values()) < 400
    for letter in story.letters:
        assert letter.value == story.sent[position_of_letter(letter)].value


def test_a_sample_is_in_one_reading_whatever_was_repeated(story: Story) -> None:
    of: dict[Position, set[tuple[Position, ...]]] = {}
    for code in story.codes:
        for place in origins(code):
            of.setdefault(place, set()).add(tuple(origins(code)))

    assert all(len(readings) == 1 for readings in of.values())
    if story.delivery == "exactly-once":
        assert len({origins(code)[0] for code in story.codes}) == len(story.codes)
        assert len({position_of_letter(each) for each in story.letters}) == len(story.letters)


def test_repeats_are_the_same(story: Story) -> None:
    first: dict[Position, CodeMessage] = {}
    for code in story.codes:
        assert same(first.setdefault(origins(code)[0], code), code)


def test_each_code_gives_back_its_samples(story: Story) -> None:
    for code in story.codes:
        version = story.known[code.group, code.id]
        expected: dict[str, tuple[float, float]] = {}
        for place in origins(code):
            body = json.loads((story.sent | story.closing)[place].value or b"")
            assert code.ts == body["ts"] // EVERY * EVERY
            expected[body["sensor"]] = max(
                expected.get(body["sensor"], (0.0, 0.0)), (body["ts"], body["value"])
            )
        off = [
            (value - expected[name][1]) / scale
            for name, value, scale in zip(
                version.channels, rebuilt(code, story.known), version.scale, strict=True
            )
            if name in expected
        ]
        assert len(off) == len(expected)
        assert np.sqrt(np.mean(np.square(off))) <= TOLERANCE * bool(code.version) + 1e-9
        assert len(code.missing) == len(version.channels) - len(expected)


def test_the_groups_learn(story: Story) -> None:
    assert {code.group for code in story.codes if code.version} == set(GROUPS)


def test_what_the_last_process_exports_is_in_the_ledger(story: Story) -> None:
    exported = story.exported
    assert exported["oodl_samples_assembled_total", ""] <= len(story.placed)
    assert exported["oodl_samples_assembled_total", ""] > 0
    assert exported["oodl_readings_rejected_total", "late"] > 0
