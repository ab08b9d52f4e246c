"""Readings in every format, one a message or several: from bytes to rows, and on to their codes."""

import base64
import json
from collections.abc import Callable, Iterable
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import pytest

from flows.events import Tally
from flows.group import Steps
from flows.groups import Groups
from flows.items import Expiry, GroupBlock
from flows.kafka import Health, SharedConsumer, StopFlag
from flows.settings import Settings, SettingsError, load
from flows.source import PartitionReader, Shared
from flows.wire import (
    Fault,
    Fields,
    Headers,
    Layout,
    Message,
    Reader,
    Reading,
    Readings,
    Rejected,
    Sample,
    codes_from,
    decode_codes,
    origin_headers,
    positions,
)
from oodl.channels import AGREEING, ANEW_AFTER
from tests.checks import formats as suite
from tests.checks.formats import FORMS, Form

JSON = [("content-type", b"application/json")]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_contract(form: Form, check: Callable[[Form], None]) -> None:
    check(form)


def test_every_golden_form_is_a_case() -> None:
    assert suite.GOLDEN.keys() == {form.name for form in FORMS}


@pytest.mark.parametrize(
    "said",
    [b"msgpack", b"application/msgpack", b"application/x-msgpack; charset=x", b" MsgPack "],
)
def test_the_last_content_type_names_the_format(said: bytes) -> None:
    value = msgspec.msgpack.encode({"ts": 1.0, "values": [1.5]})
    headers: Headers = [("Content-Type", b"json"), ("trace", None), ("Content-Type", said)]

    assert Reader()(b"a", value, headers, -1.0) == Reading("a", 1.0, [1.5])


@pytest.mark.parametrize("said", [b"text/plain", b"application/octet-stream", b"\xff", b"", None])
def test_what_a_header_says_otherwise_is_as_the_settings_have_it(said: bytes | None) -> None:
    value, headers = np.array([1.5, 2.5], "<f4").tobytes(), [("content-type", said)]

    found = Reader(format="float32")(b"a", value, [*headers], 7.0)

    assert isinstance(found, Reading)
    assert suite.rows_of(found).tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize(
    ("said", "time"),
    [(b"1.5", 1.5), (b"1764000000250", 1764000000.25), (b"2026-11-24T00:00:00Z", 1795478400.0)],
)
def test_plain_floats_have_their_time_in_a_header(said: bytes, time: float) -> None:
    headers: Headers = [("content-type", b"float64"), ("ts", said)]
    found = Reader()(b"a", bytes(8), headers, 7.0)
    assert isinstance(found, Reading)
    assert found.time == time


def test_plain_floats_need_a_key() -> None:
    found = Reader(format="float32")(None, bytes(8), [], 7.0)
    assert isinstance(found, Fault)
    assert found.reason == "group"


@pytest.mark.parametrize(
    ("format_", "value", "reason", "detail"),
    [
        ("float32", b"abc", "schema", "expected a multiple of 4 bytes, got 3"),
        ("float64", bytes(12), "schema", "expected a multiple of 8 bytes, got 12"),
        ("float64", b"", "schema", "expected a reading, got an empty value"),
        ("msgpack", b"\x81\xa6values", "encoding", "expected MessagePack: Input data was"),
        ("msgpack", b"\xc1", "encoding", "expected MessagePack: MessagePack data is malformed"),
        ("msgpack", b"\x90", "schema", "Expected `object`, got `array`"),
        ("msgpack", b"\x80", "schema", "Object missing required field `values`"),
        ("msgpack", {"values": [True]}, "schema", "Expected `float | null`, got `bool`"),
        ("msgpack", {"values": [1], "group": 7}, "group", "Expected `str | null`, got `int`"),
        ("msgpack", {"values": [1], "ts": True}, "time", "Expected `float | str | array | null`"),
        ("msgpack", {"values": b"abc"}, "schema", "expected a multiple of 4 bytes, 4 a number"),
        ("msgpack", {"values": b""}, "schema", "Expected at least one value, got none"),
        ("msgpack", {"values": bytes(12), "ts": [1, 2]}, "schema", "expected a multiple of 8"),
        ("json", {"values": "abc"}, "schema", "Invalid base64 encoded string - at `$.values`"),
        ("json", {"values": "YWJj"}, "schema", "expected a multiple of 4 bytes, 4 a number"),
        ("json", {"values": [[1], [2, 3]]}, "schema", "expected 2 lists of one length, got 2 of"),
        ("json", {"values": [[], []]}, "schema", "Expected at least one value, got none"),
        ("json", {"values": [1, [2]]}, "schema", "Expected `float | null`, got `array` - at"),
        ("json", {"values": [[1], 2]}, "schema", "Expected `array`, got `int` - at"),
        ("json", {"values": [[1], [2]], "ts": 5}, "time", "expected a list of 2 times, got one"),
        ("json", {"values": [[1], [2]], "ts": []}, "time", "expected a time for each reading"),
        ("json", {"values": [[1], [2]], "ts": [1]}, "schema", "expected 1 lists of one length"),
        ("json", {"values": [[1], [2]], "ts": [1, "noon"]}, "time", "expected ISO 8601, got"),
        ("json", {"values": [[1], [2]], "ts": [1, True]}, "time", "Expected `float | str`, got"),
        ("json", {"values": [1, 2], "ts": [1, 2]}, "schema", "expected lists of 2 readings"),
        ("json", {"values": {"a": [1], "b": [1, 2]}}, "schema", "expected 1 values a channel"),
        ("json", {"values": {"a": [1], "b": 1}}, "schema", "Expected `array`, got `int` - at"),
    ],
)
def test_what_cannot_be_read_says_why(format_: Any, value: Any, reason: str, detail: str) -> None:
    encode = {"json": msgspec.json.encode, "msgpack": msgspec.msgpack.encode}
    written = value if isinstance(value, bytes) else encode[format_](value)

    found = Reader(format=format_)(b"press-7", written, [], 5.0)

    assert isinstance(found, Fault)
    assert found.reason == reason
    assert found.detail.startswith(detail)


def test_several_without_times_have_that_of_their_message() -> None:
    found = Reader()(b"a", b'{"values": [[1, null], [NaN, 4]]}', [], 7.0)
    assert isinstance(found, Readings)
    assert found.times == [7.0, 7.0]
    np.testing.assert_array_equal(suite.rows_of(found), [[1, np.nan], [np.nan, 4]])


def test_times_of_several_may_be_in_any_form() -> None:
    value = b'{"ts": ["2026-11-24T00:00:00Z", 1764000000250, 3], "values": [[1], [2], [3]]}'
    found = Reader()(b"a", value, [], 7.0)
    assert isinstance(found, Readings)
    assert found.times == [1795478400.0, 1764000000.25, 3.0]


# Foreign messages.

FOREIGN = Fields("device.id", "meta.t", "meta.data", "signal.name", "signal.reading")


@pytest.mark.parametrize("format_", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"device": {"id": "press-7", "line": [1]}, "meta": {"t": 1.5, "data": [1, None]}},
            Reading("press-7", 1.5, [1.0, None]),
        ),
        (
            {"device": {"id": 17}, "meta": {"data": {"a": 2}}, "x": {}},
            Reading("17", 5.0, {"a": 2.0}),
        ),
        (
            {"device": {"id": "a"}, "signal": {"name": "heat", "reading": 21.5}},
            Sample("a", 5.0, "heat", 21.5),
        ),
    ],
)
def test_fields_lead_to_the_parts_of_a_foreign_message(
    format_: Any, body: dict[str, Any], expected: Reading | Sample
) -> None:
    encode = {"json": msgspec.json.encode, "msgpack": msgspec.msgpack.encode}[format_]
    assert Reader(format=format_, fields=FOREIGN)(None, encode(body), [], 5.0) == expected


def test_a_foreign_message_may_have_several_readings_and_what_json_has_not() -> None:
    read = Reader(fields=FOREIGN)
    many = b'{"device": {"id": "a"}, "meta": {"t": [1, 2], "data": [[1, NaN], [3, 4]]}}'
    one = b'{"device": {"id": "a"}, "meta": {"data": [1, 1e999]}}'

    found = read(None, many, [], 5.0)

    assert isinstance(found, Readings)
    np.testing.assert_array_equal(suite.rows_of(found), [[1, np.nan], [3, 4]])
    assert read(None, one, [], 5.0) == Reading("a", 5.0, [1.0, None])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "group"),
        (b'{"device": null, "meta": {"data": [1]}}', "schema"),
        (b'{"device": {"id": true}, "meta": {"data": [1]}}', "group"),
        (b'{"device": {"id": "a"}, "meta": {"t": true, "data": [1]}}', "time"),
        (b'{"device": {"id": "a"}}', "schema"),
        (b'{"device": {"id": "a"}, "meta": {"data": null}}', "schema"),
        (b'{"values": [1], "group": "a"}', "group"),
    ],
)
def test_a_foreign_message_that_lacks_something_says_what(body: bytes, reason: str) -> None:
    found = Reader(fields=FOREIGN)(None, body, [], 5.0)
    assert isinstance(found, Fault)
    assert found.reason == reason


def test_of_two_parts_in_one_place_the_first_counts() -> None:
    read = Reader(fields=Fields(values="value"))
    assert read(b"a", b'{"value": [1.5], "ts": 2}', [], 5.0) == Reading("a", 2.0, [1.5])


def test_the_settings_name_format_and_fields(tmp_path: Any) -> None:
    file = tmp_path / "oodl.toml"
    file.write_text('[messages]\nformat = "msgpack"\n[messages.fields]\nvalues = "a.b"\n')
    messages = load(file).messages
    assert (messages.format, messages.fields.values, messages.fields.group) == (
        "msgpack", "a.b", "group"
    )  # fmt: skip
    file.write_text('[messages]\nformat = "xml"\n[messages.fields]\nvalues = "a..b"\n')
    with pytest.raises(SettingsError, match=r"(?s)messages.fields.values.*|messages.format.*"):
        load(file)


def test_equal_fields_are_refused_with_both_names(tmp_path: Any) -> None:
    file = tmp_path / "oodl.toml"
    file.write_text('[messages.fields]\ntime = "meta.t"\nvalue = "meta.t"\nsensor = "group"\n')

    with pytest.raises(SettingsError) as refused:
        load(file)

    for name, other, path in (("value", "time", "meta.t"), ("sensor", "group", "group")):
        told = f"fields.{name}: expected another path than messages.fields.{other}, got '{path}'"
        assert told in str(refused.value)


# From messages to rows and codes.


class Raw(NamedTuple):
    """A message as the client hands it on."""

    at: int
    body: bytes | None
    said: list[tuple[str, bytes]] = JSON
    name: bytes = b"press-7"
    stamp: int | None = None

    def topic(self) -> str:
        return "readings"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return self.name

    def value(self) -> bytes | None:
        return self.body

    def headers(self) -> list[tuple[str, bytes]]:
        return self.said

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000 * self.at if self.stamp is None else self.stamp


class Queue:
    """What arrives of a partition, so many a turn."""

    def __init__(self, raws: list[Raw], size: int) -> None:
        self._raws, self._size = raws, size

    def take(self, _most: int) -> list[Raw]:
        raws, self._raws = self._raws[: self._size], self._raws[self._size :]
        return raws

    def take_expired(self) -> None:
        return None

    def behind(self, _offset: int | None) -> None:
        return None


def arrive(raws: Iterable[Raw], settings: Settings, size: int = 10**6) -> tuple[list[Any], Tally]:
    """What the source makes of messages, so many a turn."""
    whole = list(raws)
    consumer = SimpleNamespace(
        open=lambda *_: Queue(whole, size), health=Health(), leads=lambda _queue: True
    )
    tally = Tally()
    shared = Shared(settings, tally, StopFlag(), cast(SharedConsumer, consumer), 1)
    reader = PartitionReader(shared, 0, None, Groups(settings))
    turns = -(-len(whole) // size)
    return [item for _ in range(turns) for _, item in reader.next_batch()], tally


def batch(at: int, first: int, count: int, width: int = 3) -> Raw:
    """A message of several readings, numbered on."""
    rows = [[float(first + row)] * width for row in range(count)]
    times = [float(first + row) for row in range(count)]
    return Raw(at, json.dumps({"ts": times, "values": rows}).encode())


def single(at: int, first: int) -> Raw:
    return Raw(at, json.dumps({"ts": first, "values": [float(first)] * 3}).encode())


def test_rows_of_several_readings_know_their_message_and_their_number() -> None:
    items, tally = arrive(
        [single(40, 0), batch(41, 1, 3), batch(42, 4, 1), batch(43, 5, 30)], Settings()
    )

    first, rest = items
    assert (first.block.settled, rest.block.settled) == (False, True)
    assert len(first.block) == AGREEING - 1
    offsets = [*first.block.offsets.tolist(), *rest.block.offsets.tolist()]
    assert offsets == [40, 41, 41, 41, 42, *[43] * 30]
    assert [*first.rows, *rest.rows] == [-1, 0, 1, 2, -1, *range(30)]
    assert [*first.stamps, *rest.stamps] == [float(at) for at in offsets]
    values = np.concatenate((first.block.values, rest.block.values))
    np.testing.assert_array_equal(values, np.arange(35.0)[:, None] * np.ones(3))
    assert tally.readings_received == 35


def test_a_message_is_taken_or_refused_as_a_whole() -> None:
    items, tally = arrive([batch(0, 0, 40), batch(1, 40, 8, width=4), single(2, 40)], Settings())

    *blocks, rejected = items
    assert [block.block.offsets.tolist() for block in blocks] == [[0] * 19, [0] * 21 + [2]]
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.message.offset) == ("length", 1)
    assert rejected.message.value == batch(1, 40, 8, width=4).body
    assert rejected.message.headers == JSON
    assert tally.readings_received == 40 + 1 + 1
    assert dict(tally.readings_rejected) == {"length": 1}


def test_lists_of_another_length_count_reading_by_reading_until_the_group_starts_anew() -> None:
    several = ANEW_AFTER // 2
    items, _ = arrive(
        [batch(0, 0, 40), batch(1, 40, several, width=4), batch(2, 99, several, width=4)],
        Settings(),
    )
    *_, last, rejected = items
    assert rejected.message.offset == 1
    assert last.block.channels == ("0", "1", "2", "3")
    assert last.block.offsets.tolist() == [2] * several


def test_named_channels_of_several_readings_are_laid_out_by_their_group() -> None:
    settings = Settings.model_validate({"channels": {"names": ["a", "b", "c"]}})
    body = {"ts": [1, 2], "values": {"c": [3, 30], "x": [9, 9], "a": [1, None]}}
    strange = {"ts": [3, 4], "values": {"x": [9, 9]}}

    items, tally = arrive(
        [Raw(0, json.dumps(body).encode()), Raw(1, json.dumps(strange).encode())], settings
    )

    block, rejected = items
    np.testing.assert_array_equal(block.block.values, [[1, np.nan, 3], [np.nan, np.nan, 30]])
    assert rejected.reason == "channel"
    assert tally.oddities["unknown_channel"] == 1


def test_float32_and_float64_of_a_group_are_the_same_rows() -> None:
    settings = Settings.model_validate({"channels": {"names": ["a", "b"]}})
    numbers = np.array([0.5, np.inf])
    raws = [
        Raw(0, numbers.astype("<f4").tobytes(), [("content-type", b"float32")]),
        Raw(1, numbers.tobytes(), [("content-type", b"float64")]),
        Raw(
            2,
            json.dumps(
                {"values": base64.b64encode(numbers.astype("<f4").tobytes()).decode()}
            ).encode(),
        ),
    ]

    items, _ = arrive(raws, settings)

    values = np.concatenate([item.block.values for item in items])
    assert all(item.block.values.dtype == np.float64 for item in items)
    np.testing.assert_array_equal(values, [numbers] * 3)


@pytest.mark.parametrize("layout", ["reading", "block"])
def test_a_code_says_which_reading_of_its_message_it_is(layout: Layout) -> None:
    settings = Settings.model_validate(
        {"codes": {"layout": layout}, "kafka": {"max_message_bytes": 4096}}
    )
    items, _ = arrive([single(40, 0), batch(41, 1, 100), single(42, 101)], settings)
    logic = Steps(settings, Tally())(None)

    encoded, _ = logic.on_batch([item for item in items if isinstance(item, GroupBlock)])

    outputs = [output for each in encoded for output in each.codes]
    codes = [code for output in outputs for code in decode_codes(output.value or b"")]
    expected = [(40, None), *((41, row) for row in range(100)), (42, None)]
    assert [(code.offset, code.row) for code in codes] == expected
    assert [output.readings for output in outputs] == [
        len(decode_codes(output.value or b"")) for output in outputs
    ]
    assert max(len(output.value or b"") for output in outputs) <= 4096
    assert (b'"row"' in (outputs[0].value or b"")) is (layout == "block")


def test_what_is_cut_from_a_block_keeps_all_rows_of_a_message() -> None:
    settings = Settings.model_validate({"codes": {"layout": "block"}})
    items, _ = arrive([batch(40, 0, 3), batch(41, 3, 3), single(42, 6)], settings)
    encoded, _ = Steps(settings, Tally())(None).on_batch(items)
    (output,) = [output for each in encoded for output in each.codes]

    value, count = codes_from(output.value or b"", 41)

    assert count == 4
    assert [(code.offset, code.row) for code in decode_codes(value)] == [
        (41, 0), (41, 1), (41, 2), (42, None)
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 10**6])
def test_frames_are_made_of_messages_of_several_readings_too(size: int) -> None:
    # given a group whose channels are settled in the midst of a message
    settings = Settings.model_validate({"coding": {"window": 4}})
    raws = [batch(0, 0, 30), single(1, 30), batch(2, 31, 7), batch(3, 38, 2)]
    items, _ = arrive(raws, settings, size)
    step = Steps(settings, Tally())(None)
    # when it is coded
    encoded, _ = step.on_batch(cast(list[GroupBlock | Expiry], items))
    found = [
        code for each in encoded for out in each.codes for code in decode_codes(out.value or b"")
    ]
    # then each reading has a place, and only the frame that is not full waits
    places = [place for code in found for place in positions(code)]
    given = [(0, 0, row) for row in range(30)] + [(0, 1, 0)] + [(0, 2, row) for row in range(7)]
    assert places == [*given, (0, 3, 0)]


@pytest.mark.parametrize("window", [1, 4])
def test_several_readings_keep_their_place_through_the_internal_topic(window: int) -> None:
    # given messages of the internal topic, with one reading and with several
    settings = Settings.model_validate(
        {"coding": {"window": window}, "topics": {"repartitioned": "internal"}}
    )
    raws = list[Raw]()
    for at, raw in enumerate([single(0, 0), batch(1, 1, 30), single(2, 31), batch(3, 32, 7)]):
        was = Message("readings", 5, 100 + at, b"heat", raw.body, [*raw.said], 1.0)
        raws.append(raw._replace(said=cast(Any, origin_headers(was))))
    items, _ = arrive(raws, settings)
    # when they are coded
    encoded, _ = Steps(settings, Tally())(None).on_batch(cast(list[GroupBlock | Expiry], items))
    found = [
        code for each in encoded for out in each.codes for code in decode_codes(out.value or b"")
    ]
    # then each has its own place, where it was first
    rows = [(0, 0), *((1, row) for row in range(30)), (2, 0), *((3, row) for row in range(7))]
    whole = len(rows) - (len(rows) - AGREEING + 1) % window
    places = [place for code in found for place in positions(code)]
    assert places == [(5, 100 + at, row) for at, row in rows[:whole]]


def everything() -> list[Raw]:
    """Messages of two groups in all forms, ordinary and not."""
    rng, raws = np.random.default_rng(3), list[Raw]()
    odd = [
        {"values": [1, None, 3]}, {"values": [1, 2]}, {"values": [1, 2, 3], "group": "other"},
        {"values": [1, 2, 3], "group": "press-0"}, {"values": [1, 2, 3], "ts": "2026-11-24"},
        {"values": [1, 2, 3], "ts": 1764000000250}, {"values": {"0": 1, "1": 2, "2": 3}},
        {"values": {"0": 1, "x": 2}}, {"sensor": "heat", "value": 1, "ts": 1}, {"values": "AAAA"},
        {"values": [1, 2, 3], "note": "é"}, {"values": [1, 2, 3], "ts": [1]}, [1], {"values": []},
        {"values": [[1, 2, 3]], "ts": [5]}, {"values": [1, 2, 3], "ts": -5},
    ]  # fmt: skip
    for at in range(1200):
        form = FORMS[int(rng.integers(len(FORMS)))]
        rows = rng.standard_normal((1 + 3 * form.several, 3)).astype(np.float32).astype(float)
        value = form.write([float(at + row) for row in range(len(rows))], rows)
        said = [("content-type", form.format.encode())]
        if at < 60 or rng.random() < 0.3:
            body = {"ts": at, "values": rows[0].tolist()}
            value, said = json.dumps(body).encode(), JSON if rng.random() < 0.5 else []
        elif rng.random() < 0.2:
            body_ = odd[int(rng.integers(len(odd)))]
            value, said = json.dumps(body_, ensure_ascii=False).encode(), JSON
        elif rng.random() < 0.1:
            said = [("trace", b"7"), *said]
        raws.append(Raw(at, value, said, b"press-%d" % (at % 2)))
    return raws


def test_the_short_way_and_the_long_one_lead_to_the_same_rows() -> None:
    # given that groups whose silence has a bound go the long way
    found = []
    for ttl in (0, 10**12):
        settings = Settings.model_validate(
            {"groups": {"ttl": ttl}, "kafka": {"max_message_bytes": 4096}}
        )
        items, tally = arrive(everything(), settings, size=40)
        blocks = [
            (item.group, item.block.channels, item.block.settled, item.block.values.tobytes(),
             item.block.offsets.tolist(), item.block.times.tolist(), item.stamps, item.rows)
            for item in items
            if isinstance(item, GroupBlock)
        ]  # fmt: skip
        letters = [
            (item.message.offset, item.reason, item.detail)
            for item in items
            if isinstance(item, Rejected)
        ]
        counts = tally.readings_received, dict(tally.readings_rejected), dict(tally.oddities)
        found.append((blocks, letters, counts))
    # then they do not differ
    assert found[0] == found[1]
    assert len(found[0][1]) > 20


PACKED = [("content-type", b"msgpack")]
NAN_SECOND = msgspec.msgpack.encode({"ts": [1.0, float("nan")], "values": bytes(24)})


@pytest.mark.parametrize(
    ("strange", "reason"),
    [
        (Raw(40, None), "schema"),
        (Raw(40, b""), "schema"),
        (Raw(40, b'{"ts": [], "values": ""}'), "time"),
        (Raw(40, NAN_SECOND, PACKED), "time"),
        (Raw(40, b'{"ts": [1, NaN], "values": [[1, 2, 3], [4, 5, 6]]}'), "time"),
        (Raw(40, b'{"values": [1, 2, 3]}', stamp=2**62), "time"),
    ],
)
def test_a_strange_message_of_a_settled_group_is_a_dead_letter(strange: Raw, reason: str) -> None:
    ordinary = [single(at, at) for at in range(40)]

    items, tally = arrive([*ordinary, strange, single(41, 41)], Settings())

    [rejected] = [item for item in items if isinstance(item, Rejected)]
    assert (rejected.reason, rejected.message.value) == (reason, strange.body)
    offsets = [item.block.offsets.tolist() for item in items if isinstance(item, GroupBlock)]
    assert list(chain.from_iterable(offsets)) == [*range(40), 41]
    assert tally.readings_rejected == {reason: 1}
