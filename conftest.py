"""Examples in the documents are tests: Python blocks run, console blocks print what they say."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parent
SECONDS = 120

# What tests start hears Ctrl-C also where a shell began all this in its background: there SIGINT is
# ignored from the start, and whoever ignores it bequeaths that.
signal.signal(signal.SIGINT, signal.default_int_handler)


class ConsoleParser(CodeBlockParser):
    """Runs the ``$ oodl ...`` lines of console blocks in a folder of the document's own.

    What follows a command is what it prints; a line ``...`` stands for any lines, and empty
    lines and spaces at the end of a line do not matter.
    """

    language = "console"

    def evaluate(self, example: Example) -> str | None:
        """Return what differs, None when nothing does."""
        folder: Path = example.namespace["folder"]
        for told in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
            command, _, expected = told.partition("\n")
            printed = _run(command, folder)
            if not re.fullmatch(_pattern(expected), _trimmed(printed)):
                return f"{command}\nexpected:\n{expected}\nprinted:\n{printed}"
        return None


def _run(command: str, folder: Path) -> str:
    name, *arguments = shlex.split(command)
    ended = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return ended.stdout + (
        f"{ended.stderr}\nended with {ended.returncode}" * bool(ended.returncode)
    )


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def _pattern(expected: str) -> str:
    parts = re.split(r"^\.\.\.$", _trimmed(expected), flags=re.MULTILINE)
    return "(?s)" + ".*".join(map(re.escape, parts))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documents' files are to be found, and new ones may be made."""
    made = tmp_path_factory.mktemp("documents")
    (made / "docs").symlink_to(ROOT / "docs")
    return made


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), ConsoleParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    fixtures=["folder"],
).pytest()
