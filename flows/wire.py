"""Messages: bytes from Kafka to readings, codes and dictionaries to bytes.

Any bytes give a value: a `Reading`, or a `Fault` that says why not. What is well formed takes the
fast way, one typed decode; whatever that refuses is read a second time by the standard library,
which knows NaN, Infinity and numbers beyond float64: such values are missing, not wrong.
"""

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeVar

import msgspec
import numpy as np

from oodl.coding import Codes, Version
from oodl.errors import OodlError
from oodl.stream import Published

__all__ = [
    "BlockMessage",
    "CodeMessage",
    "DeadLetter",
    "DictionaryMessage",
    "Fault",
    "Layout",
    "Message",
    "Reading",
    "Reason",
    "Rejected",
    "WireError",
    "codes_from",
    "dead_letter",
    "decode",
    "decode_codes",
    "decode_dictionary",
    "dictionary_key",
    "encode_codes",
    "encode_dictionary",
    "refused",
    "to_version",
]

Reason = Literal[
    "json",
    "encoding",
    "schema",
    "length",
    "channel",
    "group",
    "size",
    "time",
    "late",
    "groups-full",
    "refused",
]
Layout = Literal["reading", "block"]
Headers = list[tuple[str, bytes | None]]
T = TypeVar("T")

MAX_MESSAGE_BYTES = 1048576  # the default of Kafka's topics, less their 12 bytes of overhead
CUT = 65536  # what is kept of a message that is too large to be kept whole
ENVELOPE = 512  # more than a record batch's own header and the lengths inside of it
LONGEST_GROUP = 249  # characters, as Kafka's topics have it
LONGEST_DETAIL = 200  # characters
LONGEST_QUOTE = 40  # characters of the input that a detail may repeat
MILLISECONDS_FROM = 1e11  # as seconds this would be the year 5138
EARLIEST, LATEST = -62135596800.0, 253402300800.0  # the years 1 to 9999, as seconds

COLUMNS = ("offset", "ts", "atoms", "values", "missing", "error", "surprise")  # of a block


class WireError(OodlError, ValueError):
    """Bytes of ours, codes or a dictionary, that cannot be read."""


class Message(msgspec.Struct):
    """A record as it came from Kafka; `timestamp` in seconds, negative where there is none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: float


class Reading(msgspec.Struct):
    """One timed vector of a group; None is a missing value, `time` is in seconds."""

    group: str
    time: float
    values: list[float | None] | dict[str, float | None]
    oddities: tuple[str, ...] = ()


class Fault(msgspec.Struct):
    """Why a message is no reading: one of `Reason`, and what exactly."""

    reason: Reason
    detail: str


class Rejected(msgspec.Struct):
    """A message on its way to the dead letters."""

    message: Message
    reason: Reason
    detail: str


class DeadLetter(NamedTuple):
    """What is written to the dead letters: the bytes as they came, and headers that tell why."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class CodeMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The code of one reading; `surprise` is None where the version has no limit yet."""

    group: str
    id: str
    version: int
    partition: int
    offset: int
    ts: float
    atoms: Sequence[int]
    values: Sequence[float]
    missing: Sequence[int] = ()
    error: float | None
    surprise: float | None
    topic: str | None = None


class BlockMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The codes of readings that were coded together: `CodeMessage` with lists for values."""

    group: str
    id: str
    version: int
    partition: int
    offset: Sequence[int]
    ts: Sequence[float]
    atoms: Sequence[Sequence[int]]
    values: Sequence[Sequence[float]]
    missing: Sequence[Sequence[int]] = ()
    error: Sequence[float | None]
    surprise: Sequence[float | None]
    topic: str | None = None


class DictionaryMessage(msgspec.Struct, kw_only=True):
    """A published version; `dictionary` is float32, little-endian, row by row, base64 in JSON."""

    group: str
    id: str
    version: int
    channels: Sequence[str]
    window: int
    mean: Sequence[float]
    scale: Sequence[float]
    dictionary: bytes
    usual: int
    limit: float | None
    partition: int
    offset: int
    restart: bool


class _Body(msgspec.Struct):
    """What we look at in a reading's JSON; all else in it is ignored."""

    values: list[float | None] | dict[str, float | None]
    group: str | None = None
    ts: float | str | None = None


class _Place(msgspec.Struct):
    """Where an output comes from; a list of offsets tells the layout ``block``."""

    partition: int
    offset: int | list[int]


_ENCODER = msgspec.json.Encoder()
_BODY = msgspec.json.Decoder(_Body)
_PLACE = msgspec.json.Decoder(_Place)
_CODE = msgspec.json.Decoder(CodeMessage)
_BLOCK = msgspec.json.Decoder(BlockMessage)
_DICTIONARY = msgspec.json.Decoder(DictionaryMessage)

# Fields whose wrong type has a reason of its own; any other is a matter of `schema`.
_REASON_OF_FIELD: dict[str, Reason] = {"`$.group`": "group", "`$.ts`": "time"}


def decode(message: Message, max_bytes: int = MAX_MESSAGE_BYTES) -> Reading | Fault:
    """Read a message as a reading, or say why it is none; no bytes raise an exception.

    Parameters
    ----------
    message : Message
        The record as it came.
    max_bytes : int
        Key and value together may have this many bytes.

    Examples
    --------
    NaN is no JSON, but it is a missing value.

    >>> message = Message("in", 0, 7, b"press-7", b'{"ts": 1.5, "values": [1, NaN]}', [], 0.0)
    >>> decode(message)
    Reading(group='press-7', time=1.5, values=[1.0, None], oddities=())
    >>> message.value = b'{"values": [1, true]}'
    >>> decode(message).detail
    'Expected `float | null`, got `bool` - at `$.values[1]`'
    """
    size = len(message.value or b"") + len(message.key or b"")
    if size > max_bytes:
        return Fault("size", f"expected at most {max_bytes} bytes, got {size}")
    body = _body(message.value)
    if isinstance(body, Fault):
        return body
    group = _group(message.key, body.group)
    if isinstance(group, Fault):
        return group
    time = _time(body.ts, message.timestamp)
    if isinstance(time, Fault):
        return time
    differ = message.key is not None and body.group is not None and body.group != group
    return Reading(group, time, body.values, ("key_and_field_differ",) if differ else ())


def dead_letter(rejected: Rejected, max_bytes: int = MAX_MESSAGE_BYTES) -> DeadLetter:
    """Wrap a rejected message: its bytes, key and headers as they came, and why and where from.

    Its own time goes along in ms, so that a reading without `ts` keeps it when it is sent again.

    A message too large to be written again with these headers gives its first 64 KiB, its size
    and its SHA-256 instead. Where a header's name comes twice, the last one is ours.
    """
    message = rejected.message
    said: Headers = [
        ("oodl-reason", rejected.reason.encode()),
        ("oodl-detail", rejected.detail[:LONGEST_DETAIL].encode(errors="replace")),
        ("oodl-topic", message.topic.encode()),
        ("oodl-partition", b"%d" % message.partition),
        ("oodl-offset", b"%d" % message.offset),
    ]
    if message.timestamp >= 0:
        said.append(("oodl-timestamp", b"%d" % round(1000 * message.timestamp)))
    whole = DeadLetter(message.key, message.value, [*message.headers, *said])
    return whole if _size(whole) <= max_bytes else _cut(message, said, min(CUT, max_bytes // 4))


def refused(topic: str, key: bytes | None, value: bytes, detail: str) -> Rejected:
    """Make an output that the broker refused for itself a rejected message.

    Parameters
    ----------
    topic : str
        The topic of the reading that the output belongs to; its partition and offset are read
        from the output (of a block the first offset, the detail names the last one).
    key, value : bytes
        The output as it was to be written.
    detail : str
        The broker's words.
    """
    place = _read(_PLACE, value)
    offsets = place.offset if isinstance(place.offset, list) else [place.offset]
    until = f" (offsets up to {offsets[-1]})" if len(offsets) > 1 else ""
    message = Message(topic, place.partition, offsets[0], key, value, [], -1.0)
    return Rejected(message, "refused", detail + until)


def encode_codes(
    group: str, partition: int, codes: Codes, layout: Layout, topic: str | None = None
) -> list[bytes]:
    """Write codes: a message a reading, or one for all of them (layout ``block``).

    `topic` is the readings' own, named where several are read.
    """
    return _LAYOUTS[layout](group, partition, codes, topic) if len(codes) else []


def codes_from(value: bytes, first: int) -> tuple[bytes, int]:
    """Cut a message of codes to those of readings from an offset on; return also how many they are.

    Raises
    ------
    WireError
        If the bytes are no codes of layout ``block``.
    """
    block = _read(_BLOCK, value)
    start = bisect_left(block.offset, first)
    kept = {name: getattr(block, name)[start:] for name in COLUMNS}
    return _ENCODER.encode(msgspec.structs.replace(block, **kept)), len(kept["offset"])


def encode_dictionary(group: str, partition: int, published: Published) -> bytes:
    """Write a published version with all that decoding and judging need."""
    version = published.version
    message = DictionaryMessage(
        group=group,
        id=version.id,
        version=version.number,
        channels=version.channels,
        window=version.window,
        mean=version.mean.tolist(),
        scale=version.scale.tolist(),
        dictionary=np.ascontiguousarray(version.dictionary, dtype="<f4").tobytes(),
        usual=version.usual,
        limit=version.limit,
        partition=partition,
        offset=published.offset,
        restart=version.restart,
    )
    return _ENCODER.encode(message)


def dictionary_key(group: str, name: str) -> bytes:
    """Name the record of a version by its id, so that compaction keeps each version of each group.

    >>> dictionary_key("press-7", "6f1d")
    b'press-7/6f1d'
    """
    return f"{group}/{name}".encode()


def decode_codes(value: bytes) -> list[CodeMessage]:
    """Read codes of either layout, one message a reading.

    Raises
    ------
    WireError
        If the bytes are no codes.
    """
    if isinstance(_read(_PLACE, value).offset, int):
        return [_matching(_read(_CODE, value))]
    return _unfold(_read(_BLOCK, value))


def decode_dictionary(value: bytes) -> DictionaryMessage:
    """Read a dictionary message; `to_version` makes it one to decode with.

    Raises
    ------
    WireError
        If the bytes are no dictionary.
    """
    return _read(_DICTIONARY, value)


def to_version(message: DictionaryMessage) -> Version:
    """Make the version that a message carries, once its content bears out its name.

    Raises
    ------
    WireError
        If a length does not fit the channels, or the content has another id.
    """
    here = f"dictionary {message.group}/{message.id}"
    n = len(message.channels)
    _same(f"{here}: length of mean", len(message.mean), n)
    _same(f"{here}: length of scale", len(message.scale), n)
    if message.window < 1:
        problem = f"{here}: window: expected 1 or more, got {message.window}; it is no version"
        raise WireError(problem)
    size = n * message.window
    _same(f"{here}: bytes of dictionary", len(message.dictionary), 4 * size * size)
    version = Version(
        number=message.version,
        channels=tuple(message.channels),
        window=message.window,
        mean=np.array(message.mean, dtype=np.float64),
        scale=np.array(message.scale, dtype=np.float64),
        dictionary=np.frombuffer(message.dictionary, dtype="<f4").reshape(size, size),
        usual=message.usual,
        limit=message.limit,
        restart=message.restart,
    )
    _same(f"{here}: id of its content", version.id, message.id)
    return version


def _body(value: bytes | None) -> _Body | Fault:
    if not value:
        return Fault(
            "schema", f"expected a JSON object, got {'no' if value is None else 'an empty'} value"
        )
    try:
        if not value.isascii():
            value.decode()  # the typed decode looks only at the strings that it keeps
        body = _BODY.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _reread(value)
    return body if body.values else _no_values()


def _reread(value: bytes) -> _Body | Fault:
    """Read what the fast way refused, with missing values where float64 has no number."""
    try:
        found = json.loads(value.decode("utf-8-sig"), parse_int=_integer)
        body = msgspec.convert(found, _Body)
        if isinstance(body.values, dict):
            "".join(body.values).encode()  # a lone surrogate has no UTF-8
    except msgspec.ValidationError as problem:
        field = str(problem).rpartition(" - at ")[2]
        return Fault(_REASON_OF_FIELD.get(field, "schema"), str(problem))
    except UnicodeError as problem:
        return Fault("encoding", str(problem))
    except (ValueError, RecursionError) as problem:
        return Fault("json", str(problem))
    return _with_missing(body) if body.values else _no_values()


def _integer(text: str) -> float:
    """An integer's value; far beyond float64 the number of digits alone decides, it is inf."""
    return int(text) if len(text) < 300 else float(text)


def _with_missing(body: _Body) -> _Body:
    values = body.values
    if isinstance(values, dict):
        body.values = {name: _finite(value) for name, value in values.items()}
    else:
        body.values = [_finite(value) for value in values]
    return body


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _no_values() -> Fault:
    return Fault("schema", "Expected at least one value, got none - at `$.values`")


def _group(key: bytes | None, field: str | None) -> str | Fault:
    """Name the group: the key where there is one, else the field."""
    try:
        group = field if key is None else key.decode()
        if group is not None:
            group.encode()  # a lone surrogate has no UTF-8
    except UnicodeError as problem:
        return Fault("encoding", f"group: {problem}"[:LONGEST_DETAIL])
    if group is None:
        return Fault("group", "expected a key or the field `group`, got neither")
    if not 0 < len(group) <= LONGEST_GROUP:
        return Fault("group", f"expected 1 to {LONGEST_GROUP} characters, got {len(group)}")
    return group


def _time(ts: float | str | None, fallback: float) -> float | Fault:
    """Seconds since 1970: of `ts`, or where there is none of the message itself."""
    if ts is None:
        if 0 <= fallback < LATEST:
            return fallback
        return Fault("time", "expected `ts` or a time stamp with the message, got neither")
    try:
        seconds = _seconds(ts)
    except ValueError:
        return Fault("time", f"expected ISO 8601, got {ts!r:.{LONGEST_QUOTE}} - at `$.ts`")
    if EARLIEST <= seconds < LATEST:
        return seconds
    return Fault("time", f"expected the years 1 to 9999, got {ts!r:.{LONGEST_QUOTE}} - at `$.ts`")


def _seconds(ts: float | str) -> float:
    """Read a number, ms from 1e11 on, or ISO 8601, which is UTC when it names no zone."""
    if isinstance(ts, str):
        when = datetime.fromisoformat(ts)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return ts / 1000 if ts >= MILLISECONDS_FROM else ts


def _size(letter: DeadLetter) -> int:
    """Bytes that a record takes, seen from above."""
    headers = sum(len(name.encode()) + len(value or b"") + 8 for name, value in letter.headers)
    return ENVELOPE + len(letter.key or b"") + len(letter.value or b"") + headers


def _cut(message: Message, said: Headers, room: int) -> DeadLetter:
    value = message.value or b""
    size = str(len(value)).encode()
    digest = hashlib.sha256(value).hexdigest().encode()
    own = message.headers if _size(DeadLetter(None, None, message.headers)) <= room else []
    headers = [*own, *said, ("oodl-size", size), ("oodl-sha256", digest)]
    return DeadLetter(message.key and message.key[:room], value[:room], headers)


def _each(group: str, partition: int, codes: Codes, topic: str | None) -> list[bytes]:
    name, number = codes.version.id, codes.version.number
    return [
        _ENCODER.encode(
            CodeMessage(
                group=group,
                id=name,
                version=number,
                partition=partition,
                offset=offset,
                ts=ts,
                atoms=atoms,
                values=values,
                missing=missing,
                error=error,
                surprise=surprise,
                topic=topic,
            )
        )
        for offset, ts, atoms, values, missing, error, surprise in codes.rows()
    ]


def _together(group: str, partition: int, codes: Codes, topic: str | None) -> list[bytes]:
    offset, ts, atoms, values, missing, error, surprise = zip(*codes.rows(), strict=True)
    message = BlockMessage(
        group=group,
        id=codes.version.id,
        version=codes.version.number,
        partition=partition,
        offset=offset,
        ts=ts,
        atoms=atoms,
        values=values,
        missing=missing if any(missing) else (),
        error=error,
        surprise=surprise,
        topic=topic,
    )
    return [_ENCODER.encode(message)]


_LAYOUTS: dict[Layout, Callable[[str, int, Codes, str | None], list[bytes]]] = {
    "reading": _each,
    "block": _together,
}


def _unfold(block: BlockMessage) -> list[CodeMessage]:
    missing = block.missing or [()] * len(block.offset)
    columns = [missing if name == "missing" else getattr(block, name) for name in COLUMNS]
    for column in columns:
        _same(f"codes of {block.group!r}: readings in a list", len(column), len(block.offset))
    return [
        _matching(
            CodeMessage(
                group=block.group,
                id=block.id,
                version=block.version,
                partition=block.partition,
                offset=row[0],
                ts=row[1],
                atoms=row[2],
                values=row[3],
                missing=row[4],
                error=row[5],
                surprise=row[6],
                topic=block.topic,
            )
        )
        for row in zip(*columns, strict=True)
    ]


def _matching(code: CodeMessage) -> CodeMessage:
    here = f"code of {code.group!r} at offset {code.offset}"
    _same(f"{here}: number of values", len(code.values), len(code.atoms))
    return code


def _same(thing: str, got: object, expected: object) -> None:
    if got != expected:
        problem = (
            f"{thing}: expected {expected}, got {got}; the message was damaged or made elsewhere"
        )
        raise WireError(problem)


def _read(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        message = f"message of {len(value)} bytes: {problem}; is this the right topic?"
        raise WireError(message) from problem
