"""Whatever comes in, only what is documented comes out: a value, or the error by its name.

``OODL_FUZZ_EXAMPLES=1000000`` tries more of it.
"""

import io
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flows import events
from flows.assembling import Assembler
from flows.events import Tally
from flows.exporter import Collector
from flows.groups import Groups
from flows.samples import Refused
from flows.settings import Settings, SettingsError, load
from flows.tools.rebuild import Rebuilder
from flows.wire import (
    Fault,
    Fields,
    Message,
    Reader,
    Reading,
    Readings,
    Rejected,
    Sample,
    WireError,
    dead_letter,
    decode,
    decode_codes,
    decode_dictionary,
    encode_codes,
    encode_dictionary,
    to_version,
)
from oodl.channels import Refusal, Row
from oodl.coding import Codes, Version
from oodl.stream import Block, GroupCoder, Published
from tests.checks.formats import FORMS, Form, is_sound
from tests.checks.wire import GOLDEN
from tests.fuzz import FILES, KEYS, READINGS, SERIES, changes, fuzz, fuzz_slow
from tests.fuzz import key as any_key
from tests.fuzz import message as made_up

LIMIT = 4096


def message(value: bytes | None, key: bytes | None, timestamp: float = 5.0) -> Message:
    return Message("readings", 3, 14, key, value, [], timestamp)


@fuzz
@given(st.none() | READINGS, KEYS, st.floats() | st.just(5.0))
@example(b'{"values": {"' + b"\\ud800" + b'": 1}}', None, 5.0)
@example(b'{"values": [1e400, -1e400, 1e-400]}', b"a\x00b", 5.0)
@example(b'{"values": [1], "values": [2]}', b"a", 5.0)
@example(b'{"x": ' + b"[" * 500_000, b"a", 5.0)
@example(b"[" * 500_000 + b"]" * 500_000, b"a", 5.0)
def test_any_message_is_a_reading_or_a_fault(
    value: bytes | None, key: bytes | None, timestamp: float
) -> None:
    is_sound(decode(message(value, key, timestamp), 10**7))


@fuzz
@given(
    st.sampled_from(FORMS),
    st.randoms(use_true_random=False),
    KEYS,
    st.lists(st.tuples(st.sampled_from(["content-type", "ts", "x"]), st.binary()), max_size=3),
)
def test_any_change_of_a_message_in_any_format_is_a_value(
    form: Form, random: Random, key: bytes | None, more: list[tuple[str, bytes]]
) -> None:
    rows = np.arange(6.0).reshape(2, 3)[: 1 + form.several]
    whole = bytearray(form.write([1.5, 2.5][: len(rows)], rows))
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(whole) + 1)
        whole[place : place + random.randint(0, 5)] = random.randbytes(random.randint(0, 3))
    headers: list[tuple[str, bytes | None]] = [*more, ("content-type", form.format.encode())]
    for fields in (Fields(), Fields("a.g", "a.t", "values", "a.s", "a.v")):
        is_sound(Reader(10**6, fields=fields)(key, bytes(whole), headers, 5.0))


@fuzz
@given(
    st.lists(st.tuples(READINGS, KEYS), max_size=8),
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from([{}, {"*": "rate"}]),
)
def test_any_messages_are_rows_or_letters_and_the_snapshot_of_it_comes_back(
    arrived: list[tuple[bytes, bytes | None]], most: int, ttl: int, transform: dict[str, str]
) -> None:
    settings = Settings.model_validate(
        {
            "groups": {"max": most, "ttl": ttl},
            "channels": {"transform": transform},
            "kafka": {"max_message_bytes": LIMIT},
        }
    )
    groups, assembler = Groups(settings), Assembler(settings, "in", 0)
    for value, key in arrived:
        at = message(value, key)
        found = decode(at, LIMIT)
        if isinstance(found, Sample):
            given = found.group, found.time, found.sensor, found.value
            for done in assembler.add(*given, at.offset, at):
                assert isinstance(done, Refused) or groups.admit_some(done) is not None
            continue
        if not isinstance(found, Fault):
            groups.expire(found)
            laid = _laid(groups, found)
            if not isinstance(laid, Refusal):
                count = len(found.times) if isinstance(found, Readings) else 1
                assert sum(each.count for each in laid) == count
                continue
            found = Fault(laid.reason, laid.detail)  # type: ignore[arg-type]
        letter = dead_letter(Rejected(at, found.reason, found.detail), LIMIT)
        said = sum(len(name) + len(each or b"") for name, each in letter.headers)
        assert said + len(letter.key or b"") + len(letter.value or b"") <= LIMIT
    assert len(groups) <= most
    assert Groups(settings, groups.pack()).pack() == groups.pack()
    assert len(assembler) <= most
    assert len(Assembler(settings, "in", 0, assembler.pack())) == len(assembler)


def _laid(groups: Groups, found: Reading | Readings) -> list[Row] | Refusal:
    if isinstance(found, Readings):
        return groups.admit_many(found)
    row = groups.admit(found)
    return row if isinstance(row, Refusal) else [row]


@fuzz_slow
@given(SERIES)
def test_any_numbers_are_coded_and_their_codes_can_be_read(
    rows: list[list[float | None]],
) -> None:
    groups, coder, rebuilder = Groups(Settings()), GroupCoder(), Rebuilder(io.StringIO())
    state, read = coder.start(), 0
    for offset, values in enumerate(rows):
        row = groups.admit(Reading("press-7", float(offset), values))
        assert isinstance(row, Row)
        packed = np.frombuffer(row.packed, dtype="<f8")[np.newaxis]
        at = np.array([offset])
        block = Block(row.channels, row.settled, packed, at.astype(np.float64), at)
        state, outputs = coder.step(state, block)
        for output in outputs:
            if isinstance(output, Published):
                rebuilder.dictionary(encode_dictionary("press-7", 0, output), "here")
            if isinstance(output, Codes):
                for value in encode_codes("press-7", 0, output, "reading"):
                    for code in rebuilder.codes(value, "here"):
                        rebuilder.write(code, "here")
                        read += 1
    outcome = rebuilder.outcome
    assert (read, outcome.readings, outcome.problems) == (len(rows), len(rows), [])


@fuzz
@given(FILES, st.text(max_size=6))
@example(b"a = " + b"[" * 100_000, "")
@example(b"a." * 5000 + b"b = 1", "")
@example(b"[groups.'" + b"[" * 300 + b"']", "[[")
@example(b"[metrics]\nport = " + b"9" * 5000, "")
def test_any_file_is_settings_or_problems_by_name(made: Path, content: bytes, group: str) -> None:
    made.write_bytes(content)
    try:
        settings = load(made)
    except SettingsError as refused:
        told = str(refused)
        told.encode()
        assert all(": " in line for line in told.splitlines())
        return
    assert settings.for_group(group).channels.max_frame <= 256
    assert len(settings.fingerprint(group)) == 16


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "oodl.toml"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    log = logging.getLogger("flows")
    before = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate = before[0], before[1]
    log.setLevel(before[2])


CODES = [text.encode() for layout in ("reading", "block") for text in GOLDEN["codes"][layout]]
DICTIONARY = GOLDEN["dictionary"].encode()


@fuzz
@given(
    st.lists(changes(*CODES) | READINGS, max_size=4),
    st.lists(changes(DICTIONARY) | st.just(DICTIONARY) | READINGS, max_size=2),
)
@example([b'{"partition": 0, "offset": [' + b"[" * 100_000], [b"[" * 100_000])
def test_any_codes_and_dictionaries_are_rows_of_a_file_or_told_as_malformed(
    codes: list[bytes], dictionaries: list[bytes]
) -> None:
    rebuilder = Rebuilder(io.StringIO())
    for value in dictionaries:
        rebuilder.dictionary(value, "here")
    for value in codes:
        for code in rebuilder.codes(value, "here"):
            rebuilder.write(code, "here")
    for problem in rebuilder.outcome.problems:
        problem.encode(errors="strict")


@fuzz
@given(changes(DICTIONARY) | READINGS)
def test_any_dictionary_is_a_version_or_refused_by_name(value: bytes) -> None:
    try:
        found = to_version(decode_dictionary(value))
    except WireError:
        return
    assert isinstance(found, Version)


@fuzz
@given(changes(*CODES) | READINGS)
def test_any_codes_are_read_or_refused_by_name(value: bytes) -> None:
    try:
        found = decode_codes(value)
    except WireError:
        return
    assert all(len(code.atoms) == len(code.values) for code in found)


@fuzz
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4, unique=True))
@example(["a\x00b", "a\nb", "\ud800", "\u2028", '"', "\\", "__other__", "\x1b[2J", "{", "é"])
def test_any_names_of_groups_leave_metrics_and_logs_well_formed(names: list[str]) -> None:
    # given a log of JSON lines, and one for a terminal
    for stream in (io.StringIO(), _Terminal()):
        tally = Tally()
        events.log_to(stream, logging.DEBUG)
        for name in names:
            events.group_begun(tally, group=name)
            events.oddity(tally, "late", name)
            events.reading_rejected(tally, reason="json", position="in/0/1", detail=name)
            tally.readings_coded[name] += 1
            tally.surprise[name] = 2.0
        # then each event is one line
        lines = stream.getvalue().split("\n")[:-1]
        assert len(lines) == len(names) + 2
        assert not any("\x1b" in line or "\x00" in line for line in lines)
        if not isinstance(stream, _Terminal):
            assert [json.loads(line)["group"] for line in lines if "Group begun" in line] == names
        # and the metrics are read as they were written
        registry = CollectorRegistry()
        registry.register(Collector(tally, Settings()))
        page = generate_latest(registry).decode()
        coded = [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == "oodl_readings_coded_total"
        ]
        assert sum(coded) == len(names)
    for name in names:
        rejected = Rejected(message(b"x", name.encode(errors="replace")), "json", name)
        for _, value in dead_letter(rejected).headers:
            (value or b"").decode()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_grammar_reaches_every_reason_that_bytes_alone_can_have() -> None:
    reached = Counter[str]()

    for seed in range(2000):
        random = Random(seed)
        found = decode(message(made_up(random), any_key(random)), 10**4)
        reached[found.reason if isinstance(found, Fault) else "none"] += 1

    assert reached.keys() == {"json", "encoding", "schema", "group", "time", "size", "none"}
    assert reached["none"] > 200
