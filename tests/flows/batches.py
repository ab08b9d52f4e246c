"""Batches of codes, small enough to count by hand."""

import numpy as np

from oodl.coding import Codes, Tolerance, Version
from oodl.encoding import encode


def coded(number: int, *, missing: bool = True) -> Codes:
    """Three readings of two channels, the last value missing."""
    dictionary = np.array([[0.6, -0.8], [0.8, 0.6]], dtype=np.float32)
    version = Version(
        number, ("a", "b"), 1, np.zeros(2), np.ones(2), dictionary, 1, 0.5, restart=False
    )
    values = np.array([[3.0, 4.0], [1.0, 1.0], [2.0, np.nan if missing else 2.0]])
    (codes,) = encode(version, Tolerance(0.1), values, np.arange(3), np.arange(3.0))
    return codes
