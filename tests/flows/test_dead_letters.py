"""Dead letters without a broker: what they are read as, who is meant, what becomes of them."""

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import Settings
from flows.tools.letter_report import as_json, explained, newest, table, tally
from flows.tools.letters import Letter, Note, Place, Record, Selection, parse, position
from flows.tools.remedies import REMEDIES
from flows.tools.send_again import Judge
from flows.wire import Message, Reason, Rejected, dead_letter, refused
from oodl.errors import ValueFault

WRITTEN = 1_795_478_400.0
GOOD = b'{"ts": 1, "values": [1, 2, 3]}'
DAMAGE = st.sampled_from(["", "-1", "x", "1" * 30, "9/9", "é", "\x00"])


@dataclass
class Stored:
    """A record as kafka-python hands it on."""

    topic: str = "dead"
    partition: int = 0
    offset: int = 17
    timestamp: int = int(WRITTEN * 1000)
    key: bytes | None = b"press-7"
    value: bytes | None = GOOD
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def stored(
    reason: Reason = "length",
    value: bytes = GOOD,
    *,
    key: bytes | None = b"press-7",
    headers: list[tuple[str, bytes | None]] | None = None,
    stamp: float = 1.7e9,
    most: int = 200_000,
    offset: int = 17,
) -> Record:
    """A letter as the sink writes it and the topic holds it."""
    message = Message("sensors.readings", 3, 4711, key, value, headers or [], stamp)
    written = dead_letter(Rejected(message, reason, "expected 4 values"), most)
    return Stored(offset=offset, key=written.key, value=written.value, headers=written.headers)


def letter(**how: object) -> Letter:
    found = parse(stored(**how))  # type: ignore[arg-type]
    assert isinstance(found, Letter)
    return found


def test_a_letter_is_read_as_it_was_written() -> None:
    found = letter(headers=[("trace", b"7"), ("void", None)])

    assert found == Letter(
        at=Place("dead", 0, 17),
        written=WRITTEN,
        key=b"press-7",
        value=GOOD,
        headers=[("trace", b"7"), ("void", b"")],
        reason="length",
        detail="expected 4 values",
        origin=Place("sensors.readings", 3, 4711),
        stamp=1.7e9,
        times=0,
        size=None,
        sha256="",
    )
    message = found.message()
    assert (message.topic, message.partition, message.offset) == ("sensors.readings", 3, 4711)
    assert (message.key, message.value, message.timestamp) == (b"press-7", GOOD, 1.7e9)


def test_a_letter_whose_message_was_sent_again_says_how_often_and_has_one_reason() -> None:
    # given a message that came back twice
    first = [("oodl-sent-again", b"2"), ("oodl-reason", b"json"), ("trace", b"7")]

    found = letter(headers=first)

    assert (found.times, found.reason, found.headers) == (2, "length", [("trace", b"7")])


def test_a_letter_that_was_cut_knows_its_size_and_its_hash() -> None:
    whole = b"x" * 1_000_000

    found = letter(reason="size", value=whole)

    assert (found.size, found.sha256) == (len(whole), sha256(whole).hexdigest())
    assert len(found.value or b"") < len(whole)


@pytest.mark.parametrize(
    ("key", "value", "group"),
    [
        (b"press-7", GOOD, "press-7"),
        (b"a\xff\x00b", GOOD, "a\ufffd\x00b"),
        (None, b'{"group": "oven"}', "oven"),
        (None, b'{"group": 7}', "7"),
        (None, b"[1]", ""),
        (None, b"[" * 100_000, ""),
        (None, b"\xff", ""),
        (None, b"", ""),
    ],
)
def test_the_group_is_told_as_far_as_it_can_be(key: bytes | None, value: bytes, group: str) -> None:
    assert letter(key=key, value=value).group == group


def test_a_note_is_read_as_it_was_written() -> None:
    headers = Note.headers(letter(), Place("sensors.readings", 3, 9000))

    found = parse(Stored(headers=[*headers]))

    assert found == Note((0, 17), "sensors.readings/3/9000", WRITTEN)


NAMES = st.sampled_from(
    ["oodl-reason", "oodl-detail", "oodl-topic", "oodl-partition", "oodl-offset", "oodl-size",
     "oodl-timestamp", "oodl-sent-again", "oodl-sha256", "oodl-sent-again-of", "oodl-sent-to", "x"]
)  # fmt: skip
SAID = st.none() | st.binary(max_size=8) | DAMAGE.map(str.encode) | st.just(b"1")


@given(st.lists(st.tuples(NAMES, SAID), max_size=12))
def test_any_headers_give_a_letter_a_note_or_nothing(
    headers: list[tuple[str, bytes | None]],
) -> None:
    found = parse(Stored(headers=headers))
    assert found is None or isinstance(found, Letter | Note)
    if isinstance(found, Letter):
        assert json.dumps(explained(found, [], Settings()))
        assert table(tally([found], Selection())).row_count == 1


@pytest.mark.parametrize("text", ["", "1", "1/", "/1", "a/b", "1/2/3", "-1/2", "1/-2", "1/2x"])
def test_a_position_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueFault, match="expected the position of a dead letter like 0/17"):
        position(text)


DAY = timedelta(days=1)
THEN = datetime.fromtimestamp(WRITTEN, UTC)


@pytest.mark.parametrize(
    ("selection", "fits"),
    [
        (Selection(), True),
        (Selection(["length", "json"]), True),
        (Selection(["json"]), False),
        (Selection(group="press-*"), True),
        (Selection(group="Press-*"), False),
        (Selection(since=THEN, until=THEN), True),
        (Selection(since=THEN + DAY), False),
        (Selection(until=THEN - DAY), False),
        (Selection(since=THEN.replace(tzinfo=None)), True),
        (Selection(["length"], "press-7", THEN - DAY, THEN + DAY), True),
        (Selection(["length"], "oven", THEN - DAY, THEN + DAY), False),
    ],
)
def test_a_letter_is_meant_when_it_fits_everything_that_is_said(
    selection: Selection,
    fits: bool,  # noqa: FBT001
) -> None:
    assert selection.fits(letter()) == fits


def judge(settings: Settings | None = None, **how: object) -> Judge:
    return Judge(settings or Settings(), lambda _: None, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (letter(), "sent"),
        (letter(reason="json", value=b"{"), "unreadable"),
        (letter(reason="json", value=GOOD), "sent"),
        (letter(reason="time", value=b'{"values": [1]}', stamp=-1.0), "unreadable"),
        (letter(reason="time", value=b'{"values": [1]}'), "sent"),
        (letter(headers=[("oodl-sent-again", b"1")]), "too-often"),
        (letter(reason="size", value=b"x" * 1_000_000), "not-whole"),
        (replace(letter(), origin=Place("others", 0, 0)), "elsewhere"),
    ],
)
def test_what_becomes_of_a_letter(found: Letter, verdict: str) -> None:
    assert judge()(found, noted=False)[0] == verdict


def test_what_was_sent_again_is_not_unless_it_is_forced() -> None:
    assert judge()(letter(), noted=True) == ("already", None)
    assert judge(force=True)(letter(), noted=True) == ("sent", GOOD)
    often = letter(headers=[("oodl-sent-again", b"2")])
    assert judge(most=2)(often, noted=False) == ("too-often", None)
    assert judge(most=3)(often, noted=False) == ("sent", GOOD)
    assert judge(force=True)(often, noted=False) == ("sent", GOOD)
    broken = letter(reason="json", value=b"{")
    assert judge(force=True)(broken, noted=False) == ("sent", b"{")


def test_what_was_cut_is_fetched_whole_where_it_still_is() -> None:
    whole = b'{"ts": 1, "values": [1]' + b" " * 500_000 + b"}"
    found = letter(reason="size", value=whole)
    asked: list[Place] = []

    def fetch(place: Place) -> Record:
        asked.append(place)
        return Stored(value=whole)

    assert Judge(Settings(), fetch)(found, noted=False) == ("sent", whole)
    assert asked == [Place("sensors.readings", 3, 4711)]
    # but not where another message is, nor for a limit that is as it was, nor a refused output
    other = Judge(Settings(), lambda _: Stored(value=b"another"))
    assert other(found, noted=False) == ("not-whole", None)
    small = Settings.model_validate({"kafka": {"max_message_bytes": 200_000}})
    assert Judge(small, fetch)(found, noted=False) == ("unreadable", None)
    code = b'{"partition": 3, "offset": 4711' + b" " * 500_000 + b"}"
    message = refused("sensors.readings", b"press-7", code, "too large")
    written = dead_letter(message, 200_000)
    output = parse(Stored(key=written.key, value=written.value, headers=written.headers))
    assert isinstance(output, Letter)
    assert Judge(Settings(), fetch)(output, noted=False) == ("not-whole", None)


def test_counts_are_by_reason_and_name_the_newest() -> None:
    letters = [
        replace(letter(reason=reason, offset=number), written=WRITTEN + number)
        for number, reason in enumerate(["json", "length", "length", "json", "length"])
    ]
    notes = [Note((0, 1), "x", WRITTEN + 9), Note((0, 1), "x", WRITTEN + 10), Note((0, 99), "x", 0)]

    found = tally([*letters, *notes], Selection())

    assert list(found) == ["length", "json"]
    length = as_json("length", found["length"])
    assert (length["letters"], length["sent_again"]) == (3, 1)
    assert (length["first"], length["last"]) == ("2026-11-24T00:00:01Z", "2026-11-24T00:00:04Z")
    assert length["example"]["letter"] == "0/4"
    assert newest([*notes, *letters], Selection(["json"])) == letters[3]
    assert tally(letters, Selection(group="oven")) == {}


def test_every_reason_has_its_meaning_and_its_remedy() -> None:
    assert REMEDIES.keys() == set(get_args(Reason))
    for reason in get_args(Reason):
        told = explained(letter(reason=reason, value=b"{"), [], Settings())
        assert told["expected"] == REMEDIES[reason].expected
        assert told["remedy"]


def test_what_is_shown_of_a_letter_cannot_take_hold_of_a_terminal() -> None:
    found = letter(key=b"a\x1b[2Jb\n", value=b"\x1b]0;x\x07", headers=[("\x1b[1m", b"\xff")])
    cells = [str(cell) for column in table(tally([found], Selection())).columns
             for cell in column.cells]  # fmt: skip
    assert all(cell.isprintable() for cell in cells)


def test_ctrl_c_while_reading_ends_without_a_word_of_python() -> None:
    script = """
import signal, sys, time
from flows import cli
from flows.tools import dead_letters, topic
dead_letters.admit = lambda *_: None
def interrupted(**_):
    signal.raise_signal(signal.SIGINT)
    time.sleep(60)  # which the signal ends, as it would end a wait for the broker
topic.KafkaConsumer = interrupted
sys.argv = ["oodl", "dead-letters", "list"]
cli.main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
