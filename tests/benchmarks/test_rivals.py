import numpy as np
import pytest

from benchmarks.recovery import Setting, errors, stream
from benchmarks.rivals import (
    SPAMS_ABSENT,
    Ours,
    Published,
    Rival,
    Sklearn,
    Spams,
    offline_optimum,
)
from oodl.distance import distance

SETTING = Setting(8, 0.2, 16)
needs_spams = pytest.mark.skipif(SPAMS_ABSENT, reason="SPAMS is not installed")


@pytest.mark.parametrize(
    "rival",
    [Ours(), Published(), Sklearn(0.2), pytest.param(Spams(0.2), marks=needs_spams)],
    ids=repr,
)
def test_every_rival_learns_from_blocks(rival: Rival) -> None:
    given = stream(SETTING, 1)
    before = distance(given.initial, given.planted)
    after = errors(rival, given, SETTING.block, (300,))[300]
    assert after < 0.2 * before


@pytest.mark.parametrize(
    "rival",
    [Ours(), Published(), Sklearn(0.2), pytest.param(Spams(0.2), marks=needs_spams)],
    ids=repr,
)
def test_atoms_have_length_one(rival: Rival) -> None:
    given = stream(SETTING, 1)
    fit = rival.start(given.initial)
    fit.partial_fit(given.rows[:64])
    lengths = np.linalg.norm(fit.atoms, axis=0)
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-5)


def test_all_rows_at_once_come_nearer_than_one_pass() -> None:
    given = stream(SETTING, 2)
    noise = SETTING.density / 10 ** (SETTING.snr_db / 10)
    optimum = offline_optimum(given.rows, SETTING.density, noise, given.initial)
    online = errors(Ours(), given, SETTING.block, (300,))[300]
    assert distance(optimum, given.planted) < 1.2 * online
