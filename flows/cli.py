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
for command, place, told in (
    ("demo", "demo:demo", "Show the whole pipeline at work in one process, without Kafka."),
    ("try", "try_file:try_file", "Try a CSV file of sensor readings, without Kafka."),
    ("run", "run:run", "Code readings from Kafka."),
    ("decode", "decode:decode", "Rebuild readings from codes, as a CSV file."),
    ("inspect", "inspect:inspect", "Show what each group does now, and what it has learned."),
    ("check", "check:check", "See whether the pipeline would run here as it is set up."),
    ("topics", "topics:topics", "Create the topics, or compare them with what is needed."),
    ("rebalance", "rebalance:rebalance", "Share out the work anew for another number of workers."),
    ("repartition", "repartition:repartition", "Bring the messages of a group to one partition."),
    ("dead-letters", "dead_letters:app", "List, explain and send again what could not be read."),
    ("simulate", "simulate:simulate", "Send readings of a simulated fleet to Kafka."),
    ("sense", "sense:sense", "Send this host's own figures to Kafka."),
    ("replay", "replay:replay", "Send a file, or what a topic holds, to the readings topic."),
):
    app.command(f"flows.tools.{place}", name=command, help=told)


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
