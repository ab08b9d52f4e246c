"""``oodl run``: the pipeline against a Kafka broker, until it is asked to end."""

import sys
from pathlib import Path

from flows.kafka import DeliveryError, FencedError, StopFlag

__all__ = ["run"]


def run(*, settings: Path | None = None) -> None:
    """Code readings from Kafka until SIGTERM or Ctrl-C, which end it with a last snapshot.

    Reads the topic of readings; writes codes, dictionaries and dead letters, and what it needs to
    go on after a restart into the recovery folder. Serves /metrics for Prometheus, and /healthz and
    /readyz, which tell how the flow does.

    Parameters
    ----------
    settings
        TOML file; without it the defaults and the environment hold.
    """
    stop = StopFlag().install()  # before the rest is loaded, which takes most of a second
    from flows import events
    from flows.dataflow import assemble
    from flows.exporter import Collector, serve
    from flows.settings import load

    chosen, tally = load(settings), events.Tally()
    events.log_to(sys.stderr)
    serve(Collector(tally, chosen), chosen.metrics.address, chosen.metrics.port)
    with assemble(chosen, tally, stop) as pipeline:
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
