"""``oodl repartition``: messages keyed by sensor to the internal topic, keyed by their group."""

import sys
from pathlib import Path

from flows import access, events
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.kafka import DeliveryError, StopFlag, admit
from flows.repartition import Repartition
from flows.settings import load
from oodl.errors import ValueFault

__all__ = ["repartition"]


def repartition(*, settings: Path | None = None) -> None:
    """Write the messages of readings to the internal topic, until SIGTERM or Ctrl-C.

    For topics whose key is not the group, but a sensor or nothing: `oodl run` reads what this has
    written to topics.repartitioned. Of several workers (workers.count) each has its partitions.
    Serves /metrics, /healthz and /readyz as `oodl run` does, at metrics.repartition_port.

    Parameters
    ----------
    settings
        TOML file that names the topics; without it the defaults and the environment hold.

    Examples
    --------
    Beside `oodl run`, with topics.repartitioned in the settings:
    $ oodl repartition --settings sensors.toml
    """
    stop = StopFlag().install()
    chosen = load(settings)
    topics = chosen.topics
    if topics.repartitioned is None:
        msg = "topics.repartitioned: expected the name of an internal topic, got none; name one"
        raise ValueFault(msg)
    tally = Tally()
    events.log_to(sys.stderr, chosen.log.level.upper(), form=chosen.log.format)
    serve(Collector(tally, chosen), chosen.metrics.address, chosen.metrics.repartition_port)
    cluster = admit(chosen.kafka, access.to_repartition(chosen))
    cluster.require(
        readings=topics.readings,
        repartitioned=topics.repartitioned,
        dead_letters=topics.dead_letters,
    )
    stop.defer()
    try:
        Repartition(chosen, tally, stop, cluster).run()
    except DeliveryError as failure:
        topic, _, detail = str(failure).partition(": ")
        events.delivery_failed(tally, topic=topic, detail=detail)
        raise
    finally:
        tally.beats.end()
        events.flow_ended(tally)
