"""Groups that have been learned from for long: what a pipeline's life consists of."""

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


def warm(fleet: Fleet, folder: Path) -> str:
    """Learn each kind's dictionary, and return the file with the states."""
    channels = names(fleet.channels)
    settings = Settings.model_validate({"channels": {"names": channels}})
    packed = [
        pack(_learned(rows, channels), settings.fingerprint(""))
        for rows in fleet.rows_before(WARM * fleet.channels)
    ]
    path = folder / f"states-{fleet.channels}"
    path.write_bytes(msgspec.msgpack.encode(packed))
    return str(path)


def _learned(rows: Array, channels: tuple[str, ...]) -> GroupState:
    coder, state = GroupCoder(), GroupCoder().start()
    for first in range(0, len(rows), BLOCK):
        offsets = np.arange(first, min(first + BLOCK, len(rows)))
        values = rows[offsets]
        times = offsets.astype(np.float64)
        block = Block(channels, True, values, times, offsets)  # noqa: FBT003
        state, _ = coder.step(state, block)
    return state
