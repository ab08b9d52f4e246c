"""Records that are packed in pages: what has not changed since the last time is not packed again.

A snapshot has to be whole each time, whatever little has changed. Here its cost is that of the
pages that have, and of putting the rest beside them as it is.
"""

import zlib
from collections.abc import Iterator, Sequence

import msgspec

__all__ = ["PAGE", "Pages"]

PAGE = 256  # records that are packed together: 79 pages for 20,000


class Pages:
    """Records, each in a place of its own; a place that is left is taken again.

    Parameters
    ----------
    packed : sequence of bytes
        What `pack` returned.

    Raises
    ------
    ValueError
        If that was damaged.

    Examples
    --------
    >>> pages = Pages()
    >>> place = pages.take()
    >>> pages[place] = b"press-7"
    >>> list(Pages(pages.pack()).items())
    [(0, b'press-7')]
    """

    def __init__(self, packed: Sequence[bytes] = ()) -> None:
        self._packed = list(packed)
        self._records: list[bytes] = []
        self._stale: set[int] = set()
        try:
            for page in packed:
                self._records += msgspec.msgpack.decode(zlib.decompress(page), type=list[bytes])
        except zlib.error as problem:
            raise ValueError(str(problem)) from problem
        self._free = [place for place, record in enumerate(self._records) if not record]

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, place: int) -> bytes:
        return self._records[place]

    def __setitem__(self, place: int, record: bytes) -> None:
        if record != self._records[place]:
            self._records[place] = record
            self._stale.add(place // PAGE)

    @property
    def changed(self) -> bool:
        """Whether some records are others than when they were packed last."""
        return bool(self._stale)

    def items(self) -> Iterator[tuple[int, bytes]]:
        """Yield the places that are taken, and what is there."""
        return ((place, record) for place, record in enumerate(self._records) if record)

    def take(self) -> int:
        """Take a place; it counts as taken once something is written there."""
        if self._free:
            return self._free.pop()
        self._records.append(b"")
        if len(self._records) > PAGE * len(self._packed):
            self._packed.append(b"")
        return len(self._records) - 1

    def leave(self, place: int) -> None:
        """Let a place be taken again."""
        self[place] = b""
        self._free.append(place)

    def pack(self) -> list[bytes]:
        """Return all records; only pages with one that has changed are packed anew."""
        for number in self._stale:
            records = self._records[number * PAGE : (number + 1) * PAGE]
            self._packed[number] = zlib.compress(msgspec.msgpack.encode(records), level=1)
        self._stale.clear()
        return self._packed
