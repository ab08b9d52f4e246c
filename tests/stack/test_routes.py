"""Who is told of what, by infra/prometheus/alertmanager.yml."""

import pytest

from tests.stack.alertmanager import Alertmanager
from tests.stack.configuration import INFRA
from tests.stack.programs import wait_until

pytestmark = pytest.mark.usefixtures("stack_programs")

DOWN = {"alertname": "OodlWorkerDown", "severity": "critical", "job": "oodl"}
SILENT = {"alertname": "OodlGroupSilent", "severity": "warning", "job": "oodl", "group": "oven"}
SURPRISED = {"alertname": "OodlGroupSurprised", "severity": "warning", "job": "oodl"}


def test_what_follows_from_a_worker_that_is_down_is_not_told_beside_it() -> None:
    # given Alertmanager as it ships
    with Alertmanager((INFRA / "alertmanager.yml").read_text()) as alertmanager:
        # when a group is silent, one is surprised, and a worker of another job is down
        alertmanager.tell([SILENT, SURPRISED, {**DOWN, "job": "other"}])
        # then all of it is told
        everything = {"OodlGroupSilent", "OodlGroupSurprised", "OodlWorkerDown"}
        wait_until(lambda: alertmanager.active() == everything, "all three are active")
        # when a worker of theirs is down
        alertmanager.tell([DOWN])
        # then the silence is not, and the surprise still is
        rest = {"OodlGroupSurprised", "OodlWorkerDown"}
        wait_until(lambda: alertmanager.active() == rest, "the silence is held back")
