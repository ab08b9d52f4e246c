"""A release as somebody gets it: built, installed in an empty environment, run away from here."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from oodl import __version__

ROOT = Path(__file__).parents[2]
PUMPS = ROOT / "docs" / "examples" / "pumps.csv"
BESIDE = {  # what an sdist has besides the two packages
    "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md", "pyproject.toml",
    "requirements.lock", ".gitignore",
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run([ROOT / "infra" / "release" / "build", folder], env=environment, check=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and, from the lock, what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    needed = folder / "needed.txt"
    needed.write_text("\n".join(lines_of_lock(needs("oodl"))))
    bin_folder = folder / "env" / "bin"
    [wheel] = built.glob("*.whl")
    pip: list[str | Path] = [bin_folder / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", folder / "env"],
        [*pip, "--require-hashes", "-r", needed],
        [*pip, wheel],
        [bin_folder / "python", "-m", "pip", "check"],
    ]
    for command in commands:
        subprocess.run(command, check=True, env=bare())
    return bin_folder


def test_the_sdist_has_what_is_built_and_nothing_else(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    assert archive.name == f"oodl-{__version__}.tar.gz"
    with tarfile.open(archive) as sdist:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in sdist.getnames()}
    assert {str(name) for name in names if len(name.parts) == 1} == BESIDE
    assert {name.parts[0] for name in names if len(name.parts) > 1} == {"oodl", "flows"}
    assert {str(name) for name in names if name.parts[0] in ("oodl", "flows")} == committed()


def test_the_wheel_has_both_packages_and_nothing_else(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"oodl-{__version__}.dist-info/METADATA").decode()
    assert {name for name in names if ".dist-info/" not in name} == committed()
    assert f"oodl-{__version__}.dist-info/licenses/LICENSE" in names
    assert f"\nVersion: {__version__}\n" in metadata


def test_what_is_installed_is_the_release_without_extras(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "oodl", "--version").strip() == __version__
    places = "import flows, oodl; print(oodl.__file__, flows.__file__)"
    for place in run(installed, tmp_path, "python", "-c", places).split():
        assert Path(place).is_relative_to(installed.parent)
    there = json.loads(run(installed, tmp_path, "python", "-m", "pip", "list", "--format=json"))
    assert not {each["name"] for each in there} & {"scikit-learn", "river", "pytest", "ruff"}


def test_a_file_is_tried_away_from_the_sources(installed: Path, tmp_path: Path) -> None:
    shown = run(installed, tmp_path, "oodl", "try", PUMPS, "--out", "tried")
    assert "800" in shown
    assert len((tmp_path / "tried" / "codes.jsonl").read_text().splitlines()) == 800


def test_the_demo_runs_away_from_the_sources(installed: Path, tmp_path: Path) -> None:
    # given ten seconds: enough for all that is promised of a code, not for what is to be learned
    ended = end(installed, tmp_path, "oodl", "demo", "--seconds", "10")
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["decoded"] > 0
    assert told["lost"] == 0
    assert told["largest_error"] <= told["tolerance"]
    complaints = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    names = {line.split(": ")[1] for line in complaints}
    assert names <= {"share_version_0", "fleet_density", "fleet_planted_distance"}, ended.stderr
    assert ended.returncode == bool(names)
    assert list(tmp_path.iterdir()) == []


def run(installed: Path, cwd: Path, program: str, *words: str | Path) -> str:
    """Standard output of a program that has ended well."""
    ended = end(installed, cwd, program, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def end(
    installed: Path, cwd: Path, program: str, *words: str | Path
) -> subprocess.CompletedProcess[str]:
    """What a program of the environment ends with."""
    command = [installed / program, *words]
    return subprocess.run(
        command, cwd=cwd, env=bare(), capture_output=True, text=True, check=False, timeout=300
    )


def bare() -> dict[str, str]:
    """The environment without what leads back to the sources."""
    ours = ("PYTHON", "VIRTUAL_ENV", "OODL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def committed() -> set[str]:
    """The files of both packages that are committed."""
    command = ["git", "-C", str(ROOT), "ls-tree", "-r", "--name-only", "HEAD", "oodl", "flows"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return set(listed.splitlines())


def needs(name: str) -> set[str]:
    """What a package needs here, without extras, and what that needs."""
    found: set[str] = set()
    waiting = [(name, frozenset[str]())]
    while waiting:
        package, extras = waiting.pop()
        for text in requires(package) or []:
            one = Requirement(text)
            if one.marker is None or any(
                one.marker.evaluate({"extra": extra}) for extra in extras or {""}
            ):
                wanted = canonicalize_name(one.name)
                if wanted not in found or one.extras:
                    waiting.append((wanted, frozenset(one.extras)))
                found.add(wanted)
    return found


def lines_of_lock(packages: set[str]) -> Iterator[str]:
    """The lock's entries of these packages, with their hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    for entry in entries:
        if re.split(r"[=\[ ;]", entry, maxsplit=1)[0] in packages:
            yield entry
