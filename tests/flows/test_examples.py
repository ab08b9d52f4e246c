import pytest
from cyclopts import App

from flows.cli import app
from flows.tools.examples import examples_of

SHOWN = 100  # columns that a line of an example may take beside its indent


def commands(parent: App, *names: str) -> dict[tuple[str, ...], App]:
    """All commands that do something, by their words."""
    found = {}
    for name in parent:
        if name.startswith("-"):
            continue
        child, words = parent[name], (*names, name)
        if child.default_command is not None:
            found[words] = child
        found |= commands(child, *words)
    return found


COMMANDS = commands(app)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_ends_with_examples(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    app([*words, "--help"], result_action="return_value")

    _, _, examples = capsys.readouterr().out.partition("\nExamples\n")

    given = examples_of(COMMANDS[words].default_command)
    assert [line.removeprefix("  ").rstrip() for line in examples.splitlines()] == given
    assert any(line.startswith(f"$ oodl {' '.join(words)}") for line in given)
    assert max(map(len, given)) <= SHOWN


def test_help_of_what_has_no_examples_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    app(["--help"], result_action="return_value")
    assert "Examples" not in capsys.readouterr().out


def test_the_list_of_commands_says_what_each_does(capsys: pytest.CaptureFixture[str]) -> None:
    app(["--help"], result_action="return_value")

    lines = capsys.readouterr().out.splitlines()

    for name in (name for name in app if not name.startswith("-")):
        [told] = [line.strip("│ ").split(maxsplit=1) for line in lines if f"│ {name} " in line]
        assert len(told) == 2


def test_the_help_of_a_command_is_its_docstring_and_not_the_line_of_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app(["run", "--help"], result_action="return_value")

    assert "Reads the topic of readings; writes codes" in capsys.readouterr().out
