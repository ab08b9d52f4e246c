"""The simulated fleet: machines and single sensors whose dictionary is known.

Every source draws sparse codes over a planted orthogonal dictionary, adds noise, and gives the
result in the units of its channels. Standardising takes the units away again, so what a learner
should find is the planted dictionary itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flows.tools.feed import Values
from oodl.contrast import Array
from oodl.synthetic import Planted, Sensors, random_orthogonal

__all__ = ["Fleet", "Source"]

DENSITY = 0.2
SNR_DB = 26.0
SAMPLES = 32
"""Samples in the waveform of a single sensor."""

DIGITS_BELOW_GAIN = 4
"""An instrument gives its channel to a step of about 1e-4 of what it varies by."""

MACHINE = (
    ("acoustic_level_dba", 76.0, 1.1),
    ("bearing_front_celsius", 61.0, 2.0),
    ("bearing_rear_celsius", 57.0, 1.8),
    ("coolant_celsius", 24.0, 0.6),
    ("coolant_litres_per_minute", 22.0, 0.9),
    ("coolant_bar", 5.8, 0.15),
    ("feed_millimetres_per_minute", 480.0, 25.0),
    ("hydraulics_bar", 118.0, 3.5),
    ("motor_amperes", 18.5, 1.2),
    ("motor_celsius", 71.0, 2.4),
    ("motor_volts", 398.0, 2.5),
    ("spindle_newton_metres", 42.0, 3.0),
    ("spindle_rpm", 2950.0, 40.0),
    ("vibration_x_millimetres_per_second", 1.9, 0.35),
    ("vibration_y_millimetres_per_second", 2.2, 0.4),
    ("vibration_z_millimetres_per_second", 1.4, 0.25),
)
"""The channels of a machine: name, what it usually reads, and by how much it varies."""

SAMPLE_MEAN, SAMPLE_GAIN = 1650.0, 210.0
"""An accelerometer's samples in millivolts: it idles at half its supply."""


@dataclass(frozen=True, slots=True)
class Source:
    """A machine or a single sensor.

    Attributes
    ----------
    group : str
        The key of its readings.
    channels : tuple of str
        Names of the channels; empty when a reading is a list (the samples of a waveform).
    sensors : Sensors
        The planted dictionary, and each channel's mean and gain in its own unit.
    rng : numpy.random.Generator
        The source's own, so that another source more changes nothing here.
    """

    group: str
    channels: tuple[str, ...]
    sensors: Sensors
    rng: np.random.Generator

    def draw(self) -> Values:
        """Return the next reading, as the instrument gives it."""
        exact = self.sensors.draw(1, self.rng)[0]
        digits = DIGITS_BELOW_GAIN - np.ceil(np.log10(self.sensors.gain)).astype(int)
        values = list(map(round, exact.tolist(), digits.tolist()))
        return dict(zip(self.channels, values, strict=True)) if self.channels else values

    def dictionary(self, channels: tuple[str, ...]) -> Array:
        """Return the planted dictionary, its rows in the order of `channels`.

        Parameters
        ----------
        channels : tuple of str
            The source's channels in any order; a list's samples have only the one they come in.
        """
        planted = self.sensors.planted.dictionary
        if not self.channels:
            return planted
        return planted[[self.channels.index(channel) for channel in channels]]


class Fleet:
    """Machines of 16 named channels, and single sensors that send waveforms of 32 samples.

    Parameters
    ----------
    machines, sensors : int
        How many there are.
    seed : int
        The same seed gives the same readings; more machines leave those before them as they were.

    Examples
    --------
    >>> fleet = Fleet(machines=1, sensors=1, seed=0)
    >>> [group for group, _ in fleet.readings()]
    ['press-1', 'vibration-1']
    """

    def __init__(self, *, machines: int = 4, sensors: int = 2, seed: int = 0) -> None:
        made = [_machine(number, seed) for number in range(1, machines + 1)]
        made += [_sensor(number, seed) for number in range(1, sensors + 1)]
        self.sources = {source.group: source for source in made}

    def readings(self) -> Iterator[tuple[str, Values]]:
        """Yield one reading of every source, with its group."""
        for group, source in self.sources.items():
            yield group, source.draw()


def _machine(number: int, seed: int) -> Source:
    rng = np.random.default_rng([seed, 0, number])
    channels, usual, varies = zip(*MACHINE, strict=True)
    gain = np.array(varies) * rng.uniform(0.8, 1.25, len(channels))
    mean = np.array(usual) + gain * rng.uniform(-2.0, 2.0, len(channels))
    return Source(f"press-{number}", channels, _plant(mean, gain, rng), rng)


def _sensor(number: int, seed: int) -> Source:
    rng = np.random.default_rng([seed, 1, number])
    gain = np.full(SAMPLES, SAMPLE_GAIN * rng.uniform(0.8, 1.25))
    mean = np.full(SAMPLES, SAMPLE_MEAN + gain * rng.uniform(-0.2, 0.2))
    return Source(f"vibration-{number}", (), _plant(mean, gain, rng), rng)


def _plant(mean: Array, gain: Array, rng: np.random.Generator) -> Sensors:
    return Sensors(Planted(random_orthogonal(len(mean), rng), DENSITY, SNR_DB), mean, gain)
