import subprocess
import sys
from pathlib import Path

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
