"""What is usual for a group, against exact medians and quantiles."""

import numpy as np
import pytest

from oodl.recent import EDGES, LEAST_LIMIT, MEMORY, QUANTILE, USUAL_SHARE, Recent


def left_of(rng: np.random.Generator, rows: int, scale: float = 1.0) -> np.ndarray:
    """Mean squares left by 0..8 atoms of random rows."""
    squares = np.sort((scale * rng.standard_normal((rows, 8))) ** 2, axis=1)[:, ::-1]
    return np.hstack([np.cumsum(squares[:, ::-1], axis=1)[:, ::-1], np.zeros((rows, 1))]) / 8


def test_usual_is_the_median_and_the_limit_the_quantile() -> None:
    left = left_of(np.random.default_rng(0), 1500)
    recent = Recent.start(8)
    for chunk in np.array_split(left, 40):
        recent = recent.update(chunk)
    counts = np.argmax(left <= LEAST_LIMIT**2, axis=1)
    assert recent.usual == min(int(np.median(counts)), 8 // USUAL_SHARE)
    exact = np.quantile(np.sqrt(left[:, recent.usual]), QUANTILE)
    assert recent.limit(recent.usual) == pytest.approx(exact, rel=0.1)


def test_old_frames_fade() -> None:
    rng = np.random.default_rng(1)
    recent = Recent.start(8)
    for scale in [5.0] * 40 + [0.5] * 200:
        recent = recent.update(left_of(rng, MEMORY // 20, scale))
    exact = np.quantile(np.sqrt(left_of(rng, 5000, 0.5)[:, 1]), QUANTILE)
    assert recent.limit(1) == pytest.approx(exact, rel=0.15)


def test_the_limit_is_never_below_the_default_tolerance() -> None:
    recent = Recent.start(2).update(np.zeros((10, 3)))
    assert (recent.usual, recent.limit(0)) == (0, LEAST_LIMIT)


def test_an_error_beyond_the_histogram_gives_its_end() -> None:
    recent = Recent.start(1).update(np.array([[1e9, 0.0]] * 10))
    assert recent.limit(0) == EDGES[-1]


def test_the_memory_does_not_grow() -> None:
    recent = Recent.start(8)
    size = recent.errors.nbytes
    for _ in range(50):
        recent = recent.update(left_of(np.random.default_rng(2), 100))
    assert recent.errors.nbytes == size
    assert recent.errors.sum(axis=1) == pytest.approx(np.ones(3), rel=1e-4)


def test_errors_fall_into_the_cells_between_the_edges() -> None:
    # given errors in the middle of each cell, and on either side of all
    middles = np.concatenate([[0.0, LEAST_LIMIT], np.sqrt(EDGES[1:] * EDGES[:-1]), [60.0, 1e6]])
    left = np.column_stack([middles**2, np.zeros(len(middles))]).astype(np.float32)
    recent = Recent.start(1).update(left)
    # then each is counted where a search would have put it
    cells = np.searchsorted(EDGES, middles)
    assert np.allclose(recent.errors[0] * len(middles), np.bincount(cells, minlength=65))


def test_errors_are_kept_for_numbers_of_atoms_that_may_be_usual() -> None:
    assert [len(Recent.start(n).errors) - 1 for n in (1, 2, 8, 64)] == [1, 1, 2, 21]
