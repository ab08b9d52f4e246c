"""Records in pages come back as they were, and only what has changed is packed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.pages import PAGE, Pages

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 3 * PAGE), st.binary(min_size=1)))


@given(STEPS)
def test_what_was_written_comes_back_whatever_happened_before(
    steps: list[tuple[bool, int, bytes]],
) -> None:
    pages, expected = Pages(), dict[int, bytes]()
    for leave, number, record in steps:
        taken = sorted(expected)
        if leave and taken:
            place = taken[number % len(taken)]
            pages.leave(place)
            del expected[place]
        elif number % 2 and taken:
            expected[taken[number % len(taken)]] = pages[taken[number % len(taken)]] = record
        else:
            place = pages.take()
            assert place not in expected
            expected[place] = pages[place] = record
        if number % 5 == 0:
            pages = Pages(pages.pack())
    assert dict(Pages(pages.pack()).items()) == expected
    assert not pages.changed


def test_only_the_page_of_what_has_changed_is_packed_anew() -> None:
    pages = Pages()
    for number in range(4 * PAGE):
        pages[pages.take()] = b"%d" % number
    before = list(pages.pack())

    pages[2 * PAGE + 7] = b"another"

    assert [new is old for new, old in zip(pages.pack(), before, strict=True)] == [
        True, True, False, True,
    ]  # fmt: skip


def test_the_same_record_is_no_change() -> None:
    pages = Pages()
    pages[pages.take()] = b"press"
    pages.pack()
    pages[0] = b"press"
    assert not pages.changed


@pytest.mark.parametrize("page", [b"", b"x", b"x\x9cK\x04"])
def test_a_damaged_page_is_a_value_error(page: bytes) -> None:
    with pytest.raises(ValueError, match=r"decompress|truncated|incomplete"):
        Pages([page])
