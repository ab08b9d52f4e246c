"""What every contrast keeps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oodl.contrast import Array, Contrast

TYPES: list[np.dtype[Any]] = [np.dtype(np.float32), np.dtype(np.float64)]
NUMBERS = st.floats(-100, 100, width=32, allow_subnormal=False)
TINY = 1e-30  # below it float32 loses digits
SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (7, 5)]


@st.composite
def blocks(draw: st.DrawFn, columns: int | None = None) -> Array:
    """A block of few rows, sizes 1 and 2 among them, in either type."""
    dtype = draw(st.sampled_from(TYPES))
    shape = (draw(st.integers(1, 5)), columns or draw(st.integers(1, 5)))
    return draw(arrays(dtype, shape, elements=NUMBERS))


def check_gradient_is_finite_differences_up_to_one_factor(contrast: Contrast) -> None:
    factors = []
    for rows, n in SHAPES:
        rng = np.random.default_rng(rows * n)
        sizes = np.linspace(3.1, 0.2, rows * n) * rng.choice([-1.0, 1.0], rows * n)
        Z = rng.permutation(sizes).reshape(rows, n)

        gradient, slopes = contrast.gradient(Z), finite_differences(contrast.value, Z)

        factor = (gradient * slopes).sum() / (gradient**2).sum()
        np.testing.assert_allclose(factor * gradient, slopes, atol=1e-6)
        factors.append(factor)
    assert min(factors) > 0
    np.testing.assert_allclose(factors, factors[0], rtol=1e-6)


def check_signs_and_order_of_atoms_do_not_matter(contrast: Contrast) -> None:
    @given(blocks(), st.randoms(use_true_random=False))
    def law(Z: Array, random: Any) -> None:
        order = random.sample(range(Z.shape[1]), Z.shape[1])
        signs = np.array([random.choice([-1, 1]) for _ in order], dtype=Z.dtype)

        renamed = Z[:, order] * signs

        assert contrast.value(renamed) == pytest.approx(contrast.value(Z), rel=1e-5, abs=TINY)
        follows = contrast.gradient(Z)[:, order] * signs
        np.testing.assert_array_equal(contrast.gradient(renamed), follows)

    law()


def check_value_is_a_mean_over_rows(contrast: Contrast) -> None:
    @given(blocks())
    def law(Z: Array) -> None:
        twice = np.concatenate([Z, Z])
        half = contrast.gradient(twice)[: len(Z)]
        assert contrast.value(twice) == pytest.approx(contrast.value(Z), rel=1e-5, abs=TINY)
        np.testing.assert_allclose(2 * half, contrast.gradient(Z), rtol=1e-5, atol=TINY)

    law()


def check_it_is_convex(contrast: Contrast) -> None:
    @given(st.data())
    def law(data: st.DataObject) -> None:
        Z = data.draw(blocks())
        W = data.draw(arrays(Z.dtype, Z.shape, elements=NUMBERS))

        middle = contrast.value((Z + W) / 2)

        assert middle <= (contrast.value(Z) + contrast.value(W)) / 2 * (1 + 1e-5) + 1e-6

    law()


def check_energy_on_one_atom_scores_highest(contrast: Contrast) -> None:
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((50, 4))
    spread /= np.linalg.norm(spread, axis=1, keepdims=True)

    for row in spread:
        assert contrast.value(row[None, :]) < contrast.value(np.eye(4)[:1])


def check_weights_take_the_place_of_the_mean(contrast: Contrast) -> None:
    Z = np.random.default_rng(1).standard_normal((4, 3))
    alike, heavy = np.full(4, 0.25), np.array([0.25, 0.5, 0.0, 0.25])
    np.testing.assert_allclose(contrast.gradient(Z, alike), contrast.gradient(Z))
    expected = contrast.gradient(Z) * np.array([1, 2, 0, 1])[:, None]
    np.testing.assert_allclose(contrast.gradient(Z, heavy), expected)


def check_type_is_kept(contrast: Contrast) -> None:
    for dtype in (np.float32, np.float64):
        Z = np.ones((3, 2), dtype)
        assert contrast.gradient(Z).dtype == dtype
        assert type(contrast.value(Z)) is float


def check_input_is_not_written(contrast: Contrast) -> None:
    Z = np.linspace(-3, 3, 6).reshape(3, 2)
    before = Z.copy()

    gradient = contrast.gradient(Z)
    contrast.value(Z)

    np.testing.assert_array_equal(Z, before)
    assert not np.shares_memory(gradient, Z)


def finite_differences(function: Callable[[Array], float], at: Array) -> Array:
    """Slopes entry by entry, by central differences in float64."""
    slopes = np.zeros(at.shape)
    step = 1e-5
    for place in np.ndindex(at.shape):
        nudge = np.zeros(at.shape)
        nudge[place] = step
        slopes[place] = (function(at + nudge) - function(at - nudge)) / (2 * step)
    return slopes


CHECKS: list[Callable[[Contrast], None]] = [
    check_gradient_is_finite_differences_up_to_one_factor,
    check_signs_and_order_of_atoms_do_not_matter,
    check_value_is_a_mean_over_rows,
    check_it_is_convex,
    check_energy_on_one_atom_scores_highest,
    check_weights_take_the_place_of_the_mean,
    check_type_is_kept,
    check_input_is_not_written,
]
