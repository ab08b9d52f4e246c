"""Codes as messages: one a reading, or one for all that were coded together (layout ``block``)."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from flows.wire.ours import WireError, place, read, same
from oodl.coding import Codes

__all__ = [
    "BlockMessage",
    "CodeMessage",
    "Layout",
    "codes_from",
    "decode_codes",
    "encode_codes",
    "identity",
    "origins",
]

Layout = Literal["reading", "block"]
Origins = Sequence[int | tuple[int, int]]  # offsets, or partitions and offsets

COLUMNS = ("offset", "offsets", "ts", "atoms", "values", "missing", "error", "surprise")
OPTIONAL = ("offsets", "missing")  # columns of a block that are left out where all are empty


class CodeMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The code of a reading, or of a frame of them: then `ts` is a list, one time a reading.

    `offset` is the position of the message that led to it, `offsets` are those of all messages that
    it is made of, where that is not the same; several codes may then have one position. Of a frame
    with fewer times than the version's window the rest is missing, beside what `missing` says of
    those that came. `surprise` is None where the version has no limit yet.
    """

    group: str
    id: str
    version: int
    partition: int
    offset: int
    offsets: Origins = ()
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
    group: str, partition: int, codes: Codes, layout: Layout, topic: str | None = None
) -> list[bytes]:
    """Write codes: a message a row, or one for all of them (layout ``block``).

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


def identity(code: CodeMessage) -> tuple[int, int]:
    """Return the position that tells a repeat: every message is in one code alone."""
    return origins(code)[0]


def _each(group: str, partition: int, codes: Codes, topic: str | None) -> list[bytes]:
    name, number = codes.version.id, codes.version.number
    messages = [
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
        for offset, ts, atoms, values, missing, error, surprise in codes.rows()
    ]
    if codes.origins is not None:
        for message, offsets in zip(messages, codes.origins.lists(), strict=True):
            message.offsets = offsets
    if codes.moments is not None:
        for message, times, missing in zip(messages, *_of_frames(codes), strict=True):
            message.ts, message.missing = times, missing
    return list(map(_ENCODER.encode, messages))


def _together(group: str, partition: int, codes: Codes, topic: str | None) -> list[bytes]:
    offset, times, atoms, values, absent, error, surprise = zip(*codes.rows(), strict=True)
    ts, missing = (times, absent) if codes.moments is None else _of_frames(codes)
    message = BlockMessage(
        group=group,
        id=codes.version.id,
        version=codes.version.number,
        partition=partition,
        offset=offset,
        offsets=() if codes.origins is None else codes.origins.lists(),
        ts=ts,
        atoms=atoms,
        values=values,
        missing=missing if any(missing) else (),
        error=error,
        surprise=surprise,
        topic=topic,
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


_LAYOUTS: dict[Layout, Callable[[str, int, Codes, str | None], list[bytes]]] = {
    "reading": _each,
    "block": _together,
}


def _unfold(block: BlockMessage) -> list[CodeMessage]:
    nothing = [()] * len(block.offset)
    columns = [getattr(block, name) or (nothing if name in OPTIONAL else ()) for name in COLUMNS]
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
    if not code.times or (code.offsets and len(code.offsets) < len(code.times)):
        times, offsets = len(code.times), len(code.offsets)
        got = f"got {times} and {offsets}; the message was damaged or made elsewhere"
        problem = f"{here}: expected a time and an offset a reading, {got}"
        raise WireError(problem)
    return code
