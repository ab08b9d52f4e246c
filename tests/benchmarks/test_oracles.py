"""The comparison of oracles: what it calls right is right, and nothing else."""

import numpy as np
import pytest

from benchmarks import oracles
from benchmarks.oracles import Answer, answers, cheapest_right, met, spread


def test_the_learner_s_matrices_of_both_phases_are_met() -> None:
    phases = met(16, 0.1)
    assert len(phases["search"]) > 10
    assert len(phases["sharp"]) > 10
    assert all(G.shape == (16, 16) and G.dtype == np.float32 for G in phases["search"])


def test_an_exact_oracle_is_right_and_costs_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "ROUNDS", 1)
    rng = np.random.default_rng(1000)
    found = {each.oracle: each for each in answers([rng.standard_normal((40, 40))])}
    assert found["Svd"].cost == 1
    assert found["Svd"].right
    assert found["PolarExpress, checked"].right
    assert not found["adapted to the dimension (ROOT)"].right


@pytest.mark.parametrize("name", ["missed", "defect"])
def test_what_misses_or_is_not_orthogonal_is_not_right(name: str) -> None:
    figures = {"cost": 1.0, "distance": 0.0, "missed": 0.0, "defect": 0.0}
    assert Answer("sound", **figures).right
    assert not Answer("unsound", **figures | {name: 0.01}).right
    assert not Answer("no number", **figures | {name: np.nan}).right


def test_few_matrices_are_all_taken() -> None:
    assert len(spread([np.eye(2)] * 3)) == 3
    assert len(spread([np.eye(2)] * 500)) == oracles.MATRICES


def test_what_costs_the_same_within_the_noise_is_level_and_what_is_wrong_never_wins() -> None:
    found = [
        Answer("wrong", 0.1, 0.0, 0.1, 0.0),
        Answer("near", 0.52, 0.0, 0.0, 0.0),
        Answer("least", 0.5, 0.0, 0.0, 0.0),
        Answer("dear", 0.7, 0.0, 0.0, 0.0),
    ]
    assert cheapest_right(found) == ["least", "near"]
    assert cheapest_right(found[:1]) == []
