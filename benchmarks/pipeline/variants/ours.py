"""The pipeline as `oodl run` has it, exporter and snapshots included, until all is confirmed."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import inf
from pathlib import Path
from unittest.mock import patch

import msgspec
from bytewax.operators import StatefulBatchLogic
from bytewax.run import cli_main

from benchmarks.pipeline.variants.begun import names, packed_states, rehearse
from benchmarks.pipeline.variants.order import Order, Spent, canned, order
from flows import dataflow
from flows.dataflow import Pipeline, assemble
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.group import GroupLogic, Steps
from flows.items import Encoded, Expiry, GroupBlock
from flows.kafka import Output, StopFlag
from flows.members import Member
from flows.settings import Settings

LOOK = 0.02  # seconds between two looks at what is confirmed


@dataclass(frozen=True, slots=True)
class Through:
    """In the place of the group step: each reading gives a message as long as a code."""

    settings: Settings
    tally: Tally
    remembered: object = None

    def __call__(self, _: object) -> "ThroughLogic":
        """Begin with a group."""
        return ThroughLogic(self.settings.topics.codes)


class ThroughLogic(StatefulBatchLogic[GroupBlock | Expiry, Encoded, bytes]):
    """The rows of one group on their way through."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def on_batch(self, values: list[GroupBlock | Expiry]) -> tuple[Iterable[Encoded], bool]:
        """Answer each row."""
        answers = [self._answer(each) for each in values if isinstance(each, GroupBlock)]
        return answers, StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return nothing."""
        return b""

    def _answer(self, item: GroupBlock) -> Encoded:
        key, place = item.group.encode(), item.partition
        codes = [
            Output(self._topic, key, canned(place, offset), stamp=stamp, partition=place,
                   first=offset, last=offset)
            for offset, stamp in zip(item.block.offsets.tolist(), item.stamps, strict=True)
        ]  # fmt: skip
        return Encoded(item.group, place, [], codes)


@dataclass(frozen=True, slots=True)
class Warm(Steps):
    """The group step, over groups that were learned from before."""

    states: Callable[[str], bytes | None] = lambda _: None

    def __call__(self, resume: bytes | None) -> "WarmLogic":
        """Go on with a group, or begin with one."""
        return WarmLogic(self, resume)


class WarmLogic(GroupLogic):
    """The step of one group."""

    _steps: Warm

    def on_batch(self, values: list[GroupBlock | Expiry]) -> tuple[Iterable[Encoded], bool]:
        """Code the blocks in order."""
        if self._state is None and self._packed is None:
            self._packed = self._steps.states(values[0].group)
        return super().on_batch(values)


class Watch:
    """Looks at what is confirmed; ends the flow when that is all, and knows what it cost.

    Where several processes share the work, none knows when that is: they are ended by a signal, and
    what each spent counts up to its last code.
    """

    def __init__(self, tally: Tally, stop: StopFlag, count: float) -> None:
        self._tally, self._stop, self._count = tally, stop, count
        self._began, self._cpu = 0.0, time.process_time()
        self._last = Spent(0.0, 0.0)
        threading.Thread(target=self._look_on, daemon=True).start()

    def _look_on(self) -> None:
        seen = 0
        while seen < self._count:
            time.sleep(LOOK)
            now, sent = time.perf_counter(), self._tally.codes_sent
            if self._tally.readings_received and not self._began:
                self._began = now
            if sent > seen:
                self._last = Spent(time.process_time() - self._cpu, now - self._began)
            seen = sent
        self._stop.set("the end of the backlog")

    def tell(self) -> None:
        """Print what was spent."""
        print(msgspec.json.encode(self._last).decode())


def settings_of(given: Order) -> Settings:
    """Return the settings of an order."""
    return Settings.model_validate({
        "kafka": {"bootstrap": given.bootstrap, "group": given.name},
        "topics": given.topics,
        "channels": {"names": names(given.channels)},
        "codes": {"layout": given.layout},
        "recovery": {
            "folder": Path(given.folder) / given.name,
            "epoch_seconds": given.epoch_seconds,
        },
        "metrics": {"port": given.metrics_port},
        "workers": {} if given.addresses else
            {"count": given.processes, "index": given.process},
    })  # fmt: skip


def steps_of(given: Order) -> Callable[..., Through | Warm]:
    """Return what makes the steps of an order."""
    if not given.step:
        return Through
    return partial(Warm, states=packed_states(given.states))


def run(pipeline: Pipeline, *, recovery: bool) -> None:
    """Run until the flag is set."""
    if recovery:
        pipeline.run()
        return
    cli_main(pipeline.flow, epoch_interval=timedelta(seconds=1))  # type: ignore[no-untyped-call]
    pipeline.shared.consumer.close()


def main() -> None:
    """Run, and print what it cost."""
    given, tally, stop = order(), Tally(), StopFlag()
    stop.install()
    settings = settings_of(given)
    member = Member(given.process, given.addresses, 0)
    tally.beats.peers = max(0, len(given.addresses) - 1)
    serve(Collector(tally, settings), settings.metrics.address, settings.metrics.port)
    rehearse(given.states, given.channels)
    with (
        patch.object(dataflow, "Steps", steps_of(given)),
        assemble(settings, tally, stop, member) as pipeline,
    ):
        watch = Watch(tally, stop, given.count if given.processes == 1 else inf)
        run(pipeline, recovery=given.recovery)
    watch.tell()


if __name__ == "__main__":
    main()
