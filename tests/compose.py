"""docker-compose.yml and the Dockerfile as the tests see them."""

import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["COMPOSE", "DOCKERFILE", "OURS", "ROOT", "SERVICES", "SETTINGS", "health_check", "image"]

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "infra" / "Dockerfile"
SETTINGS = ROOT / "infra" / "oodl.toml"
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def image(keyword: str) -> str:
    """What the last of the Dockerfile's instructions of a kind says, on one line."""
    lines = DOCKERFILE.read_text().replace("\\\n", "").splitlines()
    return [line for line in lines if line.startswith(f"{keyword} ")][-1].removeprefix(keyword)


def health_check() -> list[str]:
    """The command by which our image asks how the pipeline does."""
    found = re.search(r"CMD (\[.*\])", image("HEALTHCHECK"))
    assert found is not None
    command: list[str] = json.loads(found[1])
    return command
