"""The flow, in the order of the picture: readings, group step, and back to Kafka.

``build`` is what the engine's own runner takes, ``python -m bytewax.run
"flows.dataflow:build('oodl.toml')"``; ``assemble`` gives the same with what is to be closed
afterwards, for `oodl run`.
"""

import atexit
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeGuard, cast

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from flows import access, events, manifest, private
from flows.events import Tally
from flows.group import Steps
from flows.items import Arrived, Expiry, GroupBlock, Outgoing
from flows.kafka import Cluster, SharedConsumer, StopFlag, Together, admit
from flows.manifest import Manifest
from flows.memory import Memory
from flows.outbox import Delivery, Outbox
from flows.settings import Settings, load
from flows.sink import KafkaSink
from flows.source import KafkaSource, Shared
from flows.state import FORMAT
from flows.transactions import Transactions
from oodl.errors import OodlError

__all__ = ["Pipeline", "assemble", "build"]

SINK_PARTS = 8  # workers that can write at a time; fixed by the recovery folder's manifest
RECOVERY_PARTS = 1  # files of snapshots: one transaction an epoch, whatever the number of groups


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A flow that is ready to run, over a recovery folder that it holds.

    Parameters
    ----------
    flow : Dataflow
    consumer : SharedConsumer
    folder : Path
        Of the snapshots.
    epoch : timedelta
        Between two snapshots.
    held : ExitStack
        What to let go of afterwards.
    """

    flow: Dataflow
    consumer: SharedConsumer
    folder: Path
    epoch: timedelta
    held: ExitStack

    def run(self) -> None:
        """Run until the process is asked to end; then all is confirmed and committed.

        A superseded snapshot is deleted at once: it could not be resumed from, the source's offsets
        are in the same file.

        Raises
        ------
        OodlError
            What ended the flow, without the engine's wrapping.
        """
        recovery = RecoveryConfig(self.folder, timedelta(0))  # type: ignore[no-untyped-call]
        try:
            cli_main(  # type: ignore[no-untyped-call]
                self.flow, epoch_interval=self.epoch, recovery_config=recovery
            )
        except BytewaxRuntimeError as wrapped:
            if isinstance(wrapped.__cause__, OodlError):
                raise wrapped.__cause__ from None
            raise
        self.consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.held.close()


def build(settings: Settings | Path | str, *, tally: Tally | None = None) -> Dataflow:
    """Return the flow, its recovery folder checked, created and held until the process ends.

    Parameters
    ----------
    settings : Settings, Path or str
        Settings, or the file that has them.
    tally : Tally, optional
        Where to count.

    Raises
    ------
    OodlError
        When settings, broker, topics or recovery folder do not fit.
    """
    stop = StopFlag()
    if threading.current_thread() is threading.main_thread():
        stop.install()
    read = settings if isinstance(settings, Settings) else load(Path(settings))
    pipeline = assemble(read, tally or Tally(), stop)
    atexit.register(pipeline.held.close)
    return pipeline.flow


def assemble(settings: Settings, tally: Tally, stop: StopFlag) -> Pipeline:
    """Check all that the flow stands on, and put it together.

    Raises
    ------
    OodlError
        When broker, topics or recovery folder do not fit the settings.
    """
    cluster = admit(settings.kafka, access.to_run(settings, SINK_PARTS))
    cluster.require(**settings.topics.model_dump())
    partitions = cluster.partitions[settings.topics.readings]
    with ExitStack() as undo:
        agreed = _hold_folder(settings, cluster, undo)
        epoch = agreed.epoch_seconds
        events.epoch_chosen(tally, seconds=epoch)
        topic, group = settings.topics.readings, settings.kafka.group
        consumer = SharedConsumer(settings.kafka, topic=topic, group=group)
        delivery = _delivery(settings, tally, stop, agreed)
        undo.callback(delivery.close)
        memory = Memory(settings, tally, dict(cluster.partitions))
        shared = Shared(
            settings,
            tally,
            stop,
            consumer,
            partitions,
            begin=memory.offset,
            channels=memory.channels,
            meanwhile=delivery.hear,
        )
        sink = KafkaSink(delivery, agreed.sink_parts, tally.beats)
        flow = _connect(KafkaSource(shared), Steps(settings, tally, memory.take), sink)
        stop.defer()
        held = undo.pop_all()
    return Pipeline(flow, consumer, settings.recovery.folder, timedelta(seconds=epoch), held)


def _delivery(settings: Settings, tally: Tally, stop: StopFlag, agreed: Manifest) -> Delivery:
    if settings.recovery.delivery == "exactly-once":
        return Transactions(settings, tally, stop, agreed)
    return Outbox(settings, tally, Together(stop, settings.kafka.delivery_seconds))


def _connect(source: KafkaSource, steps: Steps, sink: KafkaSink) -> Dataflow:
    flow = Dataflow("oodl")
    arrived = op.input("readings", flow, source)
    fit = op.branch("fit", arrived, _is_of_group)
    encoded = op.stateful_batch("groups", fit.trues, steps)
    outgoing = op.merge("outgoing", encoded, fit.falses)
    op.output("outputs", cast(Stream[Outgoing], outgoing), sink)
    return flow


def _is_of_group(arrived: Arrived) -> TypeGuard[tuple[str, GroupBlock | Expiry]]:
    return isinstance(arrived[1], GroupBlock | Expiry)


def _hold_folder(settings: Settings, cluster: Cluster, undo: ExitStack) -> Manifest:
    """Hold the recovery folder, see that it belongs to this flow, and make it ready."""
    folder = settings.recovery.folder
    undo.enter_context(manifest.lock(folder))
    expected = Manifest(
        cluster=cluster.id,
        group=settings.kafka.group,
        topics=settings.topics.model_dump(),
        partitions=cluster.partitions[settings.topics.readings],
        sink_parts=SINK_PARTS,
        state_format=FORMAT,
        epoch_seconds=settings.recovery.epoch_seconds,
    )
    agreed = manifest.check_or_create(folder, expected)
    if not manifest.check_snapshots(folder):
        init_db_dir(folder, RECOVERY_PARTS)  # type: ignore[no-untyped-call]
        for snapshots in folder.glob("part-*.sqlite3"):  # what SQLite puts beside has their mode
            private.withhold(snapshots)
    return agreed
