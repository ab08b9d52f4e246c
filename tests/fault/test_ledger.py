"""No reading is lost, whatever ends the worker: a ledger by position on a real broker."""

import hashlib
import json
import signal
import time
from dataclasses import dataclass

import numpy as np
import pytest

from flows.wire import CodeMessage
from oodl.coding import Version
from tests.brokers import ApacheKafka
from tests.fault.readings import GROUPS, LARGE, POISON, ROWS, readings
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import (
    CUT,
    Position,
    Record,
    codes_by_position,
    position_of_letter,
    read,
    rebuilt,
    same,
    send,
    versions,
)

RATE = 4000  # readings a second: a flow at work, not a backlog
TOLERANCE = 0.1
EARLY, FAR = 0.0, 4_070_908_800.0  # 1970 and 2099


@dataclass(frozen=True, slots=True)
class Story:
    """What was sent, what came out, and what the last process said of itself.

    Parameters
    ----------
    delivery : str
    sent : dict of Position to Record
    coded : dict of Position to list of CodeMessage
    letters : dict of Position to list of Record
    known : dict of (str, str) to Version
    exported : dict of (str, str) to float
        The last process's metrics, when all was done.
    last_words : dict of str to object
        The last line of its log.
    added : tuple of int
        Codes and dead letters that the topics gained while it ran.
    ended : tuple of int
        What the three processes ended with.
    """

    delivery: str
    sent: dict[Position, Record]
    coded: dict[Position, list[CodeMessage]]
    letters: dict[Position, list[Record]]
    known: dict[tuple[str, str], Version]
    exported: dict[tuple[str, str], float]
    last_words: dict[str, object]
    added: tuple[int, int]
    ended: tuple[int, ...]


@pytest.fixture(scope="module", params=["at-least-once", "exactly-once"])
def story(
    request: pytest.FixtureRequest,
    apache_kafka: ApacheKafka,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """20,000 readings of 20 groups, 1 % poison, one kill -9 and one SIGTERM on the way."""
    delivery: str = request.param
    topics, port = create_topics(apache_kafka, delivery), free_port()
    folder = tmp_path_factory.mktemp("ledger")
    settings = write_settings(
        folder,
        {
            "kafka": {"bootstrap": apache_kafka.address, "group": delivery},
            "topics": {**topics},
            "recovery": {
                "folder": str(folder / "recovery"),
                "epoch_seconds": 1.5,
                "delivery": delivery,
            },
            "metrics": {"port": port},
        },
    )
    records = with_strange_times(readings())
    parts = [records[:7000], records[7000:14000], records[14000:]]
    sent: list[Record] = []

    def feed(part: list[Record]) -> None:
        for first in range(0, len(part), RATE // 10):
            sent.extend(
                send(apache_kafka.address, topics["readings"], part[first : first + RATE // 10])
            )
            time.sleep(0.1)

    def there(role: str) -> list[Record]:
        return read(apache_kafka.address, topics[role])

    def done() -> int:
        found = set(codes_by_position(there("codes")))
        return len(found | {position_of_letter(letter) for letter in there("dead_letters")})

    with Worker(settings, port) as first:
        first.await_metrics()
        feed(parts[0][:-400])
        first.await_snapshot(folder / "recovery")
        feed(parts[0][-400:])
        wait_until(lambda: confirmed(first.metrics()) > len(parts[0]) - 400)
        killed = first.end(signal.SIGKILL)
    with Worker(settings, port) as second:
        second.await_metrics()
        feed(parts[1])
        stopped = second.end(signal.SIGTERM)
    before = len(there("codes")), len(there("dead_letters"))
    left = len(sent) + len(parts[2]) - done()
    with Worker(settings, port) as third:
        third.await_metrics()
        feed(parts[2])
        wait_until(lambda: done() == len(sent), pause=0.5)
        wait_until(lambda: confirmed(third.metrics()) == left)
        exported = third.metrics()
        ended = third.end(signal.SIGTERM)
    letters: dict[Position, list[Record]] = {}
    for letter in there("dead_letters"):
        letters.setdefault(position_of_letter(letter), []).append(letter)
    after = len(there("codes")), len(there("dead_letters"))
    return Story(
        delivery=delivery,
        sent={record.position: record for record in sent},
        coded=codes_by_position(there("codes")),
        letters=letters,
        known=versions(there("dictionaries")),
        exported=exported,
        last_words=third.said()[-1],
        added=(after[0] - before[0], after[1] - before[1]),
        ended=(killed, stopped, ended),
    )


def test_every_reading_is_coded_or_a_dead_letter_and_none_is_both(story: Story) -> None:
    assert len(story.sent) == len(GROUPS) * ROWS
    assert story.coded.keys() | story.letters.keys() == story.sent.keys()
    assert not story.coded.keys() & story.letters.keys()


def test_only_a_killed_worker_repeats_and_none_where_delivery_is_exactly_once(
    story: Story,
) -> None:
    repeats = sum(len(codes) - 1 for codes in story.coded.values())
    buried = sum(len(letters) - 1 for letters in story.letters.values())
    assert story.ended == (-signal.SIGKILL, 0, 0)
    if story.delivery == "exactly-once":
        assert (repeats, buried) == (0, 0)
    else:
        assert 0 < repeats < len(story.sent) / 2


def test_all_poison_is_a_dead_letter_with_its_reason_and_its_bytes(story: Story) -> None:
    expected = {at: record for at, record in story.sent.items() if record.value in POISON}
    assert len(expected) == len(story.sent) // 100
    assert story.letters.keys() == expected.keys()
    for at, record in expected.items():
        value = record.value or b""
        for letter in story.letters[at]:
            headers = dict(letter.headers)
            assert headers["oodl-reason"].decode() == POISON[value]
            assert letter.key == record.key
            if value == LARGE:
                assert int(headers["oodl-size"]) == len(value)
                assert headers["oodl-sha256"].decode() == hashlib.sha256(value).hexdigest()
                assert value.startswith(letter.value or b"none")
            else:
                assert (letter.value or b"") == value


def test_every_code_rebuilds_its_reading_within_the_tolerance(story: Story) -> None:
    for at, codes in story.coded.items():
        values = np.array(json.loads(story.sent[at].value or b"")["values"])
        for code in codes:
            off = (rebuilt(code, story.known) - values) / story.known[code.group, code.id].scale
            assert np.sqrt((off**2).mean()) <= TOLERANCE
            assert code.version > 0 or not off.any()


def test_repeats_are_the_same_code(story: Story) -> None:
    pairs = [(codes[0], code) for codes in story.coded.values() for code in codes[1:]]

    differ = [(one, other) for one, other in pairs if not same(one, other)]

    assert len(differ) <= CUT * len(pairs)


def test_a_strange_time_is_coded_as_it_came_and_moves_no_clock(story: Story) -> None:
    stamps = {ts for codes in story.coded.values() for code in codes for ts in code.times}
    assert {EARLY, FAR} <= stamps
    usual = max(stamps - {FAR})
    for group in GROUPS:
        assert story.exported["oodl_last_reading_timestamp_seconds", group] <= usual
    assert story.exported["oodl_oddities_total", "clock_ahead"] == 2
    assert story.exported["oodl_oddities_total", "late"] == 2


def test_the_last_process_exports_what_the_ledger_shows(story: Story) -> None:
    exported = story.exported
    assert exported["oodl_codes_sent_total", ""] == story.added[0]
    assert exported["oodl_dead_letters_sent_total", ""] == story.added[1]
    assert sum_of(exported, "oodl_readings_coded_total") == story.added[0]
    assert sum_of(exported, "oodl_readings_rejected_total") == story.added[1]
    assert exported["oodl_readings_received_total", ""] == sum(story.added)


def test_the_last_line_of_a_process_that_ends_by_itself_holds_its_tallies(story: Story) -> None:
    assert story.last_words["codes_sent"] == story.added[0]
    assert story.last_words["dead_letters_sent"] == story.added[1]
    assert story.last_words["received"] == sum(story.added)


def with_strange_times(records: list[Record]) -> list[Record]:
    """Give four readings of the last part a time that no clock should follow."""
    strange = {len(records) - 2_003: EARLY, len(records) - 2_002: FAR,
               len(records) - 1_003: EARLY, len(records) - 1_002: FAR}  # fmt: skip
    changed = list(records)
    for number, time_stamp in strange.items():
        body = json.loads(changed[number].value or b"")
        value = json.dumps(body | {"ts": time_stamp}).encode()
        changed[number] = changed[number]._replace(value=value)
    return changed


def confirmed(exported: dict[tuple[str, str], float]) -> float:
    return exported["oodl_codes_sent_total", ""] + exported["oodl_dead_letters_sent_total", ""]


def sum_of(exported: dict[tuple[str, str], float], name: str) -> float:
    return sum(value for (sample, _), value in exported.items() if sample == name)
