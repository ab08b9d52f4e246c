"""``oodl run``: the pipeline against a Kafka broker, until it is asked to end."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.kafka import DeliveryError, FencedError, StopFlag
from oodl.errors import ValueFault

if TYPE_CHECKING:
    from flows.members import Member
    from flows.settings import Settings

__all__ = ["run"]


def run(
    *,
    settings: Path | None = None,
    processes: int = 1,
    process_id: Annotated[int | None, Parameter(alias="-i", env_var="BYTEWAX_PROCESS_ID")] = None,
    addresses: Annotated[str, Parameter(alias="-a", env_var="BYTEWAX_ADDRESSES")] = "",
    parent: Annotated[int, Parameter(show=False)] = 0,
) -> None:
    """Code readings from Kafka until SIGTERM or Ctrl-C, which end it with a last snapshot.

    Reads the topic of readings; writes codes, dictionaries and dead letters, and what it needs to
    go on after a restart into the recovery folder. Serves /metrics for Prometheus, and /healthz and
    /readyz, which tell how the flow does.

    Several processes work as one cluster over one recovery folder: --processes starts them here;
    --process-id and --addresses say where this one stands among those that are started by others.
    Each has its own metrics: at metrics.port, and on one host at the ports that follow it.

    Independent processes share the partitions by workers.index and workers.count of the settings;
    `oodl rebalance` changes their number.

    Parameters
    ----------
    settings
        TOML file; without it the defaults and the environment hold.
    processes
        How many to run on this machine.
    process_id
        Number of this process in its cluster, counted from 0.
    addresses
        host:port of all processes of the cluster, with semicolons between; each listens at its own.
    parent
        Process that started this one, and that it ends with.

    Examples
    --------
    One process, as the settings have it:
    $ oodl run --settings oodl.toml
    Two processes on this machine that share the work:
    $ oodl run --settings oodl.toml --processes 2
    """
    stop = StopFlag().install()  # before the rest is loaded, which takes most of a second
    from flows.members import Member
    from flows.settings import load

    listed = tuple(addresses.split(";")) if addresses else ()
    _check_place(processes, process_id, listed)
    chosen = load(settings)
    if processes > 1:
        from flows.tools.cluster import run_cluster

        run_cluster(settings, processes, stop)
        return
    _run(chosen, stop, Member(process_id or 0, listed, parent))


def _check_place(processes: int, process_id: int | None, addresses: tuple[str, ...]) -> None:
    """Refuse a number that has no address, and an address that no process has."""
    given = process_id is not None or bool(addresses)
    if processes < 1:
        problem = f"--processes: expected at least 1, got {processes}; leave it out for one"
    elif processes > 1 and given:
        problem = "oodl run: expected --processes or --process-id, got both; leave one out"
    elif not given:
        return
    elif process_id is None or not addresses:
        got = "--addresses" if process_id is None else "--process-id"
        problem = f"oodl run: expected --process-id with --addresses, got {got} alone; give both"
    elif not 0 <= process_id < len(addresses):
        problem = (
            f"--process-id: expected 0 to {len(addresses) - 1} with {len(addresses)} addresses, "
            f"got {process_id}; count from 0"
        )
    elif wrong := _unfit(addresses):
        problem = f"--addresses: expected a different host:port a process, got {wrong}; correct it"
    else:
        return
    raise ValueFault(problem)


def _unfit(addresses: tuple[str, ...]) -> str:
    """Name an address that is none, or that two processes have."""
    for number, address in enumerate(addresses):
        host, _, port = address.rpartition(":")
        if not (host and port.isdigit()):
            return repr(address)
        if address in addresses[:number]:
            return f"{address!r} twice"
    return ""


def _run(settings: "Settings", stop: StopFlag, member: "Member") -> None:
    from flows import events
    from flows.dataflow import assemble
    from flows.exporter import Collector, serve
    from oodl.warming import warm

    tally, port = events.Tally(), settings.metrics.port
    process = None if member.alone else member.process
    told = settings.log
    events.log_to(sys.stderr, told.level.upper(), form=told.format, process=process)
    tally.beats.peers = max(0, len(member.addresses) - 1)
    serve(Collector(tally, settings), settings.metrics.address, port and port + member.before)
    for folder in warm():  # else a group's first block would wait for it
        events.oddity(tally, "compiled_anew", f"{folder}")
    with assemble(settings, tally, stop, member) as pipeline:
        try:
            pipeline.run()
        except DeliveryError as failure:
            topic, _, detail = str(failure).partition(": ")
            events.delivery_failed(tally, topic=topic, detail=detail)
            raise
        except FencedError as taken:
            events.name_taken(tally, detail=str(taken))
            raise
        finally:
            tally.beats.end()
            events.flow_ended(tally)
