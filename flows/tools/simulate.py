"""``oodl simulate``: a fleet whose dictionaries are known, sent to the readings topic."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.settings import load
from flows.tools.feed import ticks
from flows.tools.fleet import Fleet
from flows.tools.sender import send_to_broker
from flows.tools.writing import FormatName, one_sensor_each, writing
from oodl.errors import ValueFault

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
    format: FormatName = "json",  # noqa: A002  (the option's name)
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
        Sends a message for each sensor of a reading, as JSON.
    format
        How readings are written: json; base64, JSON with float32 in a text; msgpack with float32 in
        a bin; float32 or float64, nothing but the numbers, with the time in a header; json-batch
        or msgpack-batch, eight readings a message. Only json has the channels' names: in all
        others they are numbered in its order.

    Examples
    --------
    Four machines and two single sensors, for ten seconds:
    $ oodl simulate --settings oodl.toml --seconds 10
    A hundred machines with a reading a second each, until Ctrl-C:
    $ oodl simulate --settings oodl.toml --machines 100 --rate 1
    A message for each sensor of a reading:
    $ oodl simulate --settings sensors.toml --one-sensor --seconds 5
    Readings as MessagePack, eight a message:
    $ oodl simulate --settings oodl.toml --format msgpack-batch --seconds 10
    """
    if one_sensor and format != "json":
        msg = f"--one-sensor: expected --format json, got {format}; leave one of them out"
        raise ValueFault(msg)
    fleet = Fleet(machines=machines, seed=seed)
    messages = one_sensor_each if one_sensor else writing(format)
    send_to_broker(fleet, lambda stop: ticks(rate, stop, seconds), load(settings), messages)
