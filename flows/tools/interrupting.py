"""Ctrl-C and SIGTERM as a flag, for commands that end what they have begun."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from flows.kafka import StopFlag

__all__ = ["STOPPED", "interruptible"]

STOPPED = 130  # the exit code of what Ctrl-C ended


@contextmanager
def interruptible() -> Iterator[StopFlag]:
    """Let Ctrl-C and SIGTERM set a flag; afterwards they are as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = StopFlag().install()
    stop.defer()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
