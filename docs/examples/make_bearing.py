"""Writes ``bearing.csv``: one vibration sensor, whose swings become shorter at the end.

It swings about every eight readings, now stronger, now weaker. In the last 240 readings it swings
about every three, no stronger than before: no single value is out of the ordinary.
"""

from pathlib import Path

import numpy as np

READINGS, FAULT = 1800, 1560  # one a second; the reading from which on it swings faster
START = np.datetime64("2026-03-02T08:00:00")
USUAL, FAULTY = 8.0, 3.0  # readings a swing


def swings(rng: np.random.Generator, period: float) -> np.ndarray:
    """Return a random oscillation of about that period and of variance one."""
    sway, turn = np.zeros(READINGS, complex), 0.9995 * np.exp(2j * np.pi / period)
    for t in range(1, READINGS):
        sway[t] = turn * sway[t - 1] + complex(*rng.standard_normal(2))
    values: np.ndarray = sway.real / sway.real.std()
    return values


def main() -> None:
    """Write the file next to this one."""
    rng = np.random.default_rng(7)
    values = swings(rng, USUAL)
    values[FAULT:] = swings(rng, FAULTY)[FAULT:]
    values = 2.1 + 0.35 * values + 0.03 * rng.standard_normal(READINGS)
    lines = ["time,vibration_mms"]
    for t, value in enumerate(values):
        lines.append(f"{START + np.timedelta64(t, 's')},{value:.2f}")
    Path(__file__).with_name("bearing.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
