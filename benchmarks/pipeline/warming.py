"""Groups that have been learned from for long: what a pipeline's life consists of."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.pipeline.traffic import Fleet
from benchmarks.pipeline.variants.begun import names
from flows.settings import Settings
from flows.state import pack
from oodl.stream import Block, GroupCoder, GroupState

__all__ = ["WARM", "warm"]

WARM = 110  # rows by channel: after 100 the planted dictionary is found
BLOCK = 256
Array = npt.NDArray[np.float64]


def warm(fleet: Fleet, folder: Path, *, rows: int = 0, phases: int = 1) -> str:
    """Learn each kind's dictionary, unless that was done; return the file with the states.

    Parameters
    ----------
    fleet : Fleet
    folder : Path
    rows : int
        From how many at least, where `WARM` by channel are fewer.
    phases : int
        States of a kind: so many parts of a chunk apart, since a plant's groups do not learn all
        at once.
    """
    channels = names(fleet.channels)
    fingerprint = Settings.model_validate({"channels": {"names": channels}}).fingerprint("")
    base = max(WARM * fleet.channels, rows)
    path = folder / f"states-{fleet.channels}-{fleet.kinds}-{fleet.seed}-{base}-{phases}"
    if path.exists():
        return str(path)
    kinds = [
        [pack(state, fingerprint) for state in _learned(given, channels, base, phases)]
        for given in fleet.rows_before(base + phases * BLOCK)
    ]
    packed = [state for phase in zip(*kinds, strict=True) for state in phase]
    path.write_bytes(msgspec.msgpack.encode(packed))
    return str(path)


def _learned(
    rows: Array, channels: tuple[str, ...], base: int, phases: int
) -> Iterator[GroupState]:
    """Yield the state after `base` rows, and where the chunk that follows has parts of it more."""
    state, done, until = GroupCoder().start(), 0, base
    for _ in range(phases):
        for first in range(done, until, BLOCK):
            state = _taken(state, rows, channels, range(first, min(first + BLOCK, until)))
        yield state
        chunk = state.learned.chunk if state.learned else BLOCK
        done, until = until, until + max(1, chunk // phases)


def _taken(state: GroupState, rows: Array, channels: tuple[str, ...], part: range) -> GroupState:
    offsets = np.arange(part.start, part.stop)
    block = Block(channels, True, rows[offsets], offsets.astype(np.float64), offsets)  # noqa: FBT003
    return GroupCoder().step(state, block)[0]
