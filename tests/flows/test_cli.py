import subprocess
import sys
from pathlib import Path

import pytest

PUMPS = Path(__file__).parents[2] / "docs" / "examples" / "pumps.csv"


def told(*words: str | Path) -> list[str]:
    """What a command that fails tells."""
    command = [sys.executable, "-m", "flows", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    return ended.stderr.splitlines()


def test_a_folder_that_is_a_file_is_told_in_one_line(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    assert told("try", PUMPS, "--out", taken) == [
        f"oodl: {taken}: File exists; name another path, or mend that one"
    ]


def test_a_file_whose_folder_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    codes, dictionaries = tmp_path / "codes.jsonl", tmp_path / "dictionaries.jsonl"
    codes.touch()
    dictionaries.touch()
    out = tmp_path / "nowhere" / "x.csv"
    assert told("decode", "--codes", codes, "--dictionaries", dictionaries, "--out", out) == [
        f"oodl: {out}.part: No such file or directory; name another path, or mend that one"
    ]


def test_a_problem_with_a_name_is_told_in_one_line() -> None:
    (line,) = told("decode")
    assert line.startswith("oodl: decode: expected --codes and --dictionaries, or --follow")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-i", "0"], "oodl run: expected --process-id with --addresses, got --process-id alone"),
        (["-a", "a:1;b:1"], "oodl run: expected --process-id with --addresses, got --addresses"),
        (["-i", "2", "-a", "a:1;b:1"], "--process-id: expected 0 to 1 with 2 addresses, got 2"),
        (["-i", "-1", "-a", "a:1;b:1"], "--process-id: expected 0 to 1 with 2 addresses, got -1"),
        (["-i", "0", "-a", "a:1;a:1"], "--addresses: expected a different host:port a process"),
        (["-i", "0", "-a", "a;b:1"], "--addresses: expected a different host:port a process"),
        (["--processes", "0"], "--processes: expected at least 1, got 0"),
        (["--processes", "2", "-i", "0", "-a", "a:1;b:1"], "oodl run: expected --processes or"),
    ],
)
def test_a_place_that_no_cluster_has_is_told_in_one_line(words: list[str], expected: str) -> None:
    (line,) = told("run", *words)
    assert line.startswith(f"oodl: {expected}")
