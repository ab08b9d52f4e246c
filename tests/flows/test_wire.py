import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import get_args

import msgspec
import numpy as np
import pytest

from flows.wire import (
    DeadLetter,
    Fault,
    Layout,
    Message,
    Reading,
    Rejected,
    WireError,
    codes_from,
    dead_letter,
    decode,
    decode_codes,
    decode_dictionary,
    dictionary_key,
    encode_codes,
    encode_dictionary,
    refused,
    to_version,
)
from oodl.block import Ragged
from oodl.coding import Codes, Version
from oodl.stream import Published
from tests.checks import wire as suite
from tests.checks.wire import FRAMES, GOLDEN, message


@pytest.mark.parametrize("check", suite.READINGS, ids=lambda check: check.__name__)
def test_contract_of_readings(check: Callable[[suite.Decode], None]) -> None:
    check(decode)


@pytest.mark.parametrize("check", suite.LAYOUTS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("layout", get_args(Layout))
def test_contract_of_layouts(layout: Layout, check: Callable[[Layout], None]) -> None:
    check(layout)


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "schema", "expected a reading, got no value"),
        (b"", "schema", "expected a reading, got an empty value"),
        (b" ", "json", "Expecting value: line 1 column 2 (char 1)"),
        (b"21.5", "schema", "Expected `object`, got `float`"),
        (b"21", "schema", "Expected `object`, got `int`"),
        (b"null", "schema", "Expected `object`, got `null`"),
        (b"{}", "schema", "Object missing required field `values`"),
        (b'{"values": [1}', "json", "Expecting ',' delimiter: line 1 column 14 (char 13)"),
        (b'{"values": [1]} x', "json", "Extra data: line 1 column 17 (char 16)"),
        (b'{"values": 1}', "schema", "Expected `bytes | object | array`, got `int` - at"),
        (b'{"values": []}', "schema", "Expected at least one value, got none - at `$.values`"),
        (b'{"values": {}}', "schema", "Expected at least one value, got none - at `$.values`"),
        (
            b'{"values": [1, true]}',
            "schema",
            "Expected `float | null`, got `bool` - at `$.values[1]`",
        ),
        (b'{"values": ["1"]}', "schema", "Expected `float | null`, got `str` - at `$.values[0]`"),
        (
            b'{"values": [1], "group": 7}',
            "group",
            "Expected `str | null`, got `int` - at `$.group`",
        ),
        (
            b'{"values": [1], "ts": true}',
            "time",
            "Expected `float | str | array | null`, got `bool` - at `$.ts`",
        ),
        (
            b'{"values": [1], "ts": "noon"}',
            "time",
            "expected ISO 8601, got 'noon' - at `$.ts`",
        ),
        (
            b'{"values": [1], "ts": NaN}',
            "time",
            "expected the years 1 to 9999, got nan - at `$.ts`",
        ),
        (
            b'{"values": [1], "ts": 1e18}',
            "time",
            "expected the years 1 to 9999, got 1e+18 - at `$.ts`",
        ),
        (b'{"values": [1], "unit": "\xff"}', "encoding", "'utf-8' codec can't decode byte 0xff in"),
        (b'{"values": {"\\ud800": 1}}', "encoding", "'utf-8' codec can't encode character"),
        (b"\xff\xfe{\x00}\x00", "encoding", "'utf-8' codec can't decode byte 0xff in position 0"),
        (b'{"values": [1], "x": ' + b"[" * 2000 + b"]" * 2000 + b"}", "json", "maximum recursion"),
        (b" " * 5000, "size", "expected at most 4096 bytes, got 5007"),
    ],
)
def test_what_cannot_be_read_says_why(value: bytes | None, reason: str, detail: str) -> None:
    found = decode(message(value), 4096)
    assert isinstance(found, Fault)
    assert found.reason == reason
    assert found.detail.startswith(detail)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "-" + "9" * 5000]
)
@pytest.mark.parametrize("shape", ['{"values": [1, %s]}', '{"values": {"a": 1, "b": %s}}'])
def test_a_number_that_float64_does_not_have_is_missing(shape: str, number: str) -> None:
    reading = decode(message((shape % number).encode()))
    assert isinstance(reading, Reading)
    assert reading.values in ([1.0, None], {"a": 1.0, "b": None})


@pytest.mark.parametrize("number", ["9" * 25, "9" * 299, "1e308", "5e-324", "1e-400", "-0.0"])
def test_a_number_that_float64_has_is_kept(number: str) -> None:
    # given a second value that the fast way refuses, or not
    for other in ("1", "NaN"):
        reading = decode(message(f'{{"values": [{number}, {other}]}}'.encode()))
        assert isinstance(reading, Reading)
        assert reading.values[0] == float(number)  # type: ignore[index]


def test_the_last_of_two_equal_keys_counts() -> None:
    # given the same both ways of reading
    for other in ("1", "NaN"):
        text = f'{{"values": [{other}], "values": {{"a": {other}, "a": 2}}, "ts": 1, "ts": 2}}'
        assert decode(message(text.encode())) == Reading("press-7", 2.0, {"a": 2.0})


def test_a_byte_order_mark_is_no_fault() -> None:
    assert decode(message(b'\xef\xbb\xbf{"values": [1]}')) == Reading("press-7", 5.0, [1.0])


@pytest.mark.parametrize(
    ("ts", "seconds"),
    [
        ("1764000000", 1764000000.0),
        ("1764000000.25", 1764000000.25),
        ("1764000000250", 1764000000.25),
        ("99999999999", 99999999999.0),
        ("100000000000", 100000000.0),
        ("-5", -5.0),
        ("0", 0.0),
        ("null", 5.0),
        ('"2026-11-24T00:00:00Z"', 1795478400.0),
        ('"2026-11-24T02:00:00.5+02:00"', 1795478400.5),
        ('"2026-11-24 00:00"', 1795478400.0),
        ('"2026-11-24"', 1795478400.0),
        ('"20261124T000000Z"', 1795478400.0),
    ],
)
def test_time_is_read_in_every_form(ts: str, seconds: float) -> None:
    found = decode(message(f'{{"values": [1], "ts": {ts}}}'.encode()))
    assert isinstance(found, Reading)
    assert found.time == seconds


def test_a_time_without_zone_is_utc_wherever_the_process_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    found = decode(message(b'{"values": [1], "ts": "2026-11-24T12:00:00"}'))
    assert isinstance(found, Reading)
    assert found.time == datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("ts", ['"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"'])
def test_a_zone_does_not_carry_a_time_out_of_the_years(ts: str) -> None:
    found = decode(message(f'{{"values": [1], "ts": {ts}}}'.encode()))
    assert isinstance(found, Fault)
    assert found.reason == "time"


@pytest.mark.parametrize("timestamp", [-1.0, -0.001, float("nan"), float("inf"), 1e12])
def test_without_any_time_a_message_is_no_reading(timestamp: float) -> None:
    found = decode(message(b'{"values": [1]}', timestamp=timestamp))
    assert isinstance(found, Fault)
    assert found.reason == "time"


@pytest.mark.parametrize(
    ("key", "field", "group", "oddities"),
    [
        (b"press-7", None, "press-7", ()),
        (None, "press-7", "press-7", ()),
        (b"press-7", "press-7", "press-7", ()),
        (b"press-7", "press-8", "press-7", ("key_and_field_differ",)),
        (b"press-7", "", "press-7", ("key_and_field_differ",)),
        ("pressé/\n".encode(), None, "pressé/\n", ()),
        (b"x" * 249, None, "x" * 249, ()),
    ],
)
def test_the_key_names_the_group_before_the_field(
    key: bytes | None, field: str | None, group: str, oddities: tuple[str, ...]
) -> None:
    text = json.dumps({"values": [1], "group": field})
    assert decode(message(text.encode(), key)) == Reading(group, 5.0, [1.0], oddities)


@pytest.mark.parametrize(
    ("key", "field", "reason"),
    [
        (None, None, "group"),
        (b"", "press-7", "group"),
        (None, "", "group"),
        (b"x" * 250, None, "group"),
        (None, "x" * 250, "group"),
        (b"\xff", "press-7", "encoding"),
        (None, "\ud800", "encoding"),
    ],
)
def test_a_group_without_a_proper_name_is_refused(
    key: bytes | None, field: str | None, reason: str
) -> None:
    found = decode(message(json.dumps({"values": [1], "group": field}).encode(), key))
    assert isinstance(found, Fault)
    assert found.reason == reason


def test_a_dead_letter_keeps_bytes_key_and_headers_and_says_why() -> None:
    # given a message with headers of its own
    origin = Message(
        "readings", 3, 14, b"press-7", b"\xff{", [("trace", b"1"), ("void", None)], 5.0
    )
    # when it is rejected
    letter = dead_letter(Rejected(origin, "json", "naïve"))
    # then all of it is there, and where it came from
    assert letter == DeadLetter(
        b"press-7",
        b"\xff{",
        [
            ("trace", b"1"),
            ("void", None),
            ("oodl-reason", b"json"),
            ("oodl-detail", "naïve".encode()),
            ("oodl-topic", b"readings"),
            ("oodl-partition", b"3"),
            ("oodl-offset", b"14"),
            ("oodl-timestamp", b"5000"),
        ],
    )


@pytest.mark.parametrize(("timestamp", "said"), [(0.0, b"0"), (1764000000.2504, b"1764000000250"),
                                                 (-1.0, None)])  # fmt: skip
def test_a_dead_letter_says_when_its_message_was_stamped(
    timestamp: float, said: bytes | None
) -> None:
    letter = dead_letter(Rejected(message(b"x", timestamp=timestamp), "json", "bad"))
    assert dict(letter.headers).get("oodl-timestamp") == said


def test_a_tombstone_stays_one_among_the_dead_letters() -> None:
    letter = dead_letter(Rejected(message(None, None), "schema", "no value"))
    assert (letter.key, letter.value) == (None, None)


@pytest.mark.parametrize("key", [b"press-7", b"k" * 2_000_000, None])
@pytest.mark.parametrize("header", [b"1", b"h" * 2_000_000])
def test_a_dead_letter_above_the_limit_is_cut_and_says_what_it_was(
    key: bytes | None, header: bytes
) -> None:
    # given two megabytes
    value = b"x" * 2_000_000
    origin = Message("readings", 3, 14, key, value, [("trace", header)], 5.0)
    # when it is rejected
    letter = dead_letter(Rejected(origin, "size", "too large"), 1048576)
    # then its start, its size and its hash are there, and it fits
    assert letter.value == value[:65536]
    headers = dict(letter.headers)
    assert headers["oodl-size"] == b"2000000"
    assert headers["oodl-sha256"] == sha256(value).hexdigest().encode()
    assert weight(letter) < 1048576 - 100


@pytest.mark.parametrize("limit", [4096, 1048576])
def test_every_dead_letter_fits_what_a_topic_takes(limit: int) -> None:
    # given values around the limit, which are whole as long as they fit with the headers
    for size in range(limit - 1200, limit, 37):
        origin = message(b"x" * size)
        letter = dead_letter(Rejected(origin, "json", "d" * 1000), limit)
        assert weight(letter) < limit
        assert ("oodl-size" in dict(letter.headers)) == (letter.value != origin.value)


def weight(letter: DeadLetter) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def test_a_long_or_odd_detail_does_not_break_a_dead_letter() -> None:
    letter = dead_letter(Rejected(message(b"x"), "channel", "\ud800" * 1000))
    assert dict(letter.headers)["oodl-detail"] == b"?" * 200


@pytest.mark.parametrize(
    ("layout", "detail"), [("reading", "too large"), ("block", "too large (offsets up to 43)")]
)
def test_an_output_that_the_broker_refused_names_its_reading(layout: str, detail: str) -> None:
    # given codes that were written
    value = GOLDEN["codes"][layout][0].encode()
    # when the broker refuses them for themselves
    rejected = refused("readings", b"press-7", value, "too large")
    # then the dead letter has them, with the position of the reading
    letter = dead_letter(rejected)
    headers = dict(letter.headers)
    assert (letter.key, letter.value, headers["oodl-reason"]) == (b"press-7", value, b"refused")
    assert (headers["oodl-partition"], headers["oodl-offset"]) == (b"3", b"40")
    assert headers["oodl-detail"] == detail.encode()


def test_a_code_is_written_in_few_bytes() -> None:
    # given the values of a rounded code, nothing missing and no surprise yet
    version = Version.zero(("a", "b"))
    codes = Codes(
        version, np.array([7]), np.array([1.5]), np.array([2]), np.array([1, 0]),
        np.array([0.3, -2.0]), ((),), np.array([0.0]), np.array([np.nan]),
        np.array([0.0]),
    )  # fmt: skip
    # then numbers have their shortest text, and what is not there is left out
    (text,) = encode_codes("g", 0, codes, "reading")
    head = f'{{"group":"g","id":"{version.id}","version":0,"partition":0,"offset":7,"ts":1.5,'
    row = '"atoms":[1,0],"values":[0.3,-2.0],"error":0.0,"surprise":null}'
    assert text.decode() == head + row


def test_the_golden_messages_are_still_written_byte_by_byte() -> None:
    # given the golden dictionary and codes, read
    version = to_version(decode_dictionary(GOLDEN["dictionary"].encode()))
    offsets, times, atoms, values, missing, errors, surprises = zip(*GOLDEN["rows"], strict=True)
    codes = Codes(
        version, np.array(offsets), np.array(times), np.cumsum(list(map(len, atoms))),
        np.concatenate(atoms).astype(int), np.concatenate(values), tuple(map(tuple, missing)),
        np.array(errors), np.array(surprises, dtype=np.float64), np.zeros(len(offsets)),
    )  # fmt: skip
    # then they are written as they were
    for layout in get_args(Layout):
        written = encode_codes("pressé", 3, codes, layout)
        assert [text.decode() for text in written] == GOLDEN["codes"][layout]
    published = Published(version, 43)
    assert encode_dictionary("pressé", 3, published).decode() == GOLDEN["dictionary"]


def test_the_golden_frames_are_still_written_byte_by_byte() -> None:
    # given the golden dictionary of frames, and its codes as the group step has them
    version = to_version(decode_dictionary(FRAMES["dictionary"].encode()))
    offsets, origins, moments, atoms, values, missing, errors, surprises = zip(
        *FRAMES["rows"], strict=True
    )
    ends = np.cumsum(list(map(len, origins)))
    absent = tuple(
        (*some, *range(2 * len(came), 4)) for some, came in zip(missing, origins, strict=True)
    )
    codes = Codes(
        version, np.array(offsets), np.array([each[-1] for each in moments]),
        np.cumsum(list(map(len, atoms))), np.concatenate(atoms).astype(int),
        np.concatenate(values), absent, np.array(errors), np.array(surprises, dtype=np.float64),
        np.zeros(len(offsets)), Ragged(ends, np.concatenate(origins)),
        Ragged(ends, np.concatenate(moments)),
    )  # fmt: skip
    # then they are written as they were
    for layout in get_args(Layout):
        written = encode_codes("pressé", 3, codes, layout)
        assert [text.decode() for text in written] == FRAMES["codes"][layout]
    published = Published(version, 46)
    assert encode_dictionary("pressé", 3, published).decode() == FRAMES["dictionary"]


@pytest.mark.parametrize("first", range(40, 48))
def test_a_block_of_frames_is_cut_by_what_has_closed_them(first: int) -> None:
    block = FRAMES["codes"]["block"][0].encode()
    value, readings = codes_from(block, first)
    expected = [code for code in decode_codes(block) if code.offset >= first]
    assert decode_codes(value) == expected
    assert readings == sum(len(code.times) for code in expected)


def test_a_frame_with_more_times_than_offsets_is_refused() -> None:
    text = FRAMES["codes"]["reading"][0].replace('"offsets":[40,41]', '"offsets":[41]')
    with pytest.raises(WireError, match="at offset 41: expected a time and an offset a reading"):
        decode_codes(text.encode())


def planted(limit: float | None = 0.75) -> Version:
    mean, scale = np.array([20.25, 1 / 3]), np.array([5e-324, 2.0])
    dictionary = np.array([[0.6, -0.8], [0.8, 0.6]], dtype=np.float32)
    return Version(2, ("température", "b"), 1, mean, scale, dictionary, 1, limit, restart=True)


@pytest.mark.parametrize("version", [planted(), planted(None), Version.zero(("a",))])
def test_a_dictionary_comes_back_as_it_was(version: Version) -> None:
    # when a version is written and read
    value = encode_dictionary("press-7", 3, Published(version, 43))
    received = decode_dictionary(value)
    again = to_version(received)
    # then it is the same to the last bit
    assert (received.group, received.partition, received.offset) == ("press-7", 3, 43)
    assert again.id == version.id
    for name in ("number", "channels", "window", "usual", "limit", "restart"):
        assert getattr(again, name) == getattr(version, name)
    for name in ("mean", "scale", "dictionary"):
        np.testing.assert_array_equal(getattr(again, name), getattr(version, name))


def test_a_dictionary_in_columns_is_written_row_by_row() -> None:
    rows = planted()
    columns = Version(
        2, rows.channels, 1, rows.mean, rows.scale, np.asfortranarray(rows.dictionary), 1, 0.75,
        restart=True,
    )  # fmt: skip
    written = [encode_dictionary("g", 0, Published(version, 1)) for version in (rows, columns)]
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dictionary": b"\x00" * 15}, "bytes of dictionary: expected 16, got 15"),
        ({"mean": [1.0]}, "length of mean: expected 2, got 1"),
        ({"scale": [1.0, 2.0, 3.0]}, "length of scale: expected 2, got 3"),
        ({"window": 2}, "bytes of dictionary: expected 64, got 16"),
        ({"usual": 2}, "id of its content: expected"),
        ({"limit": 0.5}, "id of its content: expected"),
        ({"mean": [20.25, 0.5]}, "id of its content: expected"),
        ({"channels": ["a", "b"]}, "id of its content: expected"),
    ],
)
def test_a_dictionary_that_does_not_bear_out_its_name_is_refused(
    change: dict[str, object], problem: str
) -> None:
    whole = decode_dictionary(encode_dictionary("press-7", 3, Published(planted(), 43)))
    with pytest.raises(WireError, match=problem):
        to_version(msgspec.structs.replace(whole, **change))


def test_a_code_with_more_atoms_than_values_is_refused() -> None:
    text = GOLDEN["codes"]["reading"][0].replace("[1.2,-0.4]", "[1.2]")
    with pytest.raises(WireError, match="at offset 40: number of values: expected 2, got 1"):
        decode_codes(text.encode())


def test_a_block_whose_lists_differ_in_length_is_refused() -> None:
    text = GOLDEN["codes"]["block"][0].replace('"offset":[40,', '"offset":[')
    with pytest.raises(WireError, match="readings in a list: expected 2, got 3"):
        decode_codes(text.encode())


@pytest.mark.parametrize("first", range(39, 45))
def test_a_block_is_cut_to_what_comes_from_an_offset_on(first: int) -> None:
    block = GOLDEN["codes"]["block"][0].encode()
    value, readings = codes_from(block, first)
    expected = [code for code in decode_codes(block) if code.offset >= first]
    assert decode_codes(value) == expected
    assert readings == len(expected)


def test_a_dictionary_is_no_code_and_a_code_no_dictionary() -> None:
    with pytest.raises(WireError, match="is this the right topic"):
        decode_codes(GOLDEN["dictionary"].encode())
    with pytest.raises(WireError, match="is this the right topic"):
        decode_dictionary(GOLDEN["codes"]["reading"][0].encode())


def test_a_dictionary_is_keyed_by_group_and_content() -> None:
    assert dictionary_key("press/é", "0123456789abcdef") == "press/é/0123456789abcdef".encode()
