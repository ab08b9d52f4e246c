"""When a new version pays: when the bytes it would have saved exceed its own message.

Both dictionaries code the same frames, before the learner's has learned from them. The gains add up
from chunk to chunk; a dictionary that only fits the past earns nothing.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from oodl.coding import Rule

__all__ = ["Pricing", "atoms_within"]

Array = npt.NDArray[np.floating]

VALUE_BYTES = 6.3  # a rounded coefficient and its comma in JSON text, mean over the demo's fleet
NUMBER_BYTES = 20.0  # a float64 and its comma
HEAD_BYTES = 220.0  # names and small fields of a dictionary's message


@dataclass(frozen=True, slots=True)
class Pricing:
    """Bytes of an atom in a code, and of a dictionary's own message.

    Parameters
    ----------
    atom, dictionary : float

    Examples
    --------
    >>> price = Pricing.json(channels=("flow",) * 16, window=1)
    >>> round(price.dictionary / price.atom)  # atoms to save before a 16 x 16 dictionary pays
    269
    """

    atom: float
    dictionary: float

    @classmethod
    @lru_cache(maxsize=1024)  # asked for at every chunk, and as long as the names are to read
    def json(cls, channels: tuple[str, ...], window: int) -> "Pricing":
        """Prices in the JSON messages; both layouts spell an atom alike."""
        n = len(channels) * window
        index = float(np.mean([len(str(i)) + 1 for i in range(n)]))
        names = sum(len(name.encode()) + 3 for name in channels)
        matrix = 4 * n * n * 4 / 3
        head = HEAD_BYTES + names + 2 * NUMBER_BYTES * len(channels)
        return cls(index + VALUE_BYTES, head + matrix)


def atoms_within(left: Array, rule: Rule) -> int:
    """Atoms that all rows together need to stay within a rule's tolerance.

    Parameters
    ----------
    left : ndarray, shape (B, N + 1)
        Mean square left by 0..N atoms.
    rule : Rule
    """
    return int(np.count_nonzero(left > rule.tolerance**2))
