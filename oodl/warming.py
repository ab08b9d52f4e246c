"""Have everything compiled before it is needed, or loaded where it was kept.

A group's first readings would wait for it: five seconds on a machine with nothing else to do, and
twenty where three processes start at once, longer than a flow may stand still.
"""

from pathlib import Path

import numpy as np

from oodl.activity import Activity
from oodl.coding import Tolerance, Version
from oodl.drift import FEWEST, SETTLING, Watch
from oodl.encoding import Encoder, left_by_atoms
from oodl.imputing import filled
from oodl.loops import forget_compiled, thresholded, turned
from oodl.oracle import WarmStart
from oodl.outliers import Guard
from oodl.recent import Recent
from oodl.scaling import Scaling, clipped

__all__ = ["warm"]


def warm() -> list[Path]:
    """Call each compiled loop once; where what was kept is damaged, it is compiled anew.

    Returns
    -------
    list of Path
        The folders in which something was damaged, by a full disk or a loss of power.

    Examples
    --------
    >>> warm()
    []
    """
    try:
        _call_each()
    except Exception:  # noqa: BLE001  (bytes that are no pickle end in any; what lasts is raised)
        folders = forget_compiled()
        _call_each()
        return folders
    return []


def _call_each() -> None:
    """Call them with arrays of the kinds that a group's step has."""
    eye, ones = np.eye(2, dtype=np.float32), np.ones((2, 2), np.float32)
    version = Version(1, ("a", "b"), 1, np.zeros(2), np.ones(2), eye, 1, 0.1)
    Encoder(version, Tolerance())(np.ones((2, 2)), np.arange(2), np.zeros(2))
    filled(ones.copy(), eye == 0, eye, 1)
    Scaling.start(2).learn(clipped(turned(ones, *np.ones((4, 2)))))
    Recent.start(2).update(left_by_atoms(ones, eye))
    Guard.start(2, dtype=np.float32).admit(ones)
    WarmStart()(eye)
    _, _, sums = thresholded(ones, ones[0], ones[0])
    watch = Watch.start(2)
    for _ in range(SETTLING + 2):
        watch = watch.update(sums[1], sums[0], FEWEST)
    Activity.start(2, power=1.0, dtype=np.float32).update(sums, 2, 0.1)
