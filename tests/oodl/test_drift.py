"""Rules that tell a drifting dictionary from a steady one."""

import numpy as np
import numpy.typing as npt
import pytest

from oodl.drift import Watch
from oodl.synthetic import random_orthogonal
from oodl.together import Together
from oodl.turning import Turning

Rows = npt.NDArray[np.float64]
N = 16


def codes(rows: int, seed: int, density: float = 0.1) -> Rows:
    rng = np.random.default_rng(seed)
    drawn: Rows = rng.standard_normal((rows, N)) * (rng.random((rows, N)) < density)
    return drawn + 0.03 * rng.standard_normal((rows, N))


def seen(watch: Watch, Z: Rows) -> Watch:
    return watch.update((np.abs(Z) ** 3).sum(axis=0), (Z**2).sum(axis=0), len(Z))


@pytest.mark.parametrize("density", [0.05, 0.1, 0.3])
def test_steady_codes_neither_jump_nor_mix(density: float) -> None:
    watch, together = Watch.start(N), Together.start(N)
    for seed in range(200):
        Z = codes(128, seed, density)
        watch, together = seen(watch, Z), together.update(np.abs(Z) > 0.1)
        assert not watch.jumped
        assert not together.mixed


def test_a_louder_block_is_no_jump() -> None:
    watch = Watch.start(N)
    for seed in range(8):
        Z = codes(128, seed)
        watch = seen(watch, Z)
    loud = 1000 * codes(128, 9)
    assert not seen(watch, loud).jumped


@pytest.mark.parametrize("atoms", [2, 4])
@pytest.mark.parametrize("density", [0.05, 0.1, 0.3])
def test_mixed_atoms_are_told_within_two_windows(atoms: int, density: float) -> None:
    turn = np.eye(N)
    turn[:atoms, :atoms] = random_orthogonal(atoms, np.random.default_rng(atoms))
    together = Together.start(N)
    for seed in range(20):
        together = together.update(np.abs(codes(128, seed, density)) > 0.1)
    told = False
    for seed in range(20, 34):
        together = together.update(np.abs(codes(128, seed, density) @ turn) > 0.1)
        told |= together.mixed
    assert told


def test_turns_without_direction_keep_the_memory() -> None:
    rng = np.random.default_rng(3)
    D = random_orthogonal(N, rng)
    turning, cosines = Turning.start(D), []
    for _ in range(200):
        E = 0.01 * rng.standard_normal((N, N))
        D = D @ np.linalg.qr(np.eye(N) + E - E.T)[0] * np.sign(np.ones(N))
        turning, cosine = turning.update(D, 4 * N)
        cosines.append(cosine)
    assert np.mean(np.array(cosines) > 0) < 0.02


def test_a_steady_turn_shortens_the_memory() -> None:
    rng = np.random.default_rng(4)
    skew = rng.standard_normal((N, N))
    Q, R = np.linalg.qr(np.eye(N) + 0.01 * (skew - skew.T))
    step, D = Q * np.sign(np.diag(R)), np.eye(N)
    turning, cosines = Turning.start(D), []
    for _ in range(5):
        D = D @ step
        turning, cosine = turning.update(D, 4 * N)
        cosines.append(cosine)
    assert cosines[0] == 0
    assert min(cosines[1:]) > 0.7
