import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PUMPS = Path(__file__).parents[2] / "docs" / "examples" / "pumps.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tried")


def told(*words: str | Path, cwd: Path, terminal: bool) -> tuple[str, str]:
    """Standard output of a command, and what it writes to the error output."""
    command = [sys.executable, "-m", "flows", *map(str, words)]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "FORCE_COLOR": "1", "TERM": "xterm"}
    reads, writes = pty.openpty() if terminal else os.pipe()
    with (cwd / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=writes)
        os.close(writes)
        written = b"".join(iter(lambda: _read(reads), b""))
        os.close(reads)
        assert process.wait(60) == 0, written.decode()
        output.seek(0)
        return output.read(), written.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how the end of a terminal shows
        return b""


TRY = ("try", PUMPS, "--group-column", "pump", "--out", ".")


@pytest.fixture(scope="module")
def tried(folder: Path) -> tuple[str, str]:
    return told(*TRY, cwd=folder, terminal=True)


def test_a_bar_is_shown_on_a_terminal_and_in_no_pipe(tried: tuple[str, str], folder: Path) -> None:
    shown, bar = tried
    piped, nothing = told(*TRY, cwd=folder, terminal=False)

    assert "of 800 rows" in bar
    assert nothing == ""
    assert shown == piped


@pytest.mark.usefixtures("tried")
def test_decoding_shows_a_bar_only_where_no_rows_are(folder: Path) -> None:
    files = ("--codes", folder / "codes.jsonl", "--dictionaries", folder / "dictionaries.jsonl")

    rows, bar = told("decode", *files, cwd=folder, terminal=True)
    _, nothing = told("decode", *files, cwd=folder, terminal=False)

    size = (folder / "codes.jsonl").stat().st_size
    assert f"{size:,} of {size:,} bytes" in bar
    assert rows.startswith("group,time,partition,offset,")
    assert "bytes" not in nothing
