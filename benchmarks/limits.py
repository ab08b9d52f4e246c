"""The question: where is the dictionary found late, and what would find it sooner.

Amplitudes of +-1 at density .3 are nearly Gaussian: their kurtosis is 1 / .3, a Gaussian's 3. The
default learner gets such streams, and some of 128 channels. What 300N of the same rows can tell is
asked of steps over all of them: ``D <- polar(E y g(z)')``, and corrected, ``D <- polar(E y (g(z) -
E g'(z) z)')``, z = D'y: less what Gaussian rows of the same covariance would give, so that
amplitudes on either side of Gaussian are found. ``python -m benchmarks.limits`` writes
``results/limits.json``.

References
----------
A. Hyvarinen, "Fast and Robust Fixed-Point Algorithms for Independent Component Analysis", IEEE
Trans. Neural Networks 10(3), 1999, for the fixed-point steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.record import record, rounded, save
from oodl.adaptive import Adaptive
from oodl.distance import distance
from oodl.learner import chunk_size
from oodl.oracle import Svd
from oodl.synthetic import random_orthogonal

Array = npt.NDArray[np.floating]
Amplitudes = Callable[[np.random.Generator, tuple[int, int]], Array]
Slopes = Callable[[Array], tuple[Array, Array]]

MARKS = (100, 300, 1000, 8000)  # rows, in units of N
KNOWN = 300  # rows that the fixed-point steps have, in units of N
TURNS, FOUND = 300, 1e-3  # at most; and the error at which they end
SNR = 100.0  # power
SEED = 4800


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Gaussian amplitudes."""
    return rng.standard_normal(shape)


def signs(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Amplitudes of 1 and -1."""
    return rng.choice([-1.0, 1.0], shape)


@dataclass(frozen=True, slots=True)
class Case:
    """Streams alike but for their seed, of at most so many rows, in units of N."""

    n: int
    density: float
    amplitudes: Amplitudes
    streams: int
    most: int

    def draw(self, D: Array, rows: int, rng: np.random.Generator) -> Array:
        """Return readings of unit power, shape (rows, N)."""
        codes = self.amplitudes(rng, (rows, self.n)) * (rng.random((rows, self.n)) < self.density)
        noise = rng.standard_normal((rows, self.n)) * np.sqrt(self.density / SNR)
        readings: Array = (codes @ D.T + noise) / np.sqrt(self.density * (1 + 1 / SNR))
        return readings.astype(np.float32)

    def __str__(self) -> str:
        return f"{self.amplitudes.__name__}, N={self.n}, density {self.density:g}"


CASES = (
    Case(128, 0.3, normal, streams=2, most=1000),
    Case(16, 0.3, signs, streams=3, most=1000),
    Case(64, 0.3, signs, streams=2, most=8000),
)
HARD = CASES[-1]


def l3(Z: Array) -> tuple[Array, Array]:
    """Slope and curvature of |z|^3."""
    return np.abs(Z) * Z, 2 * np.abs(Z)


def kurtosis(Z: Array) -> tuple[Array, Array]:
    """Slope and curvature of z^4."""
    squares = Z * Z
    return squares * Z, 3 * squares


def sixth(Z: Array) -> tuple[Array, Array]:
    """Slope and curvature of z^6: of these amplitudes less than of Gaussian ones."""
    squares = Z * Z
    return squares * squares * Z, 5 * squares * squares


def tanh(Z: Array) -> tuple[Array, Array]:
    """Slope and curvature of log cosh z."""
    slopes = np.tanh(Z)
    return slopes, 1 - slopes * slopes


def bell(Z: Array) -> tuple[Array, Array]:
    """Slope and curvature of -exp(-z^2 / 2)."""
    squares = Z * Z
    heights = np.exp(-squares / 2)
    return Z * heights, (1 - squares) * heights


def online(case: Case, seed: int) -> dict[str, object]:
    """Return the default learner's errors by rows, and after how many it changed its contrast."""
    rng = np.random.default_rng([SEED, seed])
    D = random_orthogonal(case.n, rng)
    learner = Adaptive()
    state = learner.start(case.n, initial=random_orthogonal(case.n, rng))
    errors: dict[str, float] = {}
    changed: float | None = None
    for mark in MARKS:
        while mark <= case.most and state.seen < mark * case.n:
            rows = case.draw(D, chunk_size(case.n, state.seen), rng)
            state = learner.step(state, rows)
            if state.sharp is None:
                changed = None
            elif changed is None:
                changed = round(state.seen / case.n)
        if mark <= case.most:
            errors[str(mark)] = rounded(distance(state.dictionary, D))
    return {"stream": str(case), "errors": errors, "changed": changed}


def offline(slopes: Slopes, case: Case, seed: int, *, corrected: bool) -> dict[str, object]:
    """Return the error of steps over all rows, and how many they were."""
    rng = np.random.default_rng([SEED, seed])
    D, oracle = random_orthogonal(case.n, rng), Svd()
    Y, S = case.draw(D, KNOWN * case.n, rng), random_orthogonal(case.n, rng).astype(np.float32)
    turn, error = 0, 1.0
    while turn < TURNS and error > FOUND:
        Z = Y @ S
        slope, curvature = slopes(Z)
        S = oracle(Y.T @ (slope - curvature.mean(axis=0) * Z if corrected else slope))
        turn, error = turn + 1, distance(S, D)
    name = f"{slopes.__name__}{', corrected' if corrected else ''}"
    return {"contrast": name, "error": rounded(error), "turns": turn}


def main() -> None:
    """Measure and record."""
    began = time.monotonic()
    streams = [online(case, seed) for case in CASES for seed in range(case.streams)]
    ways = [(l3, False), *((slopes, True) for slopes in (l3, kurtosis, sixth, tanh, bell))]
    known = [
        offline(slopes, HARD, seed, corrected=corrected)
        for slopes, corrected in ways
        for seed in range(HARD.streams)
    ]
    result = record(
        "where the dictionary is found late", [], began, streams=streams,
        offline={"stream": str(HARD), "rows": KNOWN, "turns": TURNS, "ways": known},
    )  # fmt: skip
    print(f"recorded in {save('limits', result)}")


if __name__ == "__main__":
    main()
