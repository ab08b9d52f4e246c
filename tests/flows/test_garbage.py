import gc
import weakref

import pytest

from flows.garbage import YOUNG, seldom_searched


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_left_in_cycles_meanwhile_is_still_found() -> None:
    before = gc.get_threshold()
    gc.collect()
    with seldom_searched():
        left = weakref.ref(Ring())
        assert left() is not None
        gc.collect()
        assert left() is None
    assert gc.get_threshold() == before


def test_what_was_there_is_not_searched_meanwhile_and_found_afterwards() -> None:
    gc.collect()  # so that none comes by itself
    left = weakref.ref(Ring())
    with seldom_searched():
        gc.collect()
        assert left() is not None
        assert gc.get_threshold()[0] == YOUNG
    gc.collect()
    assert left() is None


def test_all_is_as_before_after_an_error() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(RuntimeError), seldom_searched():
        raise RuntimeError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, frozen)
