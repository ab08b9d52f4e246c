"""What every way of reading messages, and every layout of codes, keeps."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.wire import (
    Fault,
    Layout,
    Message,
    Reading,
    Readings,
    Sample,
    WireError,
    decode_codes,
    encode_codes,
    origins,
)
from oodl.block import Ragged, ragged
from oodl.coding import Codes, Version
from tests.checks.formats import is_sound

Decode = Callable[[Message, int], Reading | Readings | Sample | Fault]

GOLDEN, FRAMES = (
    json.loads((Path(__file__).parents[1] / "golden" / name).read_text())
    for name in ("wire-1.json", "wire-2.json")
)
LIMIT = 4096
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def message(value: bytes | None, key: bytes | None = b"press-7", timestamp: float = 5.0) -> Message:
    return Message("readings", 3, 14, key, value, [], timestamp)


@st.composite
def codes(draw: st.DrawFn) -> Codes:
    """Codes of a few rows, with and without missing channels, atoms and a limit."""
    n = draw(st.integers(1, 4))
    counts = draw(st.lists(st.integers(0, n), min_size=1, max_size=4))
    rows, kept = len(counts), sum(counts)
    version = Version.zero(tuple(f"{i}é" for i in range(n)))
    absent = st.lists(st.integers(0, n - 1), unique=True, max_size=n).map(tuple)
    return Codes(
        version=version,
        offsets=np.array(draw(st.lists(st.integers(0, 2**62), min_size=rows, max_size=rows))),
        times=_column(draw, rows, st.floats(-6e10, 2.5e11)),
        ends=np.cumsum(counts),
        atoms=np.array(draw(st.lists(st.integers(0, n), min_size=kept, max_size=kept)), dtype=int),
        values=_column(draw, kept, NUMBERS),
        missing=tuple(draw(absent) for _ in range(rows)),
        errors=_column(draw, rows, st.floats(0, 1e6)),
        surprises=_column(draw, rows, st.floats(0, 1e6) | st.just(np.nan)),
        energies=np.zeros(rows),
    )


@st.composite
def frames(draw: st.DrawFn) -> Codes:
    """Codes of frames: full ones, and some that were closed early."""
    coded = draw(codes())
    channels, window = len(coded.version.channels), draw(st.integers(2, 3))
    came = draw(st.lists(st.integers(1, window), min_size=len(coded), max_size=len(coded)))
    ends, total = np.cumsum(came), sum(came)
    coded.version = Version.zero(coded.version.channels, window)
    coded.missing = tuple(
        (*sorted(absent), *range(channels * count, channels * window))
        for absent, count in zip(coded.missing, came, strict=True)
    )
    positions = st.lists(st.integers(0, 2**62), min_size=total, max_size=total)
    coded.origins = Ragged(ends, np.array(draw(positions)))
    coded.moments = Ragged(ends, _column(draw, total, st.floats(-6e10, 2.5e11)))
    return coded


def _column(draw: st.DrawFn, size: int, numbers: st.SearchStrategy[float]) -> Any:
    return np.array(draw(st.lists(numbers, min_size=size, max_size=size)), dtype=np.float64)


# Reading messages.


def check_any_bytes_give_a_value(decode: Decode) -> None:
    @given(st.none() | st.binary(), st.none() | st.binary(), st.floats())
    @example(b"[" * 100_000, b"deep", 0.0)
    @example(b'{"values": ' + b'{"a":' * 100_000, b"deep", 0.0)
    def law(value: bytes | None, key: bytes | None, timestamp: float) -> None:
        is_sound(decode(message(value, key, timestamp), LIMIT))
        is_sound(decode(message(value, key, timestamp), 10**6))

    law()


def check_any_json_gives_a_value(decode: Decode) -> None:
    fields = st.fixed_dictionaries(
        {}, optional={"values": JSON, "group": JSON, "ts": JSON | st.datetimes().map(str),
                      "sensor": JSON, "value": JSON}
    )  # fmt: skip

    @given(JSON | fields, st.none() | st.binary(max_size=5))
    def law(content: object, key: bytes | None) -> None:
        is_sound(decode(message(json.dumps(content).encode(), key), LIMIT))

    law()


def check_damaged_readings_give_a_value(decode: Decode) -> None:
    whole = '{"group": "prêss", "ts": "2026-11-24T00:00:00Z", "values": [1e3, NaN, null]}'.encode()

    @given(st.integers(0, len(whole)), st.integers(0, 6), st.binary(max_size=4))
    def law(start: int, length: int, other: bytes) -> None:
        is_sound(decode(message(whole[:start] + other + whole[start + length :]), LIMIT))

    law()


def check_values_come_as_they_were_written(decode: Decode) -> None:
    listed = st.lists(st.none() | NUMBERS, min_size=1)
    named = st.dictionaries(st.text(st.characters(codec="utf-8")), st.none() | NUMBERS, min_size=1)

    @given(listed | named, st.sampled_from([True, False]))
    def law(values: Any, ascii_only: bool) -> None:  # noqa: FBT001
        text = json.dumps({"values": values}, ensure_ascii=ascii_only)

        reading = decode(message(text.encode()), 10**6)

        assert reading == Reading("press-7", 5.0, values)

    law()


def check_golden_readings_still_decode(decode: Decode) -> None:
    for known in GOLDEN["readings"]:
        key = None if known["key"] is None else known["key"].encode()

        reading = decode(message(known["value"].encode(), key), LIMIT)

        assert isinstance(reading, Reading), known
        got = [reading.group, reading.time, reading.values, list(reading.oddities)]
        assert got == [known["group"], known["time"], known["values"], known["oddities"]]


def check_samples_come_as_they_were_written(decode: Decode) -> None:
    names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=249)

    @given(names, st.none() | NUMBERS)
    def law(sensor: str, value: float | None) -> None:
        text = json.dumps({"sensor": sensor, "ts": 7.5, "value": value, "unit": "C"})

        assert decode(message(text.encode()), 10**6) == Sample("press-7", 7.5, sensor, value)

    law()


def check_golden_samples_still_decode(decode: Decode) -> None:
    for known in GOLDEN["samples"]:
        key = None if known["key"] is None else known["key"].encode()

        sample = decode(message(known["value"].encode(), key), LIMIT)

        assert isinstance(sample, Sample), known
        got = [sample.group, sample.time, sample.sensor, sample.value]
        assert got == [known["group"], known["time"], known["sensor"], known["number"]]


READINGS: list[Callable[[Decode], None]] = [
    check_any_bytes_give_a_value,
    check_any_json_gives_a_value,
    check_damaged_readings_give_a_value,
    check_values_come_as_they_were_written,
    check_golden_readings_still_decode,
    check_samples_come_as_they_were_written,
    check_golden_samples_still_decode,
]

# Layouts of codes.


def check_codes_come_back_as_they_were(layout: Layout) -> None:
    @given(codes(), TEXTS, st.none() | st.just("readings"))
    def law(coded: Codes, group: str, topic: str | None) -> None:
        found = [
            code
            for value in encode_codes(group, 3, coded, layout, topic)
            for code in decode_codes(value)
        ]

        rows = [
            (code.offset, code.ts, list(code.atoms), list(code.values), tuple(code.missing),
             code.error, code.surprise)
            for code in found
        ]  # fmt: skip
        assert rows == list(coded.rows())
        heads = {(code.group, code.id, code.version, code.partition, code.topic) for code in found}
        assert heads == {(group, coded.version.id, 0, 3, topic)}

    law()


def check_what_codes_are_made_of_comes_back(layout: Layout) -> None:
    places = st.lists(st.integers(0, 2**53), min_size=1, max_size=3)

    @given(codes(), st.data())
    def law(coded: Codes, data: st.DataObject) -> None:
        lists = [data.draw(places) for _ in range(len(coded))]
        coded.origins = ragged(lists)
        found = [
            code
            for value in encode_codes("press-7", 3, coded, layout)
            for code in decode_codes(value)
        ]

        assert [origins(code) for code in found] == [[(3, at) for at in each] for each in lists]


def check_frames_come_back_with_all_of_their_readings(layout: Layout) -> None:
    @given(frames())
    def law(coded: Codes) -> None:
        found = [
            code for value in encode_codes("press-7", 3, coded, layout)
            for code in decode_codes(value)
        ]  # fmt: skip

        assert coded.origins is not None
        assert coded.moments is not None
        assert [code.offset for code in found] == coded.offsets.tolist()
        assert [list(code.offsets) for code in found] == coded.origins.lists()
        assert [code.times for code in found] == coded.moments.lists()
        for code, absent in zip(found, coded.missing, strict=True):
            came = len(code.times) * len(coded.version.channels)
            assert tuple(code.missing) == tuple(place for place in absent if place < came)

    law()


def check_golden_frames_still_decode(layout: Layout) -> None:
    found = [code for text in FRAMES["codes"][layout] for code in decode_codes(text.encode())]
    assert [
        [code.offset, code.offsets, code.times, code.atoms, code.values, list(code.missing),
         code.error, code.surprise]
        for code in found
    ] == FRAMES["rows"]  # fmt: skip


def check_no_codes_are_no_message(layout: Layout) -> None:
    nothing = np.zeros(0)
    whole = np.zeros(0, dtype=np.int64)
    empty = Codes(
        Version.zero(("a",)), whole, nothing, whole, whole, nothing, (), nothing, nothing, nothing
    )
    assert encode_codes("press-7", 0, empty, layout) == []


def check_damaged_codes_are_refused_by_name(layout: Layout) -> None:
    wholes = [golden["codes"][layout][0].encode() for golden in (GOLDEN, FRAMES)]

    @given(st.sampled_from(wholes), st.integers(0, 999), st.integers(0, 6), st.binary(max_size=4))
    def law(whole: bytes, start: int, length: int, other: bytes) -> None:
        damaged = whole[:start] + other + whole[start + length :]
        with suppress(WireError):
            found = decode_codes(damaged)
            assert all(len(code.values) == len(code.atoms) for code in found)
            assert all(0 < len(code.times) <= len(origins(code)) for code in found)

    law()
    if layout == "reading":  # a frame whose offsets have lost their name has one for two readings
        with pytest.raises(WireError, match="expected a time and an offset a reading, got 2 and 1"):
            decode_codes(wholes[1].replace(b"offsets", b"offset_"))
    for whole in wholes:
        with pytest.raises(WireError, match="is this the right topic"):
            decode_codes(whole[:-1])


def check_golden_codes_still_decode(layout: Layout) -> None:
    found = [code for text in GOLDEN["codes"][layout] for code in decode_codes(text.encode())]
    assert [
        [code.offset, code.ts, code.atoms, code.values, list(code.missing), code.error,
         code.surprise]
        for code in found
    ] == GOLDEN["rows"]  # fmt: skip


LAYOUTS: list[Callable[[Layout], None]] = [
    check_codes_come_back_as_they_were,
    check_what_codes_are_made_of_comes_back,
    check_frames_come_back_with_all_of_their_readings,
    check_golden_frames_still_decode,
    check_no_codes_are_no_message,
    check_damaged_codes_are_refused_by_name,
    check_golden_codes_still_decode,
]
