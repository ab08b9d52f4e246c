"""Writes ``pumps.csv``: two pumps whose seven sensors follow few causes, until one pump wears out.

Load and outside temperature move all sensors. In the last 40 readings of pump-2 flow,
vibration and noise no longer follow the load, though each stays in its usual range.
"""

from pathlib import Path

import numpy as np

READINGS, FAULT = 400, 360  # a pump, one each 10 seconds; the reading at which pump-2 wears out
START = np.datetime64("2026-03-02T08:00:00")


def smooth(rng: np.random.Generator, memory: float) -> np.ndarray:
    """Return a cause: random, slow, of variance one."""
    cause = np.zeros(READINGS)
    for t in range(1, READINGS):
        cause[t] = memory * cause[t - 1] + np.sqrt(1 - memory**2) * rng.standard_normal()
    return cause


def pump(rng: np.random.Generator, *, wears_out: bool) -> np.ndarray:
    """Return the sensors of a pump, a column each."""
    load, outside = smooth(rng, 0.5), smooth(rng, 0.8)
    followed = load.copy()
    if wears_out:
        followed[FAULT:] = smooth(rng, 0.5)[FAULT:]
    causes = np.column_stack([load, load, load, followed, followed, followed, outside + 0.5 * load])
    causes[:, 2] = 0.7 * load + 0.7 * followed
    causes += 0.05 * rng.standard_normal(causes.shape)
    return causes * [1.8, 90.0, 0.4, 6.5, 0.35, 1.5, 2.2] + [
        12.4,
        1480.0,
        3.9,
        48.0,
        2.1,
        71.0,
        41.0,
    ]


def main() -> None:
    """Write the file next to this one."""
    rng = np.random.default_rng(7)
    pumps = {"pump-1": pump(rng, wears_out=False), "pump-2": pump(rng, wears_out=True)}
    lines = [
        "time,pump,current_A,speed_rpm,pressure_bar,flow_m3h,vibration_mms,noise_dB,temperature_C"
    ]
    for t in range(READINGS):
        for name, sensors in pumps.items():
            values = ",".join(f"{value:.2f}" for value in sensors[t])
            lines.append(f"{START + np.timedelta64(10 * t, 's')},{name},{values}")
    Path(__file__).with_name("pumps.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
