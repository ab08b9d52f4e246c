"""What the runbook asks is answered, and what it calls runs, on a pipeline in trouble."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.programs import wait_until
from tests.stack.stage import Stage

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text()
BLOCK = re.compile(r"^```(text|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINES = [(kind, line) for kind, block in BLOCK.findall(TEXT) for line in block.splitlines()]
EXPRESSIONS = sorted({line for kind, line in LINES if kind == "text"})
OURS = ("oodl ", "curl ")
COMMANDS = sorted({line for kind, line in LINES if kind == "sh" and line.startswith(OURS)})
MAY_BE_EMPTY = re.compile(r" > [\d.]+$|broker-away")  # what is wrong only now and then

pytestmark = [
    pytest.mark.alerts,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("stack_programs"),
]


@pytest.fixture(scope="module")
def troubled(stage: Stage) -> Stage:
    """The stage, with dead letters of every kind."""
    stage.pipeline.plant.poison(0.5)

    def buried() -> bool:
        reasons = stage.prometheus.query("oodl_readings_rejected_total > 0")
        return {sample.labels["reason"] for sample in reasons} >= {"json", "length", "schema"}

    wait_until(buried, "dead letters of every kind")
    stage.pipeline.plant.heal()
    return stage


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_answered(expression: str, troubled: Stage) -> None:
    if MAY_BE_EMPTY.search(expression):
        troubled.prometheus.query(expression)
    else:
        troubled.prometheus.await_value(expression)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command: str, troubled: Stage) -> None:
    # given the runbook's line, with the places of here
    pipeline = troubled.pipeline
    here = command.replace("oodl.toml", str(pipeline.settings)).replace(
        ":9464", f":{pipeline.port}"
    )
    here = re.sub(r"^oodl ", f"{sys.executable} -m flows ", here)
    # when
    ran = subprocess.run(
        ["bash", "-c", here], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    # then
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout
