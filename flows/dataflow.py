"""The flow, in the order of the picture: readings, group step, and back to Kafka.

``build`` is what the engine's own runner takes, ``python -m bytewax.run
"flows.dataflow:build('oodl.toml')"``; ``assemble`` gives the same with what is to be closed
afterwards, for `oodl run`.
"""

import atexit
import os
import re
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeGuard, cast

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from flows import access, events, gathering, manifest, private, snapshots
from flows.epochs import Epochs
from flows.events import Tally
from flows.garbage import seldom_searched
from flows.group import Steps
from flows.items import Arrived, Expiry, GroupBlock, Outgoing
from flows.kafka import Cluster, SharedConsumer, StopFlag, Together, admit
from flows.manifest import Manifest
from flows.members import ALONE, Hold, Member, hold
from flows.memory import Memory
from flows.outbox import Delivery, Outbox
from flows.settings import Settings, load
from flows.sink import KafkaSink
from flows.snapshots import READINGS
from flows.source import KafkaSource, Shared
from flows.state import FORMAT
from flows.transactions import Transactions
from flows.upstream import Upstream
from oodl.errors import OodlError, ValueFault
from oodl.warming import warm

__all__ = [
    "PeerError",
    "Pipeline",
    "SnapshotError",
    "assemble",
    "belonging",
    "build",
    "make_snapshots",
]

SINK_PARTS = 8  # workers that can write at a time; fixed by the recovery folder's manifest
RECOVERY_PARTS = 1  # files of snapshots: one transaction an epoch, whatever the number of groups
PANIC = re.compile(r'SqliteFailure\(.*Some\("(.*)"\)')  # what the engine says when it cannot write


class SnapshotError(OodlError, RuntimeError):
    """A snapshot cannot be written: the process has to end."""


class PeerError(OodlError, ConnectionError):
    """Another process of the cluster has ended: this one cannot go on without it."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A flow that is ready to run, over a recovery folder that it holds.

    Parameters
    ----------
    flow : Dataflow
    shared : Shared
        What its source works with.
    folder : Hold
        Of the snapshots.
    epoch : timedelta
        Between two snapshots.
    held : ExitStack
        What to let go of afterwards.
    """

    flow: Dataflow
    shared: Shared
    folder: Hold
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
        try:
            self._run()
        except BytewaxRuntimeError as wrapped:
            if isinstance(wrapped.__cause__, OodlError):
                raise wrapped.__cause__ from None
            raise
        except RuntimeError as panic:
            if found := PANIC.search(str(panic)):
                raise self._unwritten(found[1]) from None
            raise
        self.shared.consumer.close()

    def _run(self) -> None:
        member = self.folder.member
        recovery = RecoveryConfig(self.folder.folder, timedelta(0))  # type: ignore[no-untyped-call]
        place: dict[str, object] = {}
        if not member.alone:
            self.shared.stop.listen(self._leave_early)
            place = {"process_id": member.process, "addresses": list(member.addresses)}
        try:
            with seldom_searched():
                cli_main(  # type: ignore[no-untyped-call]
                    self.flow, epoch_interval=self.epoch, recovery_config=recovery, **place
                )
        except BaseException as panic:
            if type(panic).__name__ != "PanicException":  # what the engine ends with in a cluster
                raise
            if found := PANIC.search(str(panic)):
                raise self._unwritten(found[1]) from None
            if failure := self.shared.tally.beats.failure:
                raise failure from None
            if self.shared.stop and not self.shared.tally.readings_received:
                sys.exit(0)  # another one was asked to end as well, and had not begun
            msg = (
                "the cluster: expected all of its processes to go on, but another has ended; "
                "nothing is lost: start all of them again, they go on from the last snapshot"
            )
            raise PeerError(msg) from panic

    @property
    def _begun(self) -> bool:
        """Whether readings are read: until then the engine waits for the other processes."""
        return bool(self.shared.tally.beats.behind)

    def _leave_early(self) -> None:
        """End at once while nothing was begun: then the engine waits, and hears no signal."""
        if not self._begun:
            events.flow_ended(self.shared.tally)
            os._exit(0)

    def _unwritten(self, got: str) -> SnapshotError:
        folder = self.folder.folder
        return SnapshotError(
            f"{folder}: expected to write a snapshot, got: {got}; make room there, or name "
            "another recovery.folder; nothing is lost: the next start goes on from the last one"
        )

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
    counted = tally or Tally()
    for folder in warm():
        events.oddity(counted, "compiled_anew", f"{folder}")
    pipeline = assemble(read, counted, stop)
    atexit.register(pipeline.held.close)
    return pipeline.flow


def assemble(settings: Settings, tally: Tally, stop: StopFlag, member: Member = ALONE) -> Pipeline:
    """Check all that the flow stands on, and put it together.

    Parameters
    ----------
    settings : Settings
    tally : Tally
        Where to count.
    stop : StopFlag
        What ends the flow once it runs.
    member : Member
        The process's place in a cluster.

    Raises
    ------
    OodlError
        When broker, topics or recovery folder do not fit the settings.
    """
    cluster = admit(settings.kafka, access.to_run(settings, SINK_PARTS))
    cluster.require(**settings.topics.of_pipeline)
    partitions = cluster.partitions[settings.topics.source]
    _require_work(settings, partitions, member)
    manifest.check_workers(settings.recovery.folder, settings.workers.count)
    with ExitStack() as undo:
        folder = undo.enter_context(hold(settings.folder, member))
        with folder.preparing():
            agreed, lost = _prepare(settings, cluster)
        epoch = agreed.epoch_seconds
        events.epoch_chosen(tally, seconds=epoch)
        topic, group = settings.topics.source, settings.kafka.group
        consumer = SharedConsumer(settings.kafka, topic=topic, group=group)
        delivery = _delivery(settings, tally, stop, agreed)
        undo.callback(delivery.close)
        epochs = Epochs(tally, epoch, partial(_remember_epoch, folder))

        def meanwhile() -> None:
            delivery.hear()
            epochs.look()

        memory = Memory(settings, tally, dict(cluster.partitions), lost=lost)
        shared = Shared(
            settings,
            tally,
            stop,
            consumer,
            partitions,
            begin=memory.offset,
            channels=memory.channels,
            meanwhile=meanwhile,
            asked=folder.asked,
            ask=folder.ask,
        )
        sink = KafkaSink(delivery, agreed.sink_parts, tally.beats)
        flow = _connect(KafkaSource(shared), Steps(settings, tally, memory.take), sink)
        if settings.topics.repartitioned is not None:
            upstream = Upstream(settings, tally)
            undo.callback(upstream.close)
            upstream.start()
        stop.defer()
        held = undo.pop_all()
    return Pipeline(flow, shared, folder, timedelta(seconds=epoch), held)


def _require_work(settings: Settings, partitions: int, member: Member) -> None:
    """Refuse a process that would have no partition to read."""
    processes = max(1, len(member.addresses))
    if processes * settings.workers.count > partitions:
        msg = (
            f"topics.readings: expected a partition a process, got {partitions} partitions of "
            f"{settings.topics.source} for {processes * settings.workers.count} processes; "
            "start fewer"
        )
        raise ValueFault(msg)


def make_snapshots(folder: Path) -> None:
    """Make the files of snapshots in a folder that has none."""
    init_db_dir(folder, RECOVERY_PARTS)  # type: ignore[no-untyped-call]
    for path in folder.glob(snapshots.FILES):  # what SQLite puts beside has their mode
        snapshots.enlarge_pages(path)
        private.withhold(path)


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


def _remember_epoch(folder: Hold, seconds: float) -> None:
    with folder.preparing():
        manifest.remember_epoch(folder.folder, seconds)


def _is_of_group(arrived: Arrived) -> TypeGuard[tuple[str, GroupBlock | Expiry]]:
    return isinstance(arrived[1], GroupBlock | Expiry)


def belonging(settings: Settings, cluster: Cluster) -> Manifest:
    """Say what a recovery folder of this flow belongs to."""
    return Manifest(
        cluster=cluster.id,
        group=settings.kafka.group,
        topics=settings.topics.model_dump(),
        partitions=cluster.partitions[settings.topics.source],
        sink_parts=SINK_PARTS,
        state_format=FORMAT,
        epoch_seconds=settings.recovery.epoch_seconds,
        worker=settings.workers.index,
        workers=settings.workers.count,
        gathering=gathering.gathering(settings),
    )


def _prepare(settings: Settings, cluster: Cluster) -> tuple[Manifest, bool]:
    """See that the recovery folder belongs to this flow, and make it ready.

    Returns
    -------
    agreed : Manifest
    lost : bool
        Whether there is no snapshot to go on from.
    """
    folder = settings.folder
    expected = belonging(settings, cluster)
    there = manifest.check_snapshots(folder)
    gathering.check(folder, settings, cluster, SINK_PARTS)
    agreed = manifest.check_or_create(folder, expected)
    if not there:
        make_snapshots(folder)
    return agreed, not any(snapshots.read(folder, READINGS))
