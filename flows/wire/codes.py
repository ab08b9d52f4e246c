"""Codes as messages: one a reading, or one for all that were coded together (layout ``block``)."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Literal

import msgspec

from flows.wire.ours import place, read, same
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

COLUMNS = ("offset", "ts", "atoms", "values", "missing", "error", "surprise", "offsets")
SPARSE = ("missing", "offsets")  # columns that are left out where they say nothing


class CodeMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The code of one reading; `surprise` is None where the version has no limit yet.

    A reading that is made of several messages names all of them in `offsets`; its position is then
    that of the message that closed it, which several codes may have.
    """

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
    offsets: Origins = ()


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
    offsets: Sequence[Origins] = ()


_ENCODER = msgspec.json.Encoder()
_CODE = msgspec.json.Decoder(CodeMessage)
_BLOCK = msgspec.json.Decoder(BlockMessage)


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
    block = read(_BLOCK, value)
    start = bisect_left(block.offset, first)
    kept = {name: getattr(block, name)[start:] for name in COLUMNS}
    return _ENCODER.encode(msgspec.structs.replace(block, **kept)), len(kept["offset"])


def decode_codes(value: bytes) -> list[CodeMessage]:
    """Read codes of either layout, one message a reading.

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
                offsets=made_of,
            )
        )
        for (offset, ts, atoms, values, missing, error, surprise), made_of in zip(
            codes.rows(), _made_of(codes), strict=True
        )
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
        offsets=() if codes.origins is None else codes.origins.lists(),
    )
    return [_ENCODER.encode(message)]


def _made_of(codes: Codes) -> Iterable[Origins]:
    return repeat((), len(codes)) if codes.origins is None else codes.origins.lists()


_LAYOUTS: dict[Layout, Callable[[str, int, Codes, str | None], list[bytes]]] = {
    "reading": _each,
    "block": _together,
}


def _unfold(block: BlockMessage) -> list[CodeMessage]:
    nothing = [()] * len(block.offset)
    columns = [
        getattr(block, name) or nothing if name in SPARSE else getattr(block, name)
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
                offset=row[0],
                ts=row[1],
                atoms=row[2],
                values=row[3],
                missing=row[4],
                error=row[5],
                surprise=row[6],
                topic=block.topic,
                offsets=row[7],
            )
        )
        for row in zip(*columns, strict=True)
    ]


def _matching(code: CodeMessage) -> CodeMessage:
    here = f"code of {code.group!r} at offset {code.offset}"
    same(f"{here}: number of values", len(code.values), len(code.atoms))
    return code
