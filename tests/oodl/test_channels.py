"""Which channels a group has, decided from its readings alone."""

from math import isnan
from struct import unpack

from hypothesis import given
from hypothesis import strategies as st

from oodl.channels import AGREEING, ANEW_AFTER, UNDECIDED, ChannelPlan, Refusal, Row


def settle(plan: ChannelPlan, values: list[float | None] | dict[str, float | None]) -> None:
    for _ in range(AGREEING):
        plan.admit(values)


def numbers(row: Row | Refusal) -> list[float]:
    assert isinstance(row, Row)
    return list(unpack(f"<{len(row.channels)}d", row.packed))


def test_readings_that_agree_settle_the_channels_in_the_first_ones_order() -> None:
    plan = ChannelPlan()
    rows = [plan.admit({"b": 1.0, "a": 2.0}) for _ in range(AGREEING - 1)]
    assert not any(isinstance(row, Row) and row.settled for row in rows)

    row = plan.admit({"a": 2.0, "b": 1.0})

    assert isinstance(row, Row)
    assert (row.channels, row.settled) == (("b", "a"), True)
    assert numbers(row) == [1.0, 2.0]


def test_until_then_a_reading_has_its_own_channels() -> None:
    plan = ChannelPlan()
    plan.admit([1.0, 2.0])
    row = plan.admit([1.0, 2.0, 3.0])
    assert isinstance(row, Row)
    assert (row.channels, row.settled) == (("0", "1", "2"), False)


def test_a_reading_that_differs_starts_the_counting_anew() -> None:
    plan = ChannelPlan()
    for _ in range(AGREEING - 1):
        plan.admit({"a": 1.0})
    plan.admit({"b": 1.0})
    row = plan.admit({"a": 1.0})
    assert isinstance(row, Row)
    assert not row.settled


def test_a_group_that_never_agrees_settles_all_the_same() -> None:
    plan = ChannelPlan()
    rows = [plan.admit({"ab"[i % 2]: 1.0}) for i in range(UNDECIDED)]
    assert isinstance(rows[-1], Row)
    assert rows[-1].settled


def test_null_absent_and_what_is_no_float_are_missing() -> None:
    plan = ChannelPlan()
    settle(plan, {"a": 1.0, "b": 1.0, "c": 1.0})
    assert [isnan(x) for x in numbers(plan.admit({"a": None, "c": 10**400}))] == [True] * 3
    plan = ChannelPlan()
    settle(plan, [1.0, 2.0])
    assert isnan(numbers(plan.admit([None, 2.0]))[0])


def test_an_unknown_channel_is_named_and_left_out() -> None:
    plan = ChannelPlan()
    settle(plan, {"a": 1.0})
    row = plan.admit({"a": 2.0, "new": 3.0})
    assert isinstance(row, Row)
    assert (row.channels, row.unknown, numbers(row)) == (("a",), ("new",), [2.0])


def test_a_reading_of_unknown_channels_alone_is_refused() -> None:
    plan = ChannelPlan()
    settle(plan, {"a": 1.0})
    assert plan.admit({"new": 3.0}) == Refusal("channel", "none of the group's channels: new")


def test_growing_takes_an_unknown_channel_in_after_so_many_readings() -> None:
    plan = ChannelPlan(grow=3)
    settle(plan, {"a": 1.0})
    channels = [plan.admit({"a": 1.0, "new": 2.0}) for _ in range(3)]
    assert [row.channels for row in channels if isinstance(row, Row)] == [
        ("a",),
        ("a",),
        ("a", "new"),
    ]


def test_a_list_of_another_length_is_refused_until_it_has_come_often_enough() -> None:
    plan = ChannelPlan()
    settle(plan, [1.0, 2.0])
    refused = [plan.admit([1.0, 2.0, 3.0]) for _ in range(ANEW_AFTER - 1)]
    assert set(map(type, refused)) == {Refusal}
    row = plan.admit([1.0, 2.0, 3.0])
    assert isinstance(row, Row)
    assert row.channels == ("0", "1", "2")


def test_one_fitting_list_starts_that_counting_anew() -> None:
    plan = ChannelPlan()
    settle(plan, [1.0, 2.0])
    for _ in range(ANEW_AFTER - 1):
        plan.admit([1.0])
    plan.admit([1.0, 2.0])
    assert plan.admit([1.0]) == Refusal("length", "expected 2 values, got 1")


def test_named_channels_of_the_settings_hold_from_the_first_reading() -> None:
    plan = ChannelPlan(("a", "b"))
    assert numbers(plan.admit([1.0, 2.0])) == numbers(plan.admit({"b": 2.0, "a": 1.0}))
    assert {type(plan.admit([1.0])) for _ in range(2 * ANEW_AFTER)} == {Refusal}


def test_a_list_for_a_group_of_named_channels_is_refused() -> None:
    plan = ChannelPlan()
    settle(plan, {"a": 1.0})
    assert plan.admit([1.0]) == Refusal("channel", "expected named channels, got a list of values")


def test_too_many_values_are_refused() -> None:
    assert ChannelPlan(max_frame=2).admit([1.0] * 3) == Refusal(
        "length", "expected at most 2 values, got 3"
    )


LISTS = st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=3)
NAMED = st.dictionaries(st.sampled_from("abcd"), st.floats(), min_size=1, max_size=4)


@given(st.lists(st.one_of(LISTS, NAMED), max_size=60), st.integers(0, 60))
def test_a_restored_plan_goes_on_as_the_first_one_would(
    readings: list[list[float | None] | dict[str, float | None]], cut: int
) -> None:
    one = ChannelPlan(grow=5)
    for values in readings[:cut]:
        one.admit(values)
    two = ChannelPlan.restore(one.snapshot(), grow=5)
    assert [one.admit(v) for v in readings[cut:]] == [two.admit(v) for v in readings[cut:]]
