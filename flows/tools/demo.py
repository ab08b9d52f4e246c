"""``oodl demo``: the whole pipeline in one process, with real input and an independent reader.

Readings of this host and of a simulated fleet go through the embedded broker and the flow; a
witness reads what comes out, decodes it and compares it with what was sent. The flow has the main
thread; inputs, witness and director, which shows the screen and ends it all, have one each.
"""

import sys
import threading
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import psutil  # type: ignore[import-untyped]
from cyclopts import Parameter
from cyclopts.validators import Number
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from rich.console import Console

from flows import events, exporter
from flows.dataflow import assemble
from flows.events import Tally
from flows.kafka import EmbeddedBroker, StopFlag, client_options
from flows.settings import KafkaSettings, RecoverySettings, Settings, TopicSettings
from flows.tools.feed import Feed, ticks
from flows.tools.figures import Figures
from flows.tools.fleet import Fleet
from flows.tools.host import RATE as HOST_RATE
from flows.tools.host import Host
from flows.tools.ledger import Ledger
from flows.tools.live_table import LiveTable
from flows.tools.screen import LiveScreen, Moment, PlainScreen, Screen
from flows.tools.sender import Sender, send_all
from flows.tools.verdict import Verdict
from flows.tools.witness import Witness
from flows.tools.worker import Worker

__all__ = ["demo"]

FLEET_RATE = 50.0
MOCK_VERSION = (2, 0)
"""The release that the embedded broker is like; kafka-python cannot find out by itself."""

LOOK_SECONDS = 0.05
LOST_SECONDS = 2.0
"""A reading sent so long before the end must have come back."""

DRAIN_SECONDS = 3.0
"""How long the end waits for what is on its way."""


def demo(
    *,
    seconds: Annotated[float, Parameter(validator=Number(gt=0))] | None = None,
    seed: int = 0,
) -> int:
    """Show the whole pipeline at work in one process: no Kafka needed, nothing left behind.

    The last line of the output is a JSON object with what was seen; the exit code is 1 when a rule
    was not kept, which the error output names.

    Parameters
    ----------
    seconds
        Ends by itself after so long; else Ctrl-C ends it.
    seed
        Of the simulated fleet.

    Examples
    --------
    Half a minute of it, with the verdict as JSON on the last line:
    $ oodl demo --seconds 30
    """
    asked = StopFlag().install()
    asked.defer()
    events.log_to(sys.stderr)
    with ExitStack() as held:
        folder = held.enter_context(TemporaryDirectory(prefix="oodl-demo-"))
        broker = held.enter_context(EmbeddedBroker(*TopicSettings().model_dump().values()))
        settings = _settings(broker.bootstrap, Path(folder))
        stage = Stage(settings, Fleet(seed=seed))
        screen = held.enter_context(closing(_screen(stage, held)))
        events.log_to(screen.log)
        stage.play(screen, asked, seconds)
    return _judge(stage)


class Stage:
    """Everything that plays a part: inputs, flow and witness.

    Parameters
    ----------
    settings : Settings
    fleet : Fleet
    """

    def __init__(self, settings: Settings, fleet: Fleet) -> None:
        self.settings, self.tally = settings, Tally()
        self.started = float(psutil.Process().create_time())
        self.ended = self.started
        self._options = client_options(settings) | {"api_version": MOCK_VERSION}
        figures = Figures(fleet.sources, settings.coding.rule)
        self.witness = Witness(self._options, settings.topics, Ledger(), figures)
        self._inputs_end, self._flow_end, self._all_read = (
            threading.Event(), StopFlag(), threading.Event(),
        )  # fmt: skip
        self._inputs = [
            Worker("fleet", partial(self._send, fleet, FLEET_RATE)),
            Worker("host", partial(self._send, Host(), HOST_RATE)),
        ]
        self._reader = Worker("witness", partial(self.witness.read, self._all_read))

    def play(self, screen: Screen, asked: StopFlag, seconds: float | None) -> None:
        """Run until the seconds are over, the end is asked for, or something fails."""
        director = Worker("director", partial(self._direct, screen, asked, seconds))
        for worker in (self._reader, *self._inputs, director):
            worker.start()
        try:
            with assemble(self.settings, self.tally, self._flow_end) as pipeline:
                pipeline.run()
        finally:
            asked.set("end of the flow")
            director.join()
            self._all_read.set()
            self._reader.join()
            self.ended = time.time()
        for worker in (*self._inputs, self._reader, director):
            worker.finish()

    def verdict(self) -> Verdict:
        """Return what was seen."""
        ledger, figures = self.witness.ledger, self.witness.figures
        first = self.witness.first_code_at
        return Verdict(
            seconds=round(self.ended - self.started, 2),
            first_code_seconds=None if first is None else round(first - self.started, 3),
            groups=len(figures.groups),
            readings=ledger.readings,
            codes=ledger.codes,
            dead_letters=ledger.dead_letters,
            decoded=ledger.decoded,
            lost=ledger.lost(self.ended - LOST_SECONDS),
            largest_error=ledger.largest_error,
            tolerance=self.settings.coding.tolerance,
            versions=ledger.versions,
            share_version_0=ledger.codes_version_0 / ledger.codes if ledger.codes else None,
            fleet_density=figures.density,
            fleet_density_identity=figures.density_of_identity,
            fleet_planted_distance=figures.planted_distance,
            recomputed_error_difference=ledger.recomputed_error_difference,
        )

    def _send(self, source: Feed, rate: float) -> None:
        topic = self.settings.topics.readings
        with closing(Sender(self._options, topic, self.witness.sent)) as sender:
            send_all(source, sender, ticks(rate, self._inputs_end))

    def _direct(self, screen: Screen, asked: StopFlag, seconds: float | None) -> None:
        """Show the screen until it is time to end, then end one part after the other."""
        last = None if seconds is None else self.started + seconds
        try:
            while not (asked or self._failed() or (last is not None and time.time() >= last)):
                self._look(screen)
            self._inputs_end.set()
            for worker in self._inputs:
                worker.join()
            patience = time.monotonic() + DRAIN_SECONDS
            while not (self.witness.settled or self._failed()) and time.monotonic() < patience:
                self._look(screen)
        finally:
            self._flow_end.set("end of the demo")

    def _failed(self) -> bool:
        return any(worker.failure for worker in (*self._inputs, self._reader))

    def _look(self, screen: Screen) -> None:
        ledger = self.witness.ledger
        screen.show(
            Moment(
                seconds=time.time() - self.started,
                readings=ledger.readings,
                compared=ledger.decoded,
                largest_error=ledger.largest_error,
                groups=dict(self.witness.figures.groups),
            )
        )
        time.sleep(LOOK_SECONDS)


class _OwnSettings(Settings):
    """Settings that no environment reaches: the demo must not meet the broker of a pipeline."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (pydantic passes it by name)
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is written here, and nothing else."""
        return (init_settings,)


def _settings(bootstrap: str, folder: Path) -> Settings:
    return _OwnSettings(
        kafka=KafkaSettings(bootstrap=bootstrap), recovery=RecoverySettings(folder=folder)
    )


def _screen(stage: Stage, held: ExitStack) -> Screen:
    """Serve the metrics, and return the screen that fits the standard output."""
    wanted = stage.settings.metrics
    collector = exporter.Collector(stage.tally, stage.settings)
    server, port = exporter.serve(collector, wanted.address, wanted.port, fallback=True)
    held.callback(server.shutdown)
    metrics = f"metrics at http://{wanted.address}:{port}/metrics"
    if port != wanted.port:
        metrics += f" ({wanted.port} is taken)"
    console = Console(highlight=False)
    if console.is_terminal:
        return LiveScreen(console, LiveTable(stage.settings.coding.tolerance), metrics)
    return PlainScreen(console, sys.stderr, metrics)


def _judge(stage: Stage) -> int:
    """Write the verdict as the last line, and name every rule that was not kept."""
    verdict = stage.verdict()
    failures = list(verdict.failures())
    for problem, times in stage.witness.ledger.problems.items():
        sys.stderr.write(f"oodl demo: {problem} ({times} times)\n")
    for failure in failures:
        sys.stderr.write(f"oodl demo: {failure}\n")
    sys.stderr.flush()
    sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    sys.stdout.flush()
    return 1 if failures else 0
