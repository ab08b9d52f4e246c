"""What kustomize makes of infra/kubernetes: it fits its schemas, and its parts fit each other.

That settings, folders and probes do what the manifests count on is tried with the code itself.
"""

import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.cli import app
from flows.members import hold
from flows.private import ExposedError
from flows.settings import Settings, SettingsError, load
from infra.kubernetes.build import OVERLAYS, BuildError, Manifest, build, find_kubectl
from infra.kubernetes.rules import SOURCES
from infra.kubernetes.schemas import problems
from oodl import __version__
from tests.compose import ROOT, image
from tests.manifests import absent, one, pods_of

USER = 10001
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.fixture(scope="module")
def built() -> dict[str, list[Manifest]]:
    """The overlays, by name; without kubectl a skip, in CI a failure."""
    try:
        find_kubectl()
    except BuildError as missing:
        absent(str(missing))
    return {name: build(folder) for name, folder in OVERLAYS.items()}


@every_overlay
def test_every_manifest_fits_the_schema_of_its_kind(
    overlay: str, built: dict[str, list[Manifest]]
) -> None:
    assert list(problems(built[overlay])) == []


@pytest.mark.parametrize("kind", ["StatefulSet", "ServiceMonitor", "PrometheusRule"])
def test_a_field_that_a_kind_does_not_have_is_told(
    kind: str, built: dict[str, list[Manifest]]
) -> None:
    wrong = deepcopy(one(built["production"], kind))
    wrong["spec"]["interval"] = "15s"

    found = list(problems([wrong]))

    assert found
    assert all("interval" in problem for problem in found)


def test_both_have_what_it_takes_to_run_and_production_what_it_takes_to_watch(
    built: dict[str, list[Manifest]],
) -> None:
    kinds = {name: {each["kind"] for each in manifests} for name, manifests in built.items()}

    assert kinds["base"] == {
        "ConfigMap", "Job", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget",
        "Service", "ServiceAccount", "StatefulSet",
    }  # fmt: skip
    assert kinds["production"] - kinds["base"] == {
        "Namespace", "PrometheusRule", "ServiceMonitor",
    }  # fmt: skip


@every_overlay
def test_each_pod_has_an_address_under_the_name_that_its_service_gives_it(
    overlay: str, built: dict[str, list[Manifest]]
) -> None:
    manifests = built[overlay]
    pods = one(manifests, "StatefulSet")
    service = one(manifests, "Service")
    [container] = pods["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    name, headless = pods["metadata"]["name"], pods["spec"]["serviceName"]
    expected = [
        f"{name}-{number}.{headless}:{ports['cluster']}"
        for number in range(pods["spec"]["replicas"])
    ]

    variables = {each["name"]: each["valueFrom"] for each in container["env"]}
    key = variables["BYTEWAX_ADDRESSES"]["configMapKeyRef"]
    data = one(manifests, "ConfigMap", key["name"])["data"]
    assert data[key["key"]].split(";") == expected
    assert "pod-index" in variables["BYTEWAX_PROCESS_ID"]["fieldRef"]["fieldPath"]
    assert (service["metadata"]["name"], service["spec"]["clusterIP"]) == (headless, "None")
    assert service["spec"]["publishNotReadyAddresses"]  # who is not ready is looked for
    assert {each["name"]: each["port"] for each in service["spec"]["ports"]} == ports
    # they begin and end together
    assert pods["spec"]["podManagementPolicy"] == "Parallel"
    assert pods["spec"]["updateStrategy"] == {"type": "OnDelete"}


@every_overlay
def test_whoever_selects_pods_selects_those_of_the_pipeline(
    overlay: str, built: dict[str, list[Manifest]]
) -> None:
    manifests = built[overlay]
    labels = one(manifests, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    finished = one(manifests, "Job")["spec"]["template"]["metadata"]["labels"]

    selectors = [
        one(manifests, "Service")["spec"]["selector"],
        one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]

    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= finished.items()
    own = one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert own.items() <= labels.items()
    assert own.items() <= finished.items()  # it speaks to the brokers as well


@every_overlay
def test_the_scrape_finds_port_and_labels_of_the_service(
    overlay: str, built: dict[str, list[Manifest]]
) -> None:
    manifests = built[overlay]
    service = one(manifests, "Service")
    for monitor in (each for each in manifests if each["kind"] == "ServiceMonitor"):
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        labels = service["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels[monitor["spec"]["jobLabel"]] == "oodl"  # by which rules and dashboards ask


@every_overlay
def test_pods_are_as_restricted_as_kubernetes_strictest_standard_asks(
    overlay: str, built: dict[str, list[Manifest]]
) -> None:
    for pod in pods_of(built[overlay]):
        whole = pod["securityContext"]
        assert (whole["runAsNonRoot"], whole["runAsUser"]) == (True, USER)
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
    assert image("USER").strip() == f"{USER}:{USER}"


@every_overlay
def test_the_image_has_the_version_of_the_code(
    overlay: str, built: dict[str, list[Manifest]]
) -> None:
    images = {
        container["image"] for pod in pods_of(built[overlay]) for container in pod["containers"]
    }

    assert {each.rpartition(":")[2] for each in images} == {__version__}


@every_overlay
def test_commands_and_settings_are_those_that_the_code_has(
    overlay: str, built: dict[str, list[Manifest]], tmp_path: Path
) -> None:
    manifests = built[overlay]
    for pod in pods_of(manifests):
        [container] = pod["containers"]
        command, bound, _ = app.parse_args(
            container["args"], exit_on_error=False, print_error=False
        )
        assert command.__module__.startswith("flows.tools.")
        assert bound.arguments

        settings = loaded(manifests, pod, tmp_path)
        assert settings.metrics.address == "0.0.0.0"  # where kubelet and Prometheus come from
        assert settings.metrics.port == 9464


@every_overlay
def test_what_the_pipeline_writes_is_mounted(
    overlay: str, built: dict[str, list[Manifest]], tmp_path: Path
) -> None:
    pod = one(built[overlay], "StatefulSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    folder = loaded(built[overlay], pod, tmp_path).recovery.folder

    claim = volumes[mounted[str(folder.parent)]]["persistentVolumeClaim"]["claimName"]

    assert one(built[overlay], "PersistentVolumeClaim")["metadata"]["name"] == claim
    compiled = image("ENV").partition("NUMBA_CACHE_DIR=")[2].split()[0]
    assert "emptyDir" in volumes[mounted[compiled]]


def test_only_with_one_process_may_the_volume_be_of_one_node(
    built: dict[str, list[Manifest]],
) -> None:
    for manifests in built.values():
        [mode] = one(manifests, "PersistentVolumeClaim")["spec"]["accessModes"]
        several = one(manifests, "StatefulSet")["spec"]["replicas"] > 1
        assert mode == ("ReadWriteMany" if several else "ReadWriteOnce")


def test_a_recovery_folder_is_made_in_a_volume_that_the_group_writes_and_not_let_to_it(
    built: dict[str, list[Manifest]], tmp_path: Path
) -> None:
    # given a volume as fsGroup leaves it
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2775)
    # when the folder is made and come back to
    for _ in range(2):
        with hold(volume / "recovery"):
            pass
    # then that works; not so after what fsGroupChangePolicy: Always does at each mount
    for each in (volume / "recovery", *(volume / "recovery").iterdir()):
        each.chmod(each.stat().st_mode | 0o060)
    with pytest.raises(ExposedError), hold(volume / "recovery"):
        pass
    for manifests in built.values():
        pod = one(manifests, "StatefulSet")["spec"]["template"]["spec"]
        assert pod["securityContext"]["fsGroup"] == USER
        assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_settings_refuse_the_variables_of_services_so_there_are_none(
    built: dict[str, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OODL_SERVICE_HOST", "10.0.0.1")

    with pytest.raises(SettingsError, match="OODL_SERVICE_HOST"):
        load(None)

    pods = [pod for manifests in built.values() for pod in pods_of(manifests)]
    assert [pod["enableServiceLinks"] for pod in pods] == [False] * len(pods)


def test_the_rules_are_those_of_prometheus_and_promtool_accepts_them(
    built: dict[str, list[Manifest]], tmp_path: Path
) -> None:
    yaml = YAML(typ="safe")
    groups = [group for path in SOURCES for group in yaml.load(path)["groups"]]

    spec = one(built["production"], "PrometheusRule")["spec"]

    assert groups
    assert spec == {"groups": groups}
    found = shutil.which("promtool")
    if found is None:
        absent("promtool not found (Debian: prometheus)")
    rules = tmp_path / "rules.yml"
    yaml.dump(spec, rules)
    checked = subprocess.run(
        [str(found), "check", "rules", rules], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_is_made_is_up_to_date(built: dict[str, list[Manifest]]) -> None:
    assert built

    checked = subprocess.run(
        [sys.executable, "-m", "infra.kubernetes", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stderr


def loaded(manifests: list[Manifest], pod: dict[str, Any], folder: Path) -> Settings:
    """The settings that a pod has."""
    [mounted] = [volume for volume in pod["volumes"] if volume["name"] == "settings"]
    [(name, text)] = one(manifests, "ConfigMap", mounted["configMap"]["name"])["data"].items()
    [container] = pod["containers"]
    assert container["args"][1:] == ["--settings", f"/etc/oodl/{name}"]
    path = folder / name
    path.write_text(text)
    return load(path)
