"""Dictionaries as messages: a published version, with all that decoding and judging need."""

from collections.abc import Sequence

import msgspec
import numpy as np

from flows.wire.ours import WireError, read, same
from oodl.coding import Version
from oodl.stream import Published

__all__ = [
    "DictionaryMessage",
    "decode_dictionary",
    "dictionary_key",
    "encode_dictionary",
    "to_version",
]


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


_ENCODER = msgspec.json.Encoder()
_DICTIONARY = msgspec.json.Decoder(DictionaryMessage)


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


def decode_dictionary(value: bytes) -> DictionaryMessage:
    """Read a dictionary message; `to_version` makes it one to decode with.

    Raises
    ------
    WireError
        If the bytes are no dictionary.
    """
    return read(_DICTIONARY, value)


def to_version(message: DictionaryMessage) -> Version:
    """Make the version that a message carries, once its content bears out its name.

    Raises
    ------
    WireError
        If a length does not fit the channels, or the content has another id.
    """
    here = f"dictionary {message.group}/{message.id}"
    n = len(message.channels)
    same(f"{here}: length of mean", len(message.mean), n)
    same(f"{here}: length of scale", len(message.scale), n)
    if message.window < 1:
        problem = f"{here}: window: expected 1 or more, got {message.window}; it is no version"
        raise WireError(problem)
    size = n * message.window
    same(f"{here}: bytes of dictionary", len(message.dictionary), 4 * size * size)
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
    same(f"{here}: id of its content", version.id, message.id)
    return version
