"""What every schedule keeps."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from oodl.schedule import Schedule

STEPS = st.integers(0, 10**9)
ROWS = st.integers(1, 512)


def check_it_answers_a_share(schedule: Schedule) -> None:
    @given(STEPS, ROWS, ROWS)
    def law(t: int, rows_before: int, rows: int) -> None:
        share = schedule(t, t * rows_before, rows)
        assert type(share) is float  # a numpy scalar would turn float32 into float64
        assert 0 <= share <= 1

    law()


def check_it_never_rises_along_a_stream(schedule: Schedule) -> None:
    @given(STEPS, STEPS, ROWS)
    def law(one: int, other: int, rows: int) -> None:
        early, late = sorted((one, other))
        assert schedule(early, early * rows, rows) >= schedule(late, late * rows, rows)

    law()


def check_it_remembers_nothing(schedule: Schedule) -> None:
    first = schedule(7, 70, 10)
    schedule(500, 5000, 10)
    assert schedule(7, 70, 10) == first


CHECKS: list[Callable[[Schedule], None]] = [
    check_it_answers_a_share,
    check_it_never_rises_along_a_stream,
    check_it_remembers_nothing,
]
