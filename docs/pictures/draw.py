"""Draw the pictures of the commands anew: ``python -m docs.pictures.draw``, two minutes.

Each shows a real run. The demo is one; `oodl inspect` looks at a pipeline on Apache Kafka that a
simulated fleet feeds. At the end each channel of one machine moves by itself, as far as ever:
together they do what they never did.
"""

import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType

from flows.kafka import EmbeddedBroker, StopFlag, client_options
from flows.settings import Settings, TopicSettings, load
from flows.tools import demo
from flows.tools.feed import Values, ticks
from flows.tools.fleet import Fleet
from flows.tools.inspect import page_of
from flows.tools.inspect_group import page
from flows.tools.inspect_rows import ordered, rows_of
from flows.tools.inspect_sources import look
from flows.tools.inspect_table import headline, table
from flows.tools.live_table import LiveTable
from flows.tools.screen import LiveScreen
from flows.tools.sender import Sender, send_all
from flows.tools.topics import topics
from tests.brokers import ApacheKafka, free_port, resolve_jars

HERE = Path(__file__).parent
WIDTH, HISTORY = 100, 100_000
FONT = "'DejaVu Sans Mono', Menlo, Consolas, monospace"  # no font is fetched to show a picture
RATE, CALM, STRANGE, DEMO = 50.0, 40.0, 4.0, 30.0  # readings a second; seconds
STRANGER = "press-3"


def main() -> None:
    """Draw all of them."""
    socket.gethostname = lambda: "vm"  # the host's own groups are called by it
    draw_demo()
    draw_inspect()


def draw(name: str, command: str, *parts: RenderableType) -> None:
    """Write a picture of what a command shows."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    for part in parts:
        console.print(part)
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", FONT).replace("arial", "sans-serif")
    drawn = console.export_svg(title=command, code_format=form, unique_id=name)
    (HERE / f"{name}.svg").write_text(drawn, encoding="utf-8")


def draw_demo() -> None:
    """Draw the demo's table as it stands after half a minute."""
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory()))
        broker = held.enter_context(EmbeddedBroker(*TopicSettings().model_dump().values()))
        settings = Settings.model_validate(
            {"kafka": {"bootstrap": broker.bootstrap}, "recovery": {"folder": folder}}
        )
        stage = demo.Stage(settings, Fleet())
        shown = Console(file=io.StringIO(), force_terminal=True, width=WIDTH, highlight=False)
        metrics = "metrics at http://127.0.0.1:9464/metrics"
        screen = LiveScreen(shown, LiveTable(settings.coding.tolerance), metrics)
        with closing(screen):
            stage.play(screen, StopFlag(), DEMO)
        draw("demo", "oodl demo", screen._live.renderable)


class Estranged:
    """A fleet of which one machine can become a stranger to its past."""

    def __init__(self) -> None:
        self.fleet, self.strange = Fleet(machines=6, sensors=2), False

    def readings(self) -> Iterator[tuple[str, Values]]:
        """Yield one reading of every source."""
        for group, values in self.fleet.readings():
            if self.strange and group == STRANGER and isinstance(values, dict):
                values = {name: self._alone(name) for name in values}
            yield group, values

    def _alone(self, channel: str) -> float:
        """Draw a channel as of a reading of which nothing else is seen."""
        drawn = self.fleet.sources[STRANGER].draw()
        return drawn[channel] if isinstance(drawn, dict) else 0.0


def draw_inspect() -> None:
    """Draw the groups of a pipeline at work, and one of them."""
    resolve_jars()
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory()))
        broker = held.enter_context(ApacheKafka(folder / "kafka"))
        file = folder / "oodl.toml"
        file.write_text(
            f'[kafka]\nbootstrap = "{broker.address}"\n[recovery]\nfolder = "{folder}/recovery"\n'
            f"[metrics]\nport = {free_port()}\n"
        )
        topics(settings=file)
        settings = load(file)
        pipeline = held.enter_context(
            subprocess.Popen([sys.executable, "-m", "flows", "run", "--settings", str(file)])
        )
        held.callback(pipeline.send_signal, signal.SIGTERM)
        ending = threading.Event()
        feeding = threading.Thread(target=feed, args=(settings, ending))
        feeding.start()
        time.sleep(CALM + STRANGE)
        groups = look(settings, HISTORY)
        rows = ordered(rows_of(groups), "surprise")
        listed = table(rows, len(rows), "surprise", settings.coding.tolerance)
        draw("inspect", "oodl inspect", headline(groups, rows), listed)
        one = page_of(look(settings, HISTORY, "press-1"), "press-1", "used")
        draw("inspect-group", "oodl inspect --group press-1", page(one, everything=False))
        ending.set()
        feeding.join()


def feed(settings: Settings, ending: threading.Event) -> None:
    """Send the fleet's readings, at last such as one machine never had."""
    fleet = Estranged()
    with closing(Sender(client_options(settings), settings.topics.readings)) as sender:
        send_all(fleet, sender, ticks(RATE, ending, CALM))
        fleet.strange = True
        send_all(fleet, sender, ticks(RATE, ending))


if __name__ == "__main__":
    main()
