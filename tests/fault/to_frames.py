"""kill -9 where several readings stand together: in a message, in a frame, or in both."""

from tests.fault.batches import whole_batches
from tests.fault.faults import PORTION, Figures
from tests.fault.readings import CHANNELS, GROUPS, ROWS
from tests.fault.stage import HELD_BACK, Stage
from tests.fault.to_workers import killed_five_times_at_random
from tests.traffic import Record, machine

__all__ = [
    "killed_with_several_readings_a_message",
    "killed_within_windows",
    "killed_within_windows_across_messages",
    "of_full_frames",
    "of_full_frames_across_messages",
]

# So that each group's last frame is full, also when the last messages are held back.
WINDOW, ACROSS = 4, 5


def killed_with_several_readings_a_message(stage: Stage) -> Figures:
    return killed_five_times_at_random(stage, portion=PORTION // 2)


def killed_within_windows(stage: Stage) -> Figures:
    take_frames(stage, WINDOW)
    return killed_five_times_at_random(stage)


def killed_within_windows_across_messages(stage: Stage) -> Figures:
    take_frames(stage, ACROSS)
    return killed_five_times_at_random(stage, portion=PORTION // 2)


def of_full_frames() -> list[Record]:
    assert ROWS % WINDOW == (ROWS - HELD_BACK // len(GROUPS)) % WINDOW == 0
    return machine(GROUPS, ROWS, channels=CHANNELS)


def of_full_frames_across_messages() -> list[Record]:
    held_back = ROWS * HELD_BACK // len(whole_batches())  # readings of a group
    assert ROWS % ACROSS == (ROWS - held_back) % ACROSS == 0
    return whole_batches()


def take_frames(stage: Stage, window: int) -> None:
    """Code so many readings together; of a frame that has begun all come again after a kill."""
    stage.more["coding"] = {"window": window}
    stage.more["channels"] = {"names": [str(number) for number in range(CHANNELS)]}
    stage.bound += (window - 1) * len(GROUPS)
