"""The default learner: what it finds, when it sharpens, and when it starts anew."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from oodl.adaptive import Adaptive, AdaptiveState
from oodl.distance import distance, orthogonality_defect
from oodl.learner import chunk_size
from oodl.synthetic import Planted, random_orthogonal

LEARNER = Adaptive()
Rows = npt.NDArray[np.floating]


def planted(n: int, density: float, seed: int, snr_db: float = 20.0) -> Planted:
    return Planted(random_orthogonal(n, np.random.default_rng(seed)), density, snr_db)


def learn(
    state: AdaptiveState, draw: Callable[[int], Rows], rows: int, learner: Adaptive = LEARNER
) -> AdaptiveState:
    """Feed so many rows, in the learner's chunks."""
    end = state.seen + rows
    while state.seen < end:
        state = learner.step(state, draw(chunk_size(len(state.dictionary), state.seen)))
    return state


def drawing(source: Planted, seed: int) -> Callable[[int], Rows]:
    rng = np.random.default_rng(seed)
    return lambda rows: source.draw(rows, rng)


@pytest.mark.parametrize(
    ("n", "density", "at_100", "at_300"),
    [
        (64, 0.1, 5e-4, 1e-4),
        (64, 0.3, 1.0, 3e-4),
        (16, 0.05, 1.0, 1.5e-4),
        (16, 0.1, 1.0, 1.5e-4),
        (16, 0.3, 1.0, 1.5e-4),
    ],
)
@pytest.mark.parametrize("seed", [101, 102])
def test_it_comes_as_near_as_all_rows_at_once_would(
    n: int, density: float, at_100: float, at_300: float, seed: int
) -> None:
    source = planted(n, density, seed)
    draw = drawing(source, seed)
    state = learn(LEARNER.start(n), draw, 100 * n)
    assert distance(state.dictionary, source.dictionary) <= at_100
    state = learn(state, draw, 200 * n)
    assert distance(state.dictionary, source.dictionary) <= at_300
    assert orthogonality_defect(state.dictionary) <= 1e-5


def test_rarely_active_atoms_are_found_in_every_stream() -> None:
    for seed in range(101, 121):
        source = planted(16, 0.05, seed)
        state = learn(LEARNER.start(16), drawing(source, seed), 300 * 16)
        assert distance(state.dictionary, source.dictionary) <= 1.5e-4


def spiked(draw: Callable[[int], Rows], seed: int, channels: int | None) -> Callable[[int], Rows]:
    """One row in a hundred is thirty deviations out, in all channels or in one."""
    rng = np.random.default_rng(seed)

    def rows(count: int) -> Rows:
        Y = draw(count)
        hit = np.flatnonzero(rng.random(count) < 0.01)
        size = (len(hit), channels or Y.shape[1])
        where = rng.permuted(np.tile(np.arange(Y.shape[1]), (len(hit), 1)), axis=1)[:, : size[1]]
        Y[hit[:, None], where] += 30 * Y.std() * rng.choice([-1, 1], size)
        return Y

    return rows


@pytest.mark.parametrize("channels", [None, 1], ids=["whole rows", "one channel"])
@pytest.mark.parametrize("n", [16, 64])
def test_spikes_do_no_harm(n: int, channels: int | None) -> None:
    source = planted(n, 0.1, 113)
    state = learn(LEARNER.start(n), spiked(drawing(source, 113), 114, channels), 200 * n)
    assert distance(state.dictionary, source.dictionary) <= 2e-4
    assert state.restarts == 0


def test_missing_values_do_little_harm() -> None:
    source, rng = planted(16, 0.1, 115), np.random.default_rng(116)
    draw = drawing(source, 115)

    def with_gaps(rows: int) -> Rows:
        Y = draw(rows)
        Y[rng.random(Y.shape) < 0.03] = np.nan
        return Y

    state = learn(LEARNER.start(16), with_gaps, 300 * 16)
    assert distance(state.dictionary, source.dictionary) <= 5e-4


def test_rows_of_which_nothing_came_teach_nothing() -> None:
    source = planted(16, 0.1, 117)
    state = learn(LEARNER.start(16), drawing(source, 117), 100 * 16)
    after = LEARNER.step(state, np.full((100, 16), np.nan))
    np.testing.assert_array_equal(after.dictionary, state.dictionary)
    assert after.seen == state.seen + 100


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-9), ("float32", 2e-6)])
def test_without_noise_the_error_falls_to_that_of_the_numbers(dtype: str, most: float) -> None:
    source = planted(64, 0.1, 103, np.inf)
    state = learn(LEARNER.start(64, dtype=dtype), drawing(source, 103), 300 * 64)
    assert distance(state.dictionary, source.dictionary) <= most


def test_gaussian_readings_never_pass_for_sparse_ones() -> None:
    rng = np.random.default_rng(104)
    state = learn(LEARNER.start(8), lambda rows: rng.standard_normal((rows, 8)), 400 * 8)
    assert state.sharp is None
    assert state.restarts == 0


@pytest.mark.parametrize(("n", "within"), [(64, 180), (16, 300)])
def test_after_a_jump_it_is_back_soon(n: int, within: int) -> None:
    before, after = planted(n, 0.1, 105), planted(n, 0.1, 106)
    state = learn(LEARNER.start(n), drawing(before, 105), 200 * n)
    old = distance(state.dictionary, before.dictionary)
    state = learn(state, drawing(after, 106), within * n)
    assert state.restarts == 1
    assert state.why in {"jump", "mixed"}
    assert distance(state.dictionary, after.dictionary) <= 2 * old


@pytest.mark.parametrize(("n", "mixed"), [(64, 4), (64, 16), (16, 4)])
def test_a_few_mixed_atoms_are_noticed(n: int, mixed: int) -> None:
    before = planted(n, 0.1, 107)
    mixing = np.eye(n)
    mixing[:mixed, :mixed] = random_orthogonal(mixed, np.random.default_rng(108))
    after = Planted(before.dictionary @ mixing, 0.1, 20.0)
    state = learn(LEARNER.start(n), drawing(before, 107), 200 * n)
    state = learn(state, drawing(after, 108), 200 * n)
    assert (state.restarts, state.why) == (1, "mixed")
    assert distance(state.dictionary, after.dictionary) < 3e-4


def test_a_slow_turn_is_followed() -> None:
    """A memory that only grows is 60 times farther off: .08."""
    source, rng = planted(16, 0.1, 118), np.random.default_rng(119)
    K = rng.standard_normal((16, 16))
    K = (K - K.T) / np.linalg.norm(K - K.T, axis=1).mean()
    state = learn(LEARNER.start(16), drawing(source, 118), 200 * 16)
    Q, R = np.linalg.qr(np.eye(16) + 0.001 * 4 * K)
    D, turn = source.dictionary, Q * np.sign(np.diag(R))  # a thousandth of a radian every N rows
    for _ in range(50):
        D = D @ turn
        state = learn(state, drawing(Planted(D, 0.1, 20.0), state.seen), 64)
    assert state.restarts == 0
    assert distance(state.dictionary, D) < 0.003


@pytest.mark.parametrize("n", [16, 64])
@pytest.mark.parametrize("seed", [109, 110])
def test_steady_rows_louder_noise_and_another_gain_cause_no_restart(n: int, seed: int) -> None:
    source = planted(n, 0.1, seed)
    draw, rng = drawing(source, seed), np.random.default_rng(seed)
    state = learn(LEARNER.start(n), draw, 500 * n)
    assert state.restarts == 0
    state = learn(state, lambda k: draw(k) + 0.05 * rng.standard_normal((k, n)), 100 * n)
    assert state.restarts == 0
    state = learn(state, lambda k: 3 * draw(k), 100 * n)
    assert state.restarts == 0
    assert state.sharp is not None


@pytest.mark.parametrize("level", [0.0, 1e-30])
def test_constant_channels_do_not_disturb_the_others(level: float) -> None:
    source = planted(16, 0.1, 111)
    draw = drawing(source, 111)

    def with_constants(rows: int) -> Rows:
        return np.hstack([draw(rows), np.full((rows, 8), level)])

    state = learn(LEARNER.start(24), with_constants, 400 * 16)
    found = state.dictionary[:16, :16]
    assert state.restarts == 0
    assert distance(found, source.dictionary) < 1e-3
    assert np.allclose(state.dictionary[16:, 16:], np.eye(8), atol=1e-5)


def test_rows_of_zeros_after_others_raise_nothing_and_break_nothing() -> None:
    source = planted(16, 0.1, 112)
    state = learn(LEARNER.start(16), drawing(source, 112), 100 * 16)
    state = learn(state, lambda rows: np.zeros((rows, 16)), 50 * 16)
    assert np.isfinite(state.dictionary).all()
    assert orthogonality_defect(state.dictionary) <= 1e-5


@pytest.mark.parametrize("scale", [1e-8, 1.0, 5e8])
def test_the_scale_of_readings_does_not_matter(scale: float) -> None:
    """At 5e8 the memory that the threshold starts from had overflown."""
    source = planted(8, 0.1, 121)
    draw = drawing(source, 121)
    state = learn(LEARNER.start(8), lambda rows: scale * draw(rows), 300 * 8)
    assert state.sharp is not None
    assert distance(state.dictionary, source.dictionary) <= 5e-4


def test_a_spike_among_the_last_rows_of_the_search_does_no_harm() -> None:
    """It had set the threshold to start from: error .032."""
    source, n = planted(32, 0.1, 122), 32
    draw, state = drawing(source, 122), LEARNER.start(32)
    while state.sharp is None:
        Y = draw(chunk_size(n, state.seen))
        after = LEARNER.step(state, Y)
        Y[-1, 3] *= 1 if after.sharp is None else 1e4
        state = LEARNER.step(state, Y)
    state = learn(state, draw, 20 * n)
    assert distance(state.dictionary, source.dictionary) <= 0.003


def test_late_in_a_stream_a_jump_is_over_as_soon() -> None:
    """In chunks of 128 rows, as groups learn late, it took 67N rows on average, now 29N."""
    rows = 0
    for seed in range(123, 129):
        before, after = planted(16, 0.1, seed), planted(16, 0.1, seed + 100)
        state = learn(LEARNER.start(16), drawing(before, seed), 300 * 16)
        draw = drawing(after, seed + 100)
        while state.restarts == 0:
            state = LEARNER.step(state, draw(128))
        while distance(state.dictionary, after.dictionary) > 0.02:
            state, rows = LEARNER.step(state, draw(128)), rows + 128
    assert rows <= 6 * 45 * 16


@pytest.mark.parametrize("huge", [1e13, 1e20, 3e38])
def test_values_too_large_for_their_type_are_missing(huge: float) -> None:
    source = planted(16, 0.1, 125)
    draw = drawing(source, 125)
    for rows in (20 * 16, 100 * 16):
        state = learn(LEARNER.start(16), draw, rows)
        Y = draw(32).astype(np.float32)
        Y[5, 3] = huge
        state = LEARNER.step(LEARNER.step(state, Y), draw(32))
        assert np.isfinite(state.gradient).all()
        assert orthogonality_defect(state.dictionary) <= 1e-5
