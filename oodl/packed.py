"""Numbers that came as bytes: one reading, or several of the same channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Kind", "Packed"]

Kind = Literal["<f4", "<f8"]


@dataclass(slots=True)
class Packed:
    """Readings as little-endian floats, one after another; NaN and infinite ones are missing.

    Not frozen: one is made for every reading, and that would take three times as long.

    Parameters
    ----------
    data : bytes
    kind : {"<f4", "<f8"}
        What stands there for a number.
    count : int
        How many readings, at least 1; `data` divides by it.
    names : tuple of str
        The channels, one a number of a reading; () where they have none.

    Examples
    --------
    >>> two = Packed(np.array([1, 2, 3, 4], "<f4").tobytes(), "<f4", count=2)
    >>> two.width, two.rows()
    (2, [[1.0, 2.0], [3.0, 4.0]])
    """

    data: bytes
    kind: Kind = "<f8"
    count: int = 1
    names: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers a reading has."""
        return len(self.data) // (4 if self.kind == "<f4" else 8) // self.count

    def __len__(self) -> int:
        return self.width

    def array(self) -> npt.NDArray[np.floating]:
        """Return the numbers, a row a reading."""
        return np.frombuffer(self.data, dtype=self.kind).reshape(self.count, -1)

    def rows(self) -> list[list[float]]:
        """Return the numbers as lists, one a reading."""
        rows: list[list[float]] = self.array().tolist()
        return rows

    def laid(self, places: Sequence[int | None]) -> bytes:
        """Return the bytes of other rows, whose numbers come from these places; None: NaN."""
        array = self.array()
        rows = np.full((self.count, len(places)), np.nan, dtype=self.kind)
        for column, place in enumerate(places):
            if place is not None:
                rows[:, column] = array[:, place]
        return rows.tobytes()

    def after(self, count: int) -> "Packed":
        """Return the readings that come after so many."""
        size = len(self.data) // self.count
        return Packed(self.data[count * size :], self.kind, self.count - count, self.names)
