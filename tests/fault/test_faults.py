"""Every fault that a pipeline is to outlive, done to it with readings on their way: a row each.

20,000 readings a row, for both ways of delivery, on a real broker. What was found goes to the file
that FAULTS_RECORD names; docs/reliability.md is made of it.
"""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from benchmarks.record import Bar, record
from tests.fault.faults import Fault
from tests.fault.rows import Row, bars, perform
from tests.fault.table import FAULTS
from tests.traffic import CUT

BESIDE = {"apache_kafka": 3, "troubled_kafka": 1, "three_kafkas": 1}  # rows at a time on each
CASES = [(fault, delivery) for fault in FAULTS for delivery in fault.deliveries]
Key = tuple[Fault, str]

UNCLOSED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = [
    pytest.mark.fault,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings(UNCLOSED),  # kafka-python leaves those of refused connections
]


@pytest.fixture(scope="module")
def rows(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Key, Future[Row]]]:
    """Those that were asked for, on their way beside each other: most of a row is waiting."""
    began = time.monotonic()
    asked = asked_for(request.session.items)
    brokers = {
        name: request.getfixturevalue(name) for name in {fault.brokers for fault, _ in asked}
    }
    found: dict[Key, Future[Row]] = {}
    with ExitStack() as held:
        pools = {name: held.enter_context(ThreadPoolExecutor(BESIDE[name])) for name in brokers}
        for fault, delivery in asked:
            folder, name = tmp_path_factory.mktemp(repr(fault)), fault.brokers
            row = pools[name].submit(perform, fault, delivery, brokers[name], folder)
            found[fault, delivery] = row
        yield found
        for row in found.values():
            row.cancel()
    if file := os.environ.get("FAULTS_RECORD"):
        write(Path(file), [*found.values()], began)


@pytest.mark.parametrize(("fault", "delivery"), CASES, ids=repr)
def test_no_reading_is_lost(fault: Fault, delivery: str, rows: dict[Key, Future[Row]]) -> None:
    row = rows[fault, delivery].result()

    ledger = row.ledger
    assert (ledger.missing, ledger.both, ledger.strange, ledger.off) == (0, 0, 0, 0)
    assert ledger.coded + ledger.buried == ledger.sent
    assert ledger.repeats <= row.allowed
    assert ledger.unlike <= 1 + CUT * ledger.repeats or fault.forgets
    assert row.told + row.scraped <= ledger.outputs


def asked_for(items: list[pytest.Item]) -> list[Key]:
    """The cases of this module that were selected."""
    params = [item.callspec.params for item in items if isinstance(item, pytest.Function)
              if "rows" in item.fixturenames]  # fmt: skip
    return [cast(Key, (each["fault"], each["delivery"])) for each in params]


def is_done(row: Future[Row]) -> bool:
    return row.done() and not row.cancelled() and row.exception() is None


def write(file: Path, futures: list[Future[Row]], began: float) -> None:
    """Write what was found, when and on what; of rows that came to no end, how many they are."""
    rows = [future.result() for future in futures if is_done(future)]
    lost = Bar("rows that came to no end", len(futures) - len(rows), 0)
    told = record(
        "Is a reading lost, whatever is done to the pipeline?",
        [*bars(rows), lost],
        began,
        command="make fault",
        rows=[row.as_json() for row in rows],
    )
    file.write_text(json.dumps(told, indent=1) + "\n")
