"""What the steps of the flow hand each other."""

import msgspec

from flows.kafka import Output
from flows.wire import Rejected
from oodl.block import ALONE
from oodl.stream import Block, Published

__all__ = ["ALONE", "Arrived", "Encoded", "Expiry", "GroupBlock", "Outgoing"]


class GroupBlock(msgspec.Struct):
    """Rows of a group, and where and when they came.

    Parameters
    ----------
    group : str
    partition : int
    block : Block
    stamps : list of float
        The messages' own times in seconds, one a row, negative where there is none.
    rows : list of int
        Which reading of its message each row is, -1 where that has no other; empty where none has.
    """

    group: str
    partition: int
    block: Block
    stamps: list[float]
    rows: list[int] = []


class Expiry(msgspec.Struct):
    """A group has been silent for too long: what was learned of it is to be forgotten.

    Parameters
    ----------
    group : str
    partition, offset : int
        Position of the reading, of another group, that tells so.
    stamp : float
        That message's own time in seconds, negative where there is none.
    """

    group: str
    partition: int
    offset: int
    stamp: float


class Encoded(msgspec.Struct):
    """What a block has led to, ready to be written.

    Parameters
    ----------
    group : str
    partition : int
    published : list of Published
        To be confirmed before the codes are sent.
    codes : list of Output
        In the order of the rows.
    """

    group: str
    partition: int
    published: list[Published]
    codes: list[Output]


Arrived = tuple[str, GroupBlock | Expiry | Rejected]  # with the key that leads it through the flow
Outgoing = tuple[str, Encoded | Rejected]
