"""What a result is recorded with: on what it was measured, when, at which commit, and its bars."""

import json
import math
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RESULTS", "Bar", "cpu_seconds", "record", "rounded", "save", "tell", "worst"]

Array = npt.NDArray[np.floating]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LIBRARIES = ("numpy", "scikit-learn", "spams-bin")
DIGITS = 3  # significant, of what is recorded


@dataclass(frozen=True, slots=True)
class Bar:
    """What is expected of a figure: at most `bar`.

    Parameters
    ----------
    name : str
    measured : float or None
        None where it was not measured.
    bar : float

    Examples
    --------
    What was not measured does not hold, nor does what is not a number.

    >>> [Bar("error", x, 0.1).holds for x in (0.1, 0.2, None, math.nan)]
    [True, False, False, False]
    """

    name: str
    measured: float | None
    bar: float

    @property
    def holds(self) -> bool:
        """Whether it was measured, and is at most the bar."""
        return self.measured is not None and self.measured <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return name, measured, bar and holds."""
        measured = None if self.measured is None else rounded(self.measured)
        return {"name": self.name, "measured": measured, "bar": self.bar, "holds": self.holds}


def record(question: str, bars: Sequence[Bar], began: float, **results: object) -> dict[str, Any]:
    """Return a record; `began` is the `time.monotonic` of the start."""
    return {
        "question": question,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": {"python": platform.python_version()} | _versions(),
        "commit": COMMIT,
        "seconds": round(time.monotonic() - began, 1),
        "bars": [bar.as_json() for bar in bars],
    } | results


def save(name: str, result: dict[str, Any]) -> Path:
    """Write a record beside the others and return its path."""
    path = RESULTS / f"{name}.json"
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def tell(bars: Sequence[Bar]) -> None:
    """Print which bars hold."""
    for bar in bars:
        measured = "not measured" if bar.measured is None else f"{bar.measured:.3g}"
        print(f"{'holds' if bar.holds else 'FAILS'}  {measured:>12} <= {bar.bar:<8g} {bar.name}")


def machine() -> str:
    """Return the processor, and how many of them."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.machine()


def commit() -> str:
    """Return the commit, with a + where files differ from it; "unknown" outside a repository."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of a call: other programs on the machine do not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def rounded(value: float) -> float:
    """Return three significant digits.

    Examples
    --------
    >>> rounded(0.00012345), rounded(1234.5)
    (0.000123, 1230.0)
    """
    return float(f"{value:.{DIGITS}g}")


def worst(values: Sequence[float]) -> float:
    """Return the largest; NaN where one is not a number, so that no bar holds.

    Examples
    --------
    >>> worst([1.0, 3.0]), worst([1.0, math.nan, 3.0])
    (3.0, nan)
    """
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def _versions() -> dict[str, str]:
    installed = {}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed[name] = "absent"
    return installed


COMMIT = commit()  # of the code that was loaded, not of what is there when it ends
