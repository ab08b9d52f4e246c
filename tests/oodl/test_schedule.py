import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodl import schedule
from oodl.errors import ValueFault
from oodl.schedule import MEMORY, STEPPING, TRACKING, WHOLE, Constant, Power, RowMemory, Schedule
from tests.checks import schedule as suite

CASES: list[Schedule] = [
    RowMemory(1.0),
    MEMORY,
    TRACKING,
    STEPPING,
    Power(0.5, 1, 1.0),
    WHOLE,
    Constant(0.0),
]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_contract(case: Schedule, check: Callable[[Schedule], None]) -> None:
    check(case)


def test_every_schedule_is_a_case() -> None:
    offered = {getattr(schedule, name) for name in schedule.__all__}
    kinds = {kind for kind in offered if isinstance(kind, type)} - {Schedule}
    assert kinds == {type(case) for case in CASES}
    assert offered - kinds - {Schedule} <= set(CASES)


@pytest.mark.parametrize("case", [MEMORY, TRACKING, STEPPING, WHOLE], ids=repr)
def test_the_first_step_of_the_house_is_whole(case: Schedule) -> None:
    # else the zero gradient and the arbitrary start would count as data
    assert case(0, 0, 32) == 1


@pytest.mark.parametrize("t", [3, 16, 99, 10_000])
def test_the_paper_s_steps(t: int) -> None:
    assert TRACKING(t, 0, 1) == pytest.approx(min(1, 4 / math.sqrt(t + 1)), rel=1e-12)
    assert STEPPING(t, 0, 1) == pytest.approx(min(1, 2 / (t + 2) ** 0.75), rel=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 500), st.integers(1, 500), st.sampled_from([1.0, 8.0]))
def test_row_memory_fades_alike_in_any_cut(
    seen: int, first: int, second: int, exponent: float
) -> None:
    # given one memory asked once for a chunk, and twice for its two parts
    memory = RowMemory(exponent)
    # when
    at_once = 1 - memory(0, seen, first + second)
    in_parts = (1 - memory(0, seen, first)) * (1 - memory(1, seen + first, second))
    # then the past keeps the same weight
    assert in_parts == pytest.approx(at_once, rel=1e-9, abs=1e-15)


def test_row_memory_of_exponent_one_weighs_all_rows_alike() -> None:
    assert RowMemory(1.0)(3, 30, 10) == pytest.approx(10 / 40)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: RowMemory(0.0),
        lambda: RowMemory(math.nan),
        lambda: Power(0, 1, 1),
        lambda: Power(1, 0, 1),
        lambda: Power(1, 1, -1),
        lambda: Constant(-0.1),
        lambda: Constant(1.1),
        lambda: Constant(math.nan),
    ],
)
def test_a_number_outside_its_range_is_refused(refused: Callable[[], Schedule]) -> None:
    with pytest.raises(ValueFault, match="expected a"):
        refused()


@given(
    st.sampled_from([1.0, 1.5, 14.0]),
    st.integers(0, 10**6),
    st.lists(st.integers(1, 200), max_size=5),
)
def test_a_row_weighs_what_it_would_alone(exponent: float, seen: int, chunks: list[int]) -> None:
    memory = RowMemory(exponent)
    weights, before = np.zeros(0), seen
    for rows in chunks:
        each = memory.each(before, rows)
        assert each.sum() == pytest.approx(memory(0, before, rows), rel=1e-6)
        weights = np.concatenate([(1 - each.sum()) * weights, each])
        before += rows
    if chunks:
        np.testing.assert_allclose(weights, memory.each(seen, sum(chunks)), rtol=1e-4, atol=1e-12)
