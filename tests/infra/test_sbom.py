"""`make sbom` lists what the lock has, each part with the hashes that it is installed by."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_part_of_the_lock_is_listed_with_its_hashes(tmp_path: Path) -> None:
    made = tmp_path / "deep" / "sbom.json"
    # given this environment, as `make setup` made it or another way
    ready = [each for name in (".locked", ".ready") for each in ("-o", f".venv/{name}")]
    where = [f"BIN={Path(sys.executable).parent}", f"SBOM={made}"]

    ended = subprocess.run(
        ["make", "-s", *ready, "sbom", *where],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    found = json.loads(made.read_text())
    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "oodl"
    assert hashes(found["components"]) == locked()


def hashes(components: "list[dict[str, object]]") -> dict[str, set[str]]:
    """By name and version, what a part's files may be."""
    return {
        f"{part['name']}=={part['version']}": set(
            re.findall(r"[0-9a-f]{64}", json.dumps(part["externalReferences"]))
        )
        for part in components
    }


def locked() -> dict[str, set[str]]:
    """The same, as pip reads it from the lock."""
    text = (ROOT / "requirements.lock").read_text()
    parts = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    found = {re.split(r"[ ;]", part)[0]: set(re.findall(r"[0-9a-f]{64}", part)) for part in parts}
    assert len(found) > 50
    assert all(found.values())
    return found
