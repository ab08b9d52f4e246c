"""What every format of readings keeps: what was written comes back, and any bytes give a value."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flows.wire import Fault, Format, Headers, Reader, Reading, Readings, Reason, Sample
from oodl.packed import Packed

Rows = npt.NDArray[np.float64]

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "formats-1.json").read_text())
NAMES = ("temperature", "débit", "speed")
LIMIT = 100_000


@dataclass(frozen=True)
class Form:
    """One way to write readings of three channels.

    Parameters
    ----------
    name : str
        As the golden file has it.
    format : Format
    write : callable
        The value of a message from times and rows.
    several : bool
        Whether a message may have several readings.
    single : bool
        Whether numbers are float32 in it.
    named : bool
    timed : bool
        Whether the value has the time in it.
    """

    name: str
    format: Format
    write: Callable[[list[float], Rows], bytes]
    several: bool = False
    single: bool = False
    named: bool = False
    timed: bool = True

    def __repr__(self) -> str:
        return self.name


def numbers(row: Rows) -> list[float | None]:
    """The numbers of a row as JSON has them: None where missing."""
    return [None if np.isnan(value) else value for value in row.tolist()]


def _one(times: list[float], rows: Rows) -> dict[str, Any]:
    return {"ts": times[0], "values": numbers(rows[0])}


def _named(times: list[float], rows: Rows) -> dict[str, Any]:
    return {"ts": times[0], "values": dict(zip(NAMES, numbers(rows[0]), strict=True))}


def _bin(times: list[float], rows: Rows) -> dict[str, Any]:
    data = rows.astype("<f4").tobytes()
    return {"ts": times if len(times) > 1 else times[0], "values": data}


def _lists(times: list[float], rows: Rows) -> dict[str, Any]:
    return {"ts": times, "values": [numbers(row) for row in rows]}


def _columns(times: list[float], rows: Rows) -> dict[str, Any]:
    columns = {name: numbers(column) for name, column in zip(NAMES, rows.T, strict=True)}
    return {"ts": times, "values": columns}


def _base64(times: list[float], rows: Rows) -> dict[str, Any]:
    body = _bin(times, rows)
    return body | {"values": base64.b64encode(body["values"]).decode()}


def _json(body: Callable[[list[float], Rows], dict[str, Any]]) -> Any:
    return lambda times, rows: json.dumps(body(times, rows)).encode()


def _msgpack(body: Callable[[list[float], Rows], dict[str, Any]]) -> Any:
    return lambda times, rows: msgspec.msgpack.encode(body(times, rows))


FORMS = [
    Form("json-list", "json", _json(_one)),
    Form("json-named", "json", _json(_named), named=True),
    Form("json-base64", "json", _json(_base64), single=True),
    Form("json-lists", "json", _json(_lists), several=True),
    Form("json-columns", "json", _json(_columns), several=True, named=True),
    Form("json-base64-several", "json", _json(_base64), several=True, single=True),
    Form("msgpack-list", "msgpack", _msgpack(_one)),
    Form("msgpack-named", "msgpack", _msgpack(_named), named=True),
    Form("msgpack-bin", "msgpack", _msgpack(_bin), single=True),
    Form("msgpack-lists", "msgpack", _msgpack(_lists), several=True),
    Form("msgpack-columns", "msgpack", _msgpack(_columns), several=True, named=True),
    Form("msgpack-bin-several", "msgpack", _msgpack(_bin), several=True, single=True),
    Form(
        "float32", "float32", lambda _, rows: rows[0].astype("<f4").tobytes(), single=True,
        timed=False,
    ),
    Form("float64", "float64", lambda _, rows: rows[0].astype("<f8").tobytes(), timed=False),
]  # fmt: skip


def read(form: Form, value: bytes | None, reader: Reader | None = None) -> Any:
    """Read a value by the header that names its format."""
    headers: Headers = [("content-type", form.format.encode())]
    return (reader or Reader(LIMIT))(b"press-7", value, headers, 5.0)


def rows_of(found: Any) -> Rows:
    """The numbers of what was read, a row a reading, NaN where missing."""
    values = found.values
    if isinstance(values, Packed):
        return values.array().astype(np.float64)
    listed = list(values.values()) if isinstance(values, dict) else values
    return np.array([listed], dtype=np.float64)


def check_what_was_written_comes_back(form: Form) -> None:
    floats = st.floats(width=32, allow_infinity=False) if form.single else st.floats(
        allow_infinity=False
    )  # fmt: skip
    counts = st.integers(2, 5) if form.several else st.just(1)

    @given(counts.flatmap(lambda count: arrays(np.float64, (count, 3), elements=floats)))
    def law(rows: Rows) -> None:
        times = [1000.5 + 2 * place for place in range(len(rows))]

        found = read(form, form.write(times, rows))

        assert isinstance(found, Readings if form.several else Reading)
        assert found.group == "press-7"
        got = found.times if isinstance(found, Readings) else [found.time]
        assert got == (times if form.timed else [5.0])
        np.testing.assert_array_equal(rows_of(found), rows)

    law()


def check_names_come_with_the_numbers(form: Form) -> None:
    found = read(form, form.write([1.0, 2.0][: 1 + form.several], np.ones((1 + form.several, 3))))

    values = found.values
    names = tuple(values) if isinstance(values, dict) else getattr(values, "names", ())
    assert names == (NAMES if form.named else ())


def check_any_bytes_give_a_value(form: Form) -> None:
    reader = Reader(LIMIT)

    @given(st.none() | st.binary(), st.none() | st.binary(), st.floats())
    def law(value: bytes | None, key: bytes | None, stamp: float) -> None:
        is_sound(reader(key, value, [("content-type", form.format.encode())], stamp))

    law()


def check_damage_gives_a_value(form: Form) -> None:
    rows = np.arange(6.0).reshape(2, 3)[: 1 + form.several]
    whole = form.write([1.5, 2.5][: len(rows)], rows)

    @given(st.integers(0, len(whole)), st.integers(0, 6), st.binary(max_size=4))
    def law(start: int, length: int, other: bytes) -> None:
        is_sound(read(form, whole[:start] + other + whole[start + length :]))

    law()


def check_golden_bytes_still_decode(form: Form) -> None:
    known = GOLDEN[form.name]

    found = read(form, bytes.fromhex(known["value"]))

    got = found.times if isinstance(found, Readings) else [found.time]
    assert got == known["times"]
    assert [numbers(row) for row in rows_of(found)] == known["rows"]


def is_sound(found: object) -> None:
    """What was read has a name, a time and numbers for each reading; a fault has a known reason."""
    if isinstance(found, Fault):
        assert found.reason in get_args(Reason)
        assert 0 < len(found.detail) <= 200
        found.detail.encode()
        return
    assert isinstance(found, Reading | Readings | Sample)
    assert 0 < len(found.group.encode()) <= 4 * 249
    times = found.times if isinstance(found, Readings) else [found.time]
    assert all(-62135596800 <= time < 253402300800 for time in times)
    if isinstance(found, Sample):
        return
    assert rows_of(found).shape == (len(times), len(found.values))
    assert len(found.values) > 0


CHECKS: list[Callable[[Form], None]] = [
    check_what_was_written_comes_back,
    check_names_come_with_the_numbers,
    check_any_bytes_give_a_value,
    check_damage_gives_a_value,
    check_golden_bytes_still_decode,
]
