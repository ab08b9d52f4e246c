"""Where a group's state begins: learned before, or new."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from flows.state import unpack
from oodl.stream import GroupCoder, GroupState

__all__ = ["begin_with", "names", "packed_states"]


def packed_states(path: str) -> Callable[[str], bytes | None]:
    """Return what tells a group's packed state by its name; None: it is new."""
    if not path:
        return lambda _: None
    packed = msgspec.msgpack.decode(Path(path).read_bytes(), type=list[bytes])
    return lambda group: packed[int(group.rpartition("-")[2]) % len(packed)]


def begin_with(path: str) -> Callable[[str], GroupState]:
    """Return what tells a group's first state by its name."""
    packed = packed_states(path)

    def begin(group: str) -> GroupState:
        found = packed(group)
        return GroupCoder().start() if found is None else unpack(found)[0]

    return begin


def names(channels: int) -> tuple[str, ...]:
    """Return the names that the channels of a list have."""
    return tuple(str(number) for number in range(channels))
