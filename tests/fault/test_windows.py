"""No reading is lost where several are coded together: kill -9 in the middle of frames."""

from pathlib import Path

import pytest

from tests.brokers import ApacheKafka
from tests.fault.faults import Fault, Figures
from tests.fault.readings import CHANNELS, GROUPS, ROWS
from tests.fault.rows import perform
from tests.fault.stage import HELD_BACK, Stage
from tests.fault.to_workers import killed_five_times_at_random
from tests.traffic import CUT, Record, machine

WINDOW = 4  # so that each group's last frame is full, also when the last readings are held back

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


def killed_five_times_within_windows(stage: Stage) -> Figures:
    stage.more["coding"] = {"window": WINDOW}
    stage.more["channels"] = {"names": [str(number) for number in range(CHANNELS)]}
    return killed_five_times_at_random(stage)


def full_frames() -> list[Record]:
    assert ROWS % WINDOW == (ROWS - HELD_BACK // len(GROUPS)) % WINDOW == 0
    return machine(GROUPS, ROWS, channels=CHANNELS)


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_every_reading_has_a_place_in_one_frame_whatever_is_killed(
    delivery: str, apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    fault = Fault(killed_five_times_within_windows, seconds=15.0, kills=True, portions=True,
                  records=full_frames)  # fmt: skip

    row = perform(fault, delivery, apache_kafka, tmp_path)

    ledger = row.ledger
    assert (ledger.missing, ledger.both, ledger.strange, ledger.off) == (0, 0, 0, 0)
    assert ledger.coded == ledger.sent == ROWS * len(GROUPS)
    assert ledger.repeats <= row.allowed + (WINDOW - 1) * len(GROUPS) * bool(row.allowed)
    assert ledger.unlike <= 1 + CUT * ledger.repeats
