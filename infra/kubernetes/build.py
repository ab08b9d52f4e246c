"""What kustomize makes of a folder; no cluster is asked."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["OVERLAYS", "BuildError", "Manifest", "build", "find_kubectl"]

HERE = Path(__file__).parent
OVERLAYS = {name: HERE / name for name in ("base", "production")}

Manifest = dict[str, Any]


class BuildError(RuntimeError):
    """Kustomize refused a folder, or is not here."""


def find_kubectl() -> Path:
    """Return where kubectl is: beside this Python, else on the PATH.

    Raises
    ------
    BuildError
        If it is nowhere.
    """
    beside = Path(sys.executable).with_name("kubectl")
    if beside.exists():
        return beside
    found = shutil.which("kubectl")
    if found is None:
        msg = "kubectl: expected beside this Python or on the PATH, found nowhere; `make setup`"
        raise BuildError(msg)
    return Path(found)


def build(folder: Path) -> list[Manifest]:
    """Build a folder, as ``kubectl apply -k`` would before it sends what comes out.

    Raises
    ------
    BuildError
        With what kustomize said, of which nothing is taken for a mere warning.
    """
    made = subprocess.run(
        [find_kubectl(), "kustomize", folder], capture_output=True, text=True, check=False
    )
    if made.returncode or made.stderr:
        msg = f"{folder}: expected kustomize to build it in silence, got: {made.stderr.strip()}"
        raise BuildError(msg)
    return list(YAML(typ="safe").load_all(made.stdout))
