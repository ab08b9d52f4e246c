import numpy as np
import pytest

from benchmarks.overlap import auc, held, judged, smoothed
from benchmarks.real import Pca, largest, prequential
from benchmarks.windows import Dct, cases, dct, framed


@pytest.mark.parametrize("window", [1, 4, 16])
def test_the_transform_is_orthonormal(window: int) -> None:
    assert np.allclose(dct(window).T @ dct(window), np.eye(window))


def test_a_smooth_channel_takes_one_atom_of_the_transform_and_keeps_its_place() -> None:
    level = np.repeat([[1.0, 0.0], [0.0, 2.0]], 8, axis=0)
    frames = framed(level, 8)
    atoms = Dct(8).start(np.eye(16)).atoms
    assert np.allclose(np.sort(np.abs(frames @ atoms))[:, :-1], 0)
    assert np.abs(frames @ atoms).argmax(axis=1).tolist() == [0, 1]


def test_frames_are_consecutive_readings_and_none_is_used_twice() -> None:
    readings = np.arange(22.0).reshape(11, 2)
    assert framed(readings, 4).ravel().tolist() == list(range(16))


def test_a_case_has_no_frame_beyond_the_largest_nor_a_channel_that_stands_still() -> None:
    rng = np.random.default_rng(0)
    readings = rng.standard_normal((3000, 40)).cumsum(axis=0)
    readings[:, 7] = 5.0
    found = list(cases("set", {"a": readings}))
    assert {(name, window) for name, window, _ in found} == {
        ("set, whole", 4), ("set, alone", 4), ("set, alone", 8), ("set, alone", 16),
    }  # fmt: skip
    for name, window, frames in found:
        for each in frames.values():
            assert each.shape[1] == window * (40 if name == "set, whole" else 1)
            assert each.std() > 0


def test_eigenvectors_beat_the_transform_where_channels_move_together() -> None:
    rng = np.random.default_rng(0)
    readings = np.outer(rng.standard_normal(4000), np.ones(6)) + 0.1 * rng.standard_normal(
        (4000, 6)
    )
    frames = framed(readings, 4)
    pca, transform = (prequential(rival, largest, frames)[-1] for rival in (Pca(), Dct(4)))
    assert pca < 0.7 * transform


def test_an_auc_counts_pairs() -> None:
    rng = np.random.default_rng(3)
    scores, labels = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
    pairs = np.sign(scores[labels][:, None] - scores[~labels])
    assert auc(scores, labels) == pytest.approx((pairs.mean() + 1) / 2)


def test_frames_side_by_side_are_judged_where_the_group_step_judges_them() -> None:
    rng = np.random.default_rng(5)
    values = rng.standard_normal((1200, 3)) @ rng.standard_normal((3, 3))
    values[1000:] *= 9
    each, aside = judged(values, 2, 1), judged(values, 2, 2)
    told = ~np.isnan(aside)
    assert np.flatnonzero(told).tolist() == list(range(int(np.flatnonzero(told)[0]), 1200, 2))
    assert np.array_equal(each[told], aside[told])
    means = smoothed(held(aside))
    assert means[1190] > 2 > means[990]
