"""What is compiled, and what is kept of it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oodl.coding import Tolerance
from oodl.encoding import encode
from tests.checks.encoding import version

CODE = """
import numpy as np
from oodl.coding import Tolerance
from oodl.encoding import encode
from tests.checks.encoding import version
(codes,) = encode(version(2), Tolerance(), np.full((1, 2), 10.0), np.arange(1), np.zeros(1))
print(codes.errors)
"""

SMALL = """
from oodl.loops import compiled
@compiled
def twice(number: float) -> float:
    return 2 * number
"""
WARM = """
from oodl import warming
from small import twice
warming._call_each = lambda: twice(1.5)
print(list(map(str, warming.warm())))
"""
HERE = os.pathsep.join(sys.path)


def run(code: str = CODE, **environment: str) -> str:
    """Code a row, or do something else, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": HERE, **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_where_nothing_can_be_kept_rows_are_coded_all_the_same() -> None:
    """Numba finds no folder to write to when it looks for zip files only."""
    assert run(NUMBA_CACHE_LOCATOR_CLASSES="ZipCacheLocator") == "[0.]\n"


def test_what_was_compiled_is_kept_in_the_folder_that_is_named(tmp_path: Path) -> None:
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == "[0.]\n"
    assert list(tmp_path.rglob("loops.code_rows-*.nbc"))


@pytest.mark.parametrize("kept", ["nbi", "nbc"])
def test_what_was_kept_and_is_damaged_is_compiled_anew(kept: str, tmp_path: Path) -> None:
    # given a loop that was compiled, and a file of it that ends in the middle
    (tmp_path / "small.py").write_text(SMALL)
    kept_in = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": f"{tmp_path}{os.pathsep}{HERE}"}
    assert run(WARM, **kept_in) == "[]\n"
    [file] = tmp_path.rglob(f"small.twice-*.{kept}")
    half = file.stat().st_size // 2
    os.truncate(file, half)
    # when it is called before the first reading, then it is compiled once more, and kept
    assert run(WARM, **kept_in) == f"{[str(file.parent)]}\n"
    assert file.stat().st_size > half
    assert run(WARM, **kept_in) == "[]\n"


@pytest.mark.parametrize("n", [1, 2, 3, 8, 65])
def test_of_equal_coefficients_each_is_taken_once(n: int) -> None:
    chosen = replace(version(n), dictionary=np.eye(n, dtype=np.float32))
    readings = np.array([[11.0] * n, [9.0] * n])
    (codes,) = encode(chosen, Tolerance(0.01), readings, np.arange(2), np.zeros(2))
    assert [sorted(atoms) for _, _, atoms, *_ in codes.rows()] == [list(range(n))] * 2
    assert codes.values.tolist() == [0.5] * n + [-0.5] * n
