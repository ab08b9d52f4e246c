from collections.abc import Callable

import numpy as np
import pytest

from oodl import contrast
from oodl.contrast import L3, L4, Contrast, HardThreshold
from oodl.errors import ValueFault
from tests.checks import contrast as suite

CASES: list[Contrast] = [L3(), L4(), HardThreshold(level=0.5)]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_contract(case: Contrast, check: Callable[[Contrast], None]) -> None:
    check(case)


def test_every_contrast_is_a_case() -> None:
    roles = {Contrast, contrast.Array}
    offered = {getattr(contrast, name) for name in contrast.__all__} - roles
    assert offered == {type(case) for case in CASES}


@pytest.mark.parametrize(
    ("case", "expected"), [(L3(), 9.0), (L4(), 17.0), (HardThreshold(level=0.5), 4.5)], ids=repr
)
def test_values_by_hand(case: Contrast, expected: float) -> None:
    # given one reading of 2 and 1, and its mirror image
    Z = np.array([[2.0, -1.0], [-2.0, 1.0]])
    # then its cubes, its fourth powers, or its squares less 1/4 each, are added up
    assert case.value(Z) == expected


@pytest.mark.parametrize("level", [0.0, -1.0, np.nan, np.inf])
def test_a_level_that_keeps_all_or_nothing_is_refused(level: float) -> None:
    with pytest.raises(ValueFault, match="level: expected a positive number"):
        HardThreshold(level)


def test_a_code_at_the_level_does_not_count() -> None:
    assert HardThreshold(level=0.5).gradient(np.array([[0.5, -0.5]])).tolist() == [[0.0, 0.0]]
