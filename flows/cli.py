"""The command line: one entry a command, each loaded only when it is called."""

import sys
from typing import NoReturn

from cyclopts import Parameter
from rich.console import Console

from flows.tools.examples import ExemplaryApp
from oodl import __version__
from oodl.errors import OodlError

__all__ = ["app", "main"]

app = ExemplaryApp(
    name="oodl",
    help="Tells you when sensors stop moving together, on your Kafka, with no training.",
    version=__version__,
    help_format="markdown",
    default_parameter=Parameter(negative=()),
)
for command, place in {
    "demo": "demo:demo",
    "try": "try_file:try_file",
    "run": "run:run",
    "decode": "decode:decode",
    "inspect": "inspect:inspect",
    "check": "check:check",
    "topics": "topics:topics",
    "rebalance": "rebalance:rebalance",
    "repartition": "repartition:repartition",
    "dead-letters": "dead_letters:app",
    "simulate": "simulate:simulate",
    "sense": "sense:sense",
    "replay": "replay:replay",
}.items():
    app.command(f"flows.tools.{place}", name=command)


def main() -> None:
    """Run a command; a problem that has a name or a path is told in one line and ends with 1."""
    try:
        app()
    except OodlError as problem:
        _end(str(problem))
    except OSError as problem:
        if problem.filename is None:
            raise
        _end(f"{problem.filename}: {problem.strerror}; name another path, or mend that one")


def _end(told: str) -> NoReturn:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(f"oodl: {told}")
    sys.exit(1)
