"""Codes as messages: one a reading, or one for all that were coded together (layout ``block``)."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from flows.wire.ours import WireError, place, read, same
from oodl.coding import Codes

__all__ = [
    "BlockMessage",
    "CodeMessage",
    "Layout",
    "codes_from",
    "decode_codes",
    "encode_codes",
    "origins",
    "positions",
]

Layout = Literal["reading", "block"]
Origins = Sequence[int | tuple[int, int]]  # offsets, or partitions and offsets

COLUMNS = ("offset", "offsets", "row", "ts", "atoms", "values", "missing", "error", "surprise")

# Columns of a block that are left out where each of them is this.
OPTIONAL: dict[str, Any] = {"offsets": (), "row": None, "missing": ()}


class CodeMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The code of a reading, or of a frame of them: then `ts` is a list, one time a reading.

    `offset` is the position of the message that led to it, `offsets` are those of all messages that
    it is made of, where that is not the same; several codes may then have one position. `row` is
    which reading of its message it is, or the first one of a frame, None where that has no other;
    in a frame those of a message follow one another. Of a frame with fewer times than the version's
    window the rest is missing, beside what `missing` says of those that came. `surprise` is None
    where the version has no limit yet.
    """

    group: str
    id: str
    version: int
    partition: int
    offset: int
    offsets: Origins = ()
    row: int | None = None
    ts: float | Sequence[float]
    atoms: Sequence[int]
    values: Sequence[float]
    missing: Sequence[int] = ()
    error: float | None
    surprise: float | None
    topic: str | None = None

    @property
    def times(self) -> Sequence[float]:
        """Times of its readings."""
        return (self.ts,) if isinstance(self.ts, float) else self.ts


class BlockMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The codes of readings that were coded together: `CodeMessage` with lists for values."""

    group: str
    id: str
    version: int
    partition: int
    offset: Sequence[int]
    offsets: Sequence[Origins] = ()
    row: Sequence[int | None] = ()
    ts: Sequence[float | Sequence[float]]
    atoms: Sequence[Sequence[int]]
    values: Sequence[Sequence[float]]
    missing: Sequence[Sequence[int]] = ()
    error: Sequence[float | None]
    surprise: Sequence[float | None]
    topic: str | None = None


_ENCODER = msgspec.json.Encoder()
_CODE = msgspec.json.Decoder(CodeMessage)
_BLOCK = msgspec.json.Decoder(BlockMessage)


def encode_codes(
    group: str,
    partition: int,
    codes: Codes,
    layout: Layout,
    topic: str | None = None,
    rows: Sequence[int | None] = (),
) -> list[bytes]:
    """Write codes: a message a row, or one for all of them (layout ``block``).

    `topic` is the readings' own, named where several are read; `rows` tells which reading of its
    message each one is, None where that has no other; () where none has.
    """
    if not len(codes):
        return []
    return _LAYOUTS[layout](_Origin(group, partition, topic, rows), codes)


def codes_from(value: bytes, first: int) -> tuple[bytes, int]:
    """Cut a message of codes to those of readings from an offset on; return also how many they are.

    Raises
    ------
    WireError
        If the bytes are no codes of layout ``block``.
    """
    block = read(_BLOCK, value)
    start = bisect_left(block.offset, first)
    kept = {name: getattr(block, name)[start:] for name in COLUMNS}
    readings = sum(1 if isinstance(ts, float) else len(ts) for ts in kept["ts"])
    return _ENCODER.encode(msgspec.structs.replace(block, **kept)), readings


def decode_codes(value: bytes) -> list[CodeMessage]:
    """Read codes of either layout, one message a row.

    Raises
    ------
    WireError
        If the bytes are no codes.
    """
    if isinstance(place(value).offset, int):
        return [_matching(read(_CODE, value))]
    return _unfold(read(_BLOCK, value))


def origins(code: CodeMessage) -> list[tuple[int, int]]:
    """Return the positions of all messages that a code stands for, as partition and offset."""
    if not code.offsets:
        return [(code.partition, code.offset)]
    return [(code.partition, each) if isinstance(each, int) else each for each in code.offsets]


def positions(code: CodeMessage) -> list[tuple[int, int, int]]:
    """Return partition, offset and row of all readings that a code stands for.

    Each is in one code alone.
    """
    row, before, found = code.row or 0, None, []
    for origin in origins(code):
        if before is not None:  # those of a message follow one another
            row = row + 1 if origin == before else 0
        found.append((*origin, row))
        before = origin
    return found


class _Origin(NamedTuple):
    """Where codes come from."""

    group: str
    partition: int
    topic: str | None
    rows: Sequence[int | None]


class _Head(msgspec.Struct):
    """What the codes of one version have in common."""

    group: str
    id: str
    version: int
    partition: int


class _Rest(msgspec.Struct, omit_defaults=True, gc=False):
    """What follows it in a code: no dict of keywords is made for a reading, as `CodeMessage` asks.

    All but the offset is set always; without a default it could not stand behind `offsets`.
    """

    offset: int
    offsets: Origins = ()
    row: int | None = None
    ts: float | Sequence[float] | UnsetType = UNSET
    atoms: Sequence[int] | UnsetType = UNSET
    values: Sequence[float] | UnsetType = UNSET
    missing: Sequence[int] = ()
    error: float | UnsetType | None = UNSET
    surprise: float | UnsetType | None = UNSET
    topic: str | None = None


def _each(origin: _Origin, codes: Codes) -> list[bytes]:
    """Write all rows at once, a line each, and lay the head over the start of each line."""
    rests = [
        _Rest(offset, (), None, ts, atoms, values, missing, error, surprise, origin.topic)
        for offset, ts, atoms, values, missing, error, surprise in codes.rows()
    ]
    if origin.rows:
        for rest, row in zip(rests, origin.rows, strict=True):
            rest.row = row
    if codes.origins is not None:
        for rest, offsets in zip(rests, codes.origins.lists(), strict=True):
            rest.offsets = offsets
    if codes.moments is not None:
        for rest, times, missing in zip(rests, *_of_frames(codes), strict=True):
            rest.ts, rest.missing = times, missing
    version = codes.version
    head = _ENCODER.encode(_Head(origin.group, version.id, version.number, origin.partition))
    if len(rests) == 1:
        return [b"%b,%b" % (head[:-1], _ENCODER.encode(rests[0])[1:])]
    lines = b"\n" + _ENCODER.encode_lines(rests)
    return lines.replace(b"\n{", b"\n%b," % head[:-1]).split(b"\n")[1:-1]


def _together(origin: _Origin, codes: Codes) -> list[bytes]:
    offset, times, atoms, values, absent, error, surprise = zip(*codes.rows(), strict=True)
    ts, missing = (times, absent) if codes.moments is None else _of_frames(codes)
    message = BlockMessage(
        group=origin.group,
        id=codes.version.id,
        version=codes.version.number,
        partition=origin.partition,
        offset=offset,
        offsets=() if codes.origins is None else codes.origins.lists(),
        row=origin.rows,
        ts=ts,
        atoms=atoms,
        values=values,
        missing=missing if any(missing) else (),
        error=error,
        surprise=surprise,
        topic=origin.topic,
    )
    return [_ENCODER.encode(message)]


def _of_frames(codes: Codes) -> tuple[Sequence[list[float]], Sequence[Sequence[int]]]:
    """Times of each frame's readings, and what is missing in those that came."""
    moments, channels = codes.moments, len(codes.version.channels)
    times = [] if moments is None else moments.lists()
    came = [channels * len(each) for each in times]
    return times, [
        absent[: bisect_left(absent, most)]
        for absent, most in zip(codes.missing, came, strict=True)
    ]


_LAYOUTS: dict[Layout, Callable[[_Origin, Codes], list[bytes]]] = {
    "reading": _each,
    "block": _together,
}


def _unfold(block: BlockMessage) -> list[CodeMessage]:
    count = len(block.offset)
    columns: list[Sequence[Any]] = [
        getattr(block, name) or ([OPTIONAL[name]] * count if name in OPTIONAL else ())
        for name in COLUMNS
    ]
    for column in columns:
        same(f"codes of {block.group!r}: readings in a list", len(column), len(block.offset))
    return [
        _matching(
            CodeMessage(
                group=block.group,
                id=block.id,
                version=block.version,
                partition=block.partition,
                **dict(zip(COLUMNS, row, strict=True)),
                topic=block.topic,
            )
        )
        for row in zip(*columns, strict=True)
    ]


def _matching(code: CodeMessage) -> CodeMessage:
    here = f"code of {code.group!r} at offset {code.offset}"
    same(f"{here}: number of values", len(code.values), len(code.atoms))
    times, offsets = len(code.times), len(code.offsets or (code.offset,))
    if not 0 < times <= offsets:
        got = f"got {times} and {offsets}; the message was damaged or made elsewhere"
        problem = f"{here}: expected a time and an offset a reading, {got}"
        raise WireError(problem)
    return code
