"""Examples of commands: a section of a command's docstring, shown at the end of its help.

What stands under Examples is told as it is written: sentences, and lines that begin with
``$ oodl``. A test runs each of these lines against Apache Kafka, one after the other.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cyclopts import App
from rich.console import Console
from rich.text import Text

__all__ = ["ExemplaryApp", "examples_of"]

PROMPT, INDENT = "$ ", "  "


class ExemplaryApp(App):
    """An application whose help ends with the examples of the command that is asked about."""

    def help_print(
        self, tokens: str | Iterable[str] | None = None, *, console: Console | None = None
    ) -> None:
        """Print the help of a command, then its examples."""
        _, apps, _ = self.parse_commands(tokens)
        if apps[-1].default_command:
            apps[-1].help = None  # what the list of commands has is short: its docstring says all
        super().help_print(tokens, console=console)
        section = examples_of(apps[-1].default_command)
        if section:
            shown = console or apps[-1].console
            shown.print(Text("Examples", style="bold"))
            shown.print(_told(section), soft_wrap=True)


def examples_of(command: Callable[..., Any] | None) -> list[str]:
    r"""Return the lines of a function's section Examples, [] where it has none.

    >>> def greet() -> None:
    ...     '''Greet.
    ...
    ...     Examples
    ...     --------
    ...     Once:
    ...
    ...     $ oodl greet
    ...     '''
    >>> examples_of(greet)
    ['Once:', '', '$ oodl greet']
    """
    lines = (inspect.getdoc(command) or "").splitlines() if command else []
    if "Examples" not in lines:
        return []
    return list(_until_next(lines[lines.index("Examples") + 2 :]))


def _until_next(lines: list[str]) -> Iterator[str]:
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and not below.strip("-"):  # the title of another section
            return
        yield line


def _told(section: list[str]) -> Text:
    """Commands are never wrapped: they are copied."""
    return Text("\n").join(
        Text(f"{INDENT}{line}", style="bold" if line.startswith(PROMPT) else "") for line in section
    )
