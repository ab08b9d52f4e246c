"""``oodl simulate``: a fleet whose dictionaries are known, sent to the readings topic."""

import threading
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.settings import load
from flows.tools.feed import ticks
from flows.tools.fleet import Fleet
from flows.tools.sender import one_sensor_each, send_to_broker, whole

__all__ = ["simulate"]

Positive = Annotated[float, Parameter(validator=Number(gt=0))]


def simulate(
    *,
    settings: Path | None = None,
    machines: Annotated[int, Parameter(validator=Number(gte=0))] = 4,
    rate: Positive = 50.0,
    seconds: Positive | None = None,
    seed: int = 0,
    one_sensor: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Send readings of a simulated fleet to Kafka, until Ctrl-C.

    Machines of 16 named channels, and two single sensors that send waveforms of 32 samples; each
    has a planted dictionary, which the pipeline should find.

    Parameters
    ----------
    settings
        TOML file that says where the broker is and what the topic is called; without it the
        defaults and the environment hold.
    machines
        How many machines there are.
    rate
        Readings a second of each machine and sensor.
    seconds
        Ends by itself after so long.
    seed
        The same seed gives the same readings.
    one_sensor
        Sends a message for each sensor of a reading.

    Examples
    --------
    Four machines and two single sensors, for ten seconds:
    $ oodl simulate --settings oodl.toml --seconds 10
    A hundred machines with a reading a second each, until Ctrl-C:
    $ oodl simulate --settings oodl.toml --machines 100 --rate 1
    A message for each sensor of a reading:
    $ oodl simulate --settings sensors.toml --one-sensor --seconds 5
    """
    fleet = Fleet(machines=machines, seed=seed)
    writing = one_sensor_each if one_sensor else whole
    send_to_broker(fleet, ticks(rate, threading.Event(), seconds), load(settings), writing)
