"""The Prometheus of docker-compose.yml finds the pipeline."""

import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from flows.settings import load

ROOT = Path(__file__).parent.parent.parent
CONFIGURATION = ROOT / "infra" / "prometheus" / "prometheus.yml"


def test_promtool_accepts_the_configuration(promtool: str) -> None:
    command = [promtool, "check", "config", str(CONFIGURATION)]

    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_pipeline_is_scraped_where_its_settings_say() -> None:
    jobs: list[dict[str, Any]] = YAML(typ="safe").load(CONFIGURATION)["scrape_configs"]

    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}

    port = load(ROOT / "infra" / "oodl.toml").metrics.port
    assert targets["oodl"] == [f"pipeline:{port}"]
