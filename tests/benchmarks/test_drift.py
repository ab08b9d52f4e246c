import numpy as np
import pytest

from benchmarks.drift import AFTER, FixedMemory, four_atoms, jump, louder, slow_turn, watch
from benchmarks.rivals import Ours
from oodl.distance import orthogonality_defect
from oodl.synthetic import Planted, random_orthogonal


@pytest.fixture
def planted() -> Planted:
    return Planted(random_orthogonal(16, np.random.default_rng(1)), density=0.1, snr_db=20)


def test_four_atoms_change_and_the_others_stay(planted: Planted) -> None:
    _, D = four_atoms(planted, np.random.default_rng(2))(16)
    assert orthogonality_defect(D) < 1e-12
    assert np.any(planted.dictionary != D, axis=0).sum() == 4


def test_a_jump_changes_its_share(planted: Planted) -> None:
    _, D = jump(0.25)(planted, np.random.default_rng(2))(16)
    assert np.any(planted.dictionary != D, axis=0).sum() == 4


def test_a_slow_turn_has_its_speed(planted: Planted) -> None:
    _, D = slow_turn(0.01)(planted, np.random.default_rng(2))(3 * 16)
    assert orthogonality_defect(D) < 1e-12
    turned = np.linalg.norm(D - planted.dictionary) / np.sqrt(16)
    assert turned == pytest.approx(0.03, rel=0.01)


def test_louder_adds_the_power_that_it_says(planted: Planted) -> None:
    rng = np.random.default_rng(2)
    source, _ = louder(planted, rng)(16)
    added = source.draw(200_000, rng).var() - planted.draw(200_000, rng).var()
    assert added == pytest.approx(0.05**2, rel=0.3)


def test_a_fixed_memory_forgets_at_one_speed() -> None:
    memory = FixedMemory(100)
    assert memory(0, 0, 10) == memory(5, 10**6, 10)
    assert 1 - memory(0, 0, 100) == pytest.approx(np.exp(-1))


def test_a_steady_stream_is_back_at_once_and_a_jump_is_not() -> None:
    calm = watch(Ours(), 8, slow_turn(0.0), 1)
    jumped = watch(Ours(), 8, jump(1.0), 1)
    assert calm.back_after < jumped.back_after <= AFTER
