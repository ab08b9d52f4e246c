"""How often the interpreter looks for garbage in cycles while a flow runs: seldom.

What a message leads to is let go of as soon as nothing refers to it, without a search. A search
looks through all that lives, mostly what was loaded at the start: 150,000 objects, 80 ms each time
on a busy machine, while nothing is coded.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["YOUNG", "seldom_searched"]

YOUNG = 20_000  # objects between two searches, more than a turn's messages; 700 is usual


@contextmanager
def seldom_searched() -> Iterator[None]:
    """Leave out of all searches what is there by now, and search the rest less often.

    Examples
    --------
    >>> with seldom_searched():
    ...     gc.get_freeze_count() > 1000, gc.get_threshold()[0]
    (True, 20000)
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
