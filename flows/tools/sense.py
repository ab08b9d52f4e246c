"""``oodl sense``: this host's own sensors, sent to the readings topic."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.settings import load
from flows.tools.feed import ticks
from flows.tools.host import RATE, Host
from flows.tools.sender import send_to_broker

__all__ = ["sense"]


def sense(
    *,
    settings: Path | None = None,
    seconds: Annotated[float, Parameter(validator=Number(gt=0))] | None = None,
) -> None:
    """Send this host's CPU, memory, disk and network figures to Kafka, until Ctrl-C.

    Four groups, ``<host>/cpu``, ``/memory``, ``/disk`` and ``/network``, with ten readings a second
    each; what the system counts is told as a rate per second.

    Parameters
    ----------
    settings
        TOML file that says where the broker is and what the topic is called; without it the
        defaults and the environment hold.
    seconds
        Ends by itself after so long.

    Examples
    --------
    This host's sensors, until Ctrl-C:
    $ oodl sense --settings oodl.toml
    """
    send_to_broker(Host(), lambda stop: ticks(RATE, stop, seconds), load(settings))
