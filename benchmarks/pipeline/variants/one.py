"""The group step a reading at a time, as the rivals call it; state is theirs to keep.

None of them could keep it in its own store: some 160 KB a group would be written a reading. So each
has it in memory, which favours them. Dictionaries are left out, which favours them too.
"""

import numpy as np

from benchmarks.pipeline.variants.begun import names
from flows.wire import encode_codes
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, GroupState

__all__ = ["step"]

CODER = GroupCoder()
NAMES: dict[int, tuple[str, ...]] = {}


def step(
    state: GroupState, group: str, place: tuple[int, int], reading: tuple[float, list[float]]
) -> tuple[GroupState, list[bytes]]:
    """Code one reading.

    Parameters
    ----------
    state : GroupState
    group : str
    place : (int, int)
        Partition and offset.
    reading : (float, list of float)
        When it was, and the values.

    Returns
    -------
    state : GroupState
    messages : list of bytes
        One code, as a rule.
    """
    (partition, offset), (time, values) = place, reading
    channels = NAMES.get(len(values)) or NAMES.setdefault(len(values), names(len(values)))
    block = Block(channels, True, np.array([values]), np.array([time]), np.array([offset]))  # noqa: FBT003
    state, outputs = CODER.step(state, block)
    messages: list[bytes] = []
    for output in outputs:
        if isinstance(output, Codes):
            messages += encode_codes(group, partition, output, "reading")
    return state, messages
