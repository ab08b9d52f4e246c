import threading

import pytest

from flows.tools.worker import Worker


def test_what_ends_the_work_early_is_raised_where_it_is_awaited() -> None:
    def fail() -> None:
        message = "the broker is away"
        raise ConnectionError(message)

    worker = Worker("input", fail)
    worker.start()

    with pytest.raises(ConnectionError, match="the broker is away"):
        worker.finish()


def test_work_that_ends_well_raises_nothing() -> None:
    done = threading.Event()
    worker = Worker("input", done.set)

    worker.start()
    worker.finish()

    assert done.is_set()
    assert worker.failure is None
