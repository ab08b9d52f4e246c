"""No command of the pages is left out: each is run, or the table says why it is not."""

import re
import subprocess
from fnmatch import fnmatchcase

import pytest

from flows.cli import app
from tests.docs.pages import PAGES, ROOT, blocks, commands
from tests.docs.ways import ELSEWHERE, IN_CI, NOT_RUN

FOUND = [command for block in blocks("sh") for command in commands(block.text)]
INLINE = re.compile(r"`((?:oodl|make) [^`\n]+)`")
BESIDE = re.compile(r" -C \S+| && .*")
LONG = re.compile(r"(?<!\S)--[a-z][a-z-]+")


@pytest.mark.parametrize("like", [*IN_CI, *ELSEWHERE, *NOT_RUN])
def test_each_line_of_the_table_is_of_a_command_that_a_page_has(like: str) -> None:
    assert any(fnmatchcase(command.partition("\n")[0], like) for command in FOUND)


def test_no_command_is_in_two_parts_of_the_table() -> None:
    for command in FOUND:
        first = command.partition("\n")[0]
        ways = [like for like in (*IN_CI, *ELSEWHERE, *NOT_RUN) if fnmatchcase(first, like)]
        assert len(ways) <= 1, (first, ways)


@pytest.mark.parametrize("command", IN_CI)
def test_what_is_said_to_be_a_step_of_ci_is_one(command: str) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(rf"^(step \w+|    ) ?{re.escape(command)}\b", script, re.MULTILINE)


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_a_test_that_is_named_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_a_shell_s_language_is_one_that_is_looked_at() -> None:
    for other in ("bash", "shell", "zsh", "shell-session"):
        assert list(blocks(other)) == []


def test_make_alone_says_what_there_is() -> None:
    told = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"setup", "test", "docs", "demo"} <= {
        line.split()[0] for line in told.stdout.splitlines()
    }


def test_a_command_within_a_sentence_is_one_that_there_is() -> None:
    targets = set(re.findall(r"^([\w.%/-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for said in INLINE.findall(page.read_text(encoding="utf-8")):
            program, first, *rest = BESIDE.sub("", said).split()
            where = f"{page.name}: {said}"
            if program == "make":
                names = [word for word in (first, *rest) if "=" not in word and word[0] != "-"]
                assert set(names) <= targets, where
                continue
            if first.startswith("-"):
                continue
            assert first in app, where
            options = set(LONG.findall(said))
            assert options <= _options(first, rest), where


def _options(command: str, rest: list[str]) -> set[str]:
    """The options of a command, or of the one below it that is named."""
    found = app[command]
    if rest and not rest[0].startswith("-") and rest[0] in found:
        found = found[rest[0]]
    always = {"--help", "--version"}
    if found.default_command is None:  # it has commands below it, and nothing of its own
        return always
    return always | {name for each in found.assemble_argument_collection() for name in each.names}
