"""The commands of docs/guide/deploying.md: those that need no Docker and no cluster are run.

Of the others it is tried that what they name is there: folders, profiles, labels, Secrets.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.settings import load
from infra.kubernetes.build import OVERLAYS, BuildError, build, find_kubectl
from tests.compose import ROOT, SERVICES
from tests.manifests import absent, one, pods_of

GUIDE = (ROOT / "docs" / "guide" / "deploying.md").read_text()
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", LINES)
def test_a_command_does_what_the_page_says_or_names_what_is_there(line: str) -> None:
    words = shlex.split(line, comments=True)

    [check] = [check for begins, check in CHECKS.items() if line.startswith(begins)]

    check(words)


def kustomize(words: list[str]) -> None:
    made = run(words)

    assert made.returncode == 0, made.stderr
    assert "kind: StatefulSet" in made.stdout


def apply(words: list[str]) -> None:
    assert words[:3] == ["kubectl", "apply", "-k"]
    assert ROOT / words[3] in OVERLAYS.values()


def secret(words: list[str]) -> None:
    """What it would create is what the pods ask for."""
    pods = [*pods_of(build(OVERLAYS["production"]))]
    made = run([*words, "--dry-run=client", "--output=yaml"])
    assert made.returncode == 0, made.stderr
    found = YAML(typ="safe").load(made.stdout)
    name = found["metadata"]["name"]
    mounts = {
        volume["secret"]["secretName"]: container["volumeMounts"]
        for pod in pods
        for container in pod["containers"]
        for volume in pod["volumes"]
        if "secret" in volume
    }
    variables = {
        source["secretRef"]["name"]
        for pod in pods
        for container in pod["containers"]
        for source in container["envFrom"]
    }
    assert name in variables | mounts.keys()
    if name in mounts:
        [folder] = [each["mountPath"] for each in mounts[name] if each["name"] == "ca"]
        asked = load(OVERLAYS["production"] / "oodl.toml").kafka.security["ssl.ca.location"]
        assert asked in {f"{folder}/{key}" for key in found["data"]}


def delete(words: list[str]) -> None:
    """It selects the pods of the pipeline, where they are."""
    manifests = build(OVERLAYS["production"])
    pods = one(manifests, "StatefulSet")
    label, _, value = words[words.index("-l") + 1].partition("=")

    assert pods["spec"]["template"]["metadata"]["labels"][label] == value
    assert pods["metadata"]["namespace"] == words[words.index("-n") + 1]
    assert one(manifests, "Job")["spec"]["template"]["metadata"]["labels"][label] != value


def compose(words: list[str]) -> None:
    profiles = {name for service in SERVICES.values() for name in service.get("profiles", [])}

    asked = {after for word, after in pairwise(words) if word == "--profile"}

    assert asked <= profiles
    assert {"up", "ps", "stop"} & set(words)


def generate(words: list[str]) -> None:
    made = run([sys.executable, *words[1:], "--check"])

    assert made.returncode == 0, made.stderr


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "docker compose ": compose,
    "kubectl kustomize ": kustomize,
    "kubectl apply ": apply,
    "kubectl -n oodl create secret ": secret,
    "kubectl -n oodl delete pod ": delete,
    "python -m infra.": generate,
}


@pytest.fixture(autouse=True)
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's kubectl is ours, in a folder that has the file of an authority."""
    try:
        monkeypatch.setenv(
            "PATH", os.pathsep.join([str(find_kubectl().parent), os.environ["PATH"]])
        )
    except BuildError as missing:
        absent(str(missing))
    (tmp_path / "ca.crt").write_text("of an authority")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)


def run(words: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True, check=False)
