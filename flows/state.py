"""A group's state as one bytes value: what crosses a snapshot, and nothing else does.

A format byte, the 16 hex digits that name the settings it was learned under, then msgpack. Pickling
seven arrays costs six times what one bytes value does.
"""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from oodl.errors import OodlError
from oodl.stream import GroupState, Learned

__all__ = ["FORMAT", "Packer", "StateError", "pack", "unpack"]

FORMAT = 2  # raised whenever a field of the state is added, removed or means something else
FINGERPRINT_BYTES = 16
REMEDY = "start this release with an empty recovery folder, or the release that wrote this one"


class StateError(OodlError, ValueError):
    """A packed state that this release cannot read."""


class _Array(msgspec.Struct, array_like=True):
    """An array as msgpack has it; little-endian, row by row."""

    kind: str
    shape: tuple[int, ...]
    content: bytes


def _flatten(value: object) -> _Array:
    if not isinstance(value, np.ndarray):
        msg = f"state: expected arrays and plain values, got {type(value).__name__}"
        raise TypeError(msg)
    return _Array(value.dtype.str, value.shape, value.tobytes())


def _rebuild(_: type, value: object) -> npt.NDArray[Any]:
    """Return an array that cannot be written to, as every part of a state."""
    flat = msgspec.convert(value, _Array)
    return np.frombuffer(flat.content, dtype=np.dtype(flat.kind)).reshape(flat.shape)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_flatten)
_DECODER = msgspec.msgpack.Decoder(GroupState, dec_hook=_rebuild)


class Packer:
    """Packs the states of one group, one after another.

    What was learned changes at full chunks only and is nine tenths of a state, so it is put into
    msgpack once for as long as it stays.

    Examples
    --------
    >>> from oodl.stream import GroupCoder
    >>> state, name = GroupCoder().start(), "0123456789abcdef"
    >>> Packer()(state, name) == pack(state, name)
    True
    """

    def __init__(self) -> None:
        self._learned: Learned | None = None
        self._content: Any = None

    def __call__(self, state: GroupState, fingerprint: str) -> bytes:
        """Put a state into one bytes value, as `pack` does."""
        if state.learned is not None:
            if state.learned is not self._learned:
                self._learned, content = state.learned, _ENCODER.encode(state.learned)
                self._content = msgspec.Raw(content)
            state = replace(state, learned=self._content)
        return pack(state, fingerprint)


def pack(state: GroupState, fingerprint: str) -> bytes:
    """Put a state into one bytes value, with the name of the settings it was learned under.

    Parameters
    ----------
    state : GroupState
    fingerprint : str
        16 hex digits, see `flows.settings.Settings.fingerprint`.

    Examples
    --------
    >>> from oodl.stream import GroupCoder
    >>> unpack(pack(GroupCoder().start(), "0123456789abcdef"))[1]
    '0123456789abcdef'
    """
    if len(state.pending) > 1:  # to join sixteen takes 3 us, to pack each of them a microsecond
        state = replace(state, pending=(np.concatenate(state.pending),))
    return bytes([FORMAT]) + fingerprint.encode("ascii") + _ENCODER.encode(state)


def unpack(packed: bytes) -> tuple[GroupState, str]:
    """Return the state, its arrays read-only, and the fingerprint that `pack` was given.

    Raises
    ------
    StateError
        If another release wrote it, or it was damaged.
    """
    if packed[:1] != bytes([FORMAT]):
        got = packed[0] if packed else "nothing"
        msg = f"group state: expected format {FORMAT}, got {got}; {REMEDY}"
        raise StateError(msg)
    try:
        fingerprint = packed[1 : 1 + FINGERPRINT_BYTES].decode("ascii")
        return _DECODER.decode(memoryview(packed)[1 + FINGERPRINT_BYTES :]), fingerprint
    except (msgspec.DecodeError, ValueError, TypeError) as problem:
        msg = f"group state: expected {len(packed)} bytes of msgpack, got {problem}; {REMEDY}"
        raise StateError(msg) from problem
