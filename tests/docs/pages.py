"""The pages for readers: README.md and what is in docs/, and the code blocks in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGES", "ROOT", "Block", "blocks", "commands"]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HEREDOC = re.compile(r"<<-?'?(\w+)'?")
COMMENT = re.compile(r"(^|\s+)#\s.*")
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code: where it is, and what stands in it."""

    page: str
    line: int
    text: str

    def __repr__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> Iterator[Block]:
    """Give each block of a language, in the order of the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            if found[2] == language:
                line = text.count("\n", 0, found.start()) + 1
                yield Block(str(page.relative_to(ROOT)), line, found[3])


def commands(text: str) -> list[str]:
    """Return the commands of a block of shell, without comments.

    Examples
    --------
    What goes over several lines is one command.

    >>> commands("make  # what there is\\n\\ncat <<X\\n# text\\nX\\na \\\\\\n  b\\n# nothing\\n")
    ['make', 'cat <<X\\n# text\\nX', 'a \\\\\\n  b']
    """
    found: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        command = COMMENT.sub("", line).rstrip()
        if not command:
            continue
        if end := HEREDOC.search(command):
            command = "\n".join([command, *_until(lines, end[1])])
        while command.endswith("\\"):
            command += "\n" + COMMENT.sub("", next(lines)).rstrip()
        found.append(command)
    return found


def _until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        yield line
        if line == end:
            return
