"""Standard output for rows and objects, which another program may read, or stop reading."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["standard_output"]


@contextmanager
def standard_output() -> Iterator[IO[str]]:
    """Whoever reads standard output may stop reading."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
