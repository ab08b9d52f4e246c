import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.flows.test_verdict import FIELDS

START_SECONDS = 60.0
END_SECONDS = 30.0
ALIVE = re.compile(r"metrics at (http://127\.0\.0\.1:\d+/metrics)")


@contextmanager
def demo(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Any]:
    """The demo as a process of its own, which no test leaves behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | (environment or {}),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: Any, matching: re.Pattern[str]) -> re.Match[str]:
    """Wait for a line of the output."""
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    assert ready, "the demo says nothing"
    found = matching.search(process.stdout.readline())
    assert found, "the demo says something else"
    return found


def last_figures(output: str) -> dict[str, Any]:
    figures = json.loads(output.splitlines()[-1])
    assert isinstance(figures, dict)
    return figures


def broken_rules(figures: dict[str, Any]) -> list[str]:
    """The rules of the demo, written once more, by the figures alone."""
    kept: Sequence[tuple[str, bool]] = [
        ("lost", figures["lost"] == 0),
        ("largest_error", figures["largest_error"] <= figures["tolerance"]),
        ("share_version_0", figures["share_version_0"] <= 0.5),
        ("fleet_density", figures["fleet_density"] <= 0.6 * figures["fleet_density_identity"]),
        ("recomputed_error_difference", figures["recomputed_error_difference"] <= 1e-4),
        ("fleet_planted_distance", figures["fleet_planted_distance"] <= 0.05),
    ]
    return [name for name, holds in kept if not holds]


def named_rules(errors: str) -> list[str]:
    return re.findall(r"^oodl demo: (\w+): expected at most", errors, re.MULTILINE)


def test_the_demo_ends_by_itself_and_judges_what_it_has_seen() -> None:
    with demo("--seconds", "12") as process:
        address = first_line(process, ALIVE)[1]
        time.sleep(5)
        metrics = urllib.request.urlopen(address, timeout=5).read().decode()
        output, errors = process.communicate(timeout=START_SECONDS)

    figures = last_figures(output)
    assert list(figures) == FIELDS
    assert figures["seconds"] >= 12
    assert 0 < figures["first_code_seconds"] < figures["seconds"]
    assert figures["lost"] == 0
    assert figures["readings"] == figures["codes"] == figures["decoded"] > 1000
    assert figures["dead_letters"] == 0
    assert figures["groups"] >= 8
    assert figures["versions"] >= 6
    assert 0 < figures["largest_error"] <= figures["tolerance"] == 0.1
    assert figures["recomputed_error_difference"] <= 1e-4
    assert 0 < figures["fleet_density"] < figures["fleet_density_identity"] <= 1
    assert named_rules(errors) == broken_rules(figures)
    assert process.returncode == (1 if broken_rules(figures) else 0)
    sent = re.search(r"^oodl_codes_sent_total (\S+)$", metrics, re.MULTILINE)
    assert sent
    assert float(sent[1]) > 0
    assert re.search(r'^oodl_readings_coded_total\{group="press-1"\} \S+$', metrics, re.MULTILINE)


def test_ctrl_c_ends_it_with_the_figures_still_last() -> None:
    with demo() as process:
        first_line(process, ALIVE)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=END_SECONDS)

    figures = last_figures(output)
    assert list(figures) == FIELDS
    assert figures["lost"] == 0
    assert figures["readings"] == figures["decoded"] > 0
    assert "Traceback" not in errors
    assert process.returncode == (1 if broken_rules(figures) else 0)


def test_ctrl_c_at_once_ends_it_just_as_cleanly() -> None:
    with demo() as process:
        first_line(process, ALIVE)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=END_SECONDS)

    assert list(last_figures(output)) == FIELDS
    assert "Traceback" not in errors


def test_another_port_is_taken_and_said_when_the_usual_one_is_not_free() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 9464))
        except OSError:
            pass  # something else holds it, which does as well
        else:
            taken.listen()
        with demo("--seconds", "3") as process:
            said = first_line(process, re.compile(r"127\.0\.0\.1:(\d+)/metrics \(9464 is taken\)"))

    assert int(said[1]) != 9464


def test_settings_of_a_pipeline_in_the_environment_do_not_reach_the_demo() -> None:
    production = {"OODL_KAFKA__BOOTSTRAP": "127.0.0.1:1", "OODL_CODING__TOLERANCE": "3"}

    with demo("--seconds", "4", environment=production) as process:
        output, _ = process.communicate(timeout=START_SECONDS)

    figures = last_figures(output)
    assert figures["decoded"] > 0
    assert figures["tolerance"] == 0.1


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_length_that_is_no_positive_number_is_refused(seconds: str) -> None:
    with demo("--seconds", seconds) as process:
        process.communicate(timeout=START_SECONDS)

    assert process.returncode == 2
