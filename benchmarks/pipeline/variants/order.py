"""What a script is told, and what it tells: with numpy and msgspec alone, for rivals' environments.

The clock is that of the whole process: the threads of librdkafka and of the engine count.
"""

import sys
import time
from typing import Literal

import msgspec

__all__ = ["Order", "Spent", "Stopwatch", "canned", "order"]

PAD = "x" * 250  # with the position as long as a code of 64 channels and density .1


class Order(msgspec.Struct, kw_only=True):
    """What to do.

    Parameters
    ----------
    bootstrap : str
    name : str
        A consumer group that nobody else has, and the beginning of what else has to be new.
    topics : dict of str to str
        By their role.
    count : int
        Readings in the topic.
    folder : str
        For what has to be written down.
    channels : int
        Of a reading.
    states : str
        File of what the groups have learned before; "": they are new.
    step : bool
        Whether to code; else each reading gives a message as long as a code.
    layout : str
        Of the codes, for ours.
    recovery : bool
        Whether to take snapshots, for ours.
    epoch_seconds : float
        Between two snapshots.
    metrics_port : int
        Of ours; 0: any.
    processes : int
        How many share the work.
    process : int
        Which of them this is.
    addresses : tuple of str
        Of a cluster's processes; none: they are independent of each other.
    """

    bootstrap: str
    name: str
    topics: dict[str, str]
    count: int
    folder: str
    channels: int = 64
    states: str = ""
    step: bool = True
    layout: Literal["reading", "block"] = "reading"
    recovery: bool = True
    epoch_seconds: float = 1.0
    metrics_port: int = 0
    processes: int = 1
    process: int = 0
    addresses: tuple[str, ...] = ()


class Spent(msgspec.Struct):
    """CPU seconds since reading began, and seconds on the wall since the first reading came."""

    cpu: float
    wall: float


class Stopwatch:
    """Measures a script from the moment on at which it is made: all imports are done then."""

    def __init__(self) -> None:
        self._cpu, self._first = time.process_time(), 0.0

    def first(self) -> None:
        """Note that a reading has come; only the first time counts."""
        self._first = self._first or time.perf_counter()

    def stop(self) -> None:
        """Print what was spent."""
        wall = time.perf_counter() - self._first
        print(msgspec.json.encode(Spent(time.process_time() - self._cpu, wall)).decode())


def order() -> Order:
    """Return what this process was told."""
    return msgspec.json.decode(sys.argv[1], type=Order)


def canned(partition: int, offset: int) -> bytes:
    """Return a message with the position and the length of a code, made at no cost to speak of."""
    return b'{"partition":%d,"offset":%d,"pad":"%s"}' % (partition, offset, _PAD)


_PAD = PAD.encode()
