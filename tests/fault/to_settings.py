"""What is done to the settings, and to what comes in."""

import signal

from tests.fault.faults import ALL, PORTION, Figures, work_and_end
from tests.fault.readings import GROUPS
from tests.fault.stage import Stage

__all__ = ["half_of_it_poison", "settings_changed"]

CHANGES: list[tuple[str, dict[str, object], int]] = [  # and how many groups start anew
    ("coding", {"tolerance": 0.05}, 0),
    ("channels", {"max_frame": 128}, len(GROUPS)),
]


def settings_changed(stage: Stage) -> Figures:
    """Change a setting that acts at once, then one that the groups learned under."""
    stage.allow(3 * PORTION)
    work_and_end(stage)
    for section, values, anew in CHANGES:
        stage.more[section] = values
        stage.allow(3 * PORTION)
        with stage.worker() as worker:
            worker.await_metrics()
            stage.await_caught_up()
            shown = worker.metrics()
            assert worker.end(signal.SIGTERM) == 0
        assert shown.get(("oodl_oddities_total", "group_restarted"), 0) == anew
    stage.allow(ALL)
    return {}


def half_of_it_poison(stage: Stage) -> Figures:
    with stage.worker() as worker:
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0
    return {}
