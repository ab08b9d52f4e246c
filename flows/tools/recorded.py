"""Messages that are to be sent once more, each with where and when it was."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

__all__ = ["REPLAYED", "Recorded", "Recording"]

REPLAYED = "oodl-replayed"
"""The header that tells a replayed message, and where it was."""

Headers = list[tuple[str, bytes]]


class Recorded(NamedTuple):
    """A message as it was.

    Parameters
    ----------
    time : float
        When it was, in seconds: by this messages are told apart by how long they lie apart.
    place : str
        Where it was, such as ``sensors.readings/3/4711`` or ``pumps.csv/17``.
    key, value : bytes or None
    headers : list of (str, bytes)
    partition : int or None
        Where it has to go; None: by its key.
    stamp : float or None
        Its own time in seconds; None: the moment at which it is sent.
    """

    time: float
    place: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None
    stamp: float | None = None


class Recording(Protocol):
    """What can be replayed."""

    def __len__(self) -> int:
        """Count the messages, as far as that is known before."""

    def __iter__(self) -> Iterator[Recorded]:
        """Yield the messages in their order."""
