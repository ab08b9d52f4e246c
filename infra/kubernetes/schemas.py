"""Whether manifests have the fields that their kinds have, each as it should be, and no others.

Kubernetes' own kinds are held against the schemas of its release. The Prometheus operator's are not
among them: for these a schema is kept here by hand, of the fields that we use and no more.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator

from infra.kubernetes.build import Manifest

__all__ = ["OLDEST", "OPERATOR", "problems"]

OLDEST = "1.28"  # the first release that labels a pod with its number
RELEASES = (OLDEST, kubernetes_validate.latest_version())

TEXT = {"type": "string", "minLength": 1}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}


def _closed(required: list[str], **fields: object) -> dict[str, object]:
    """Describe an object that has these fields alone."""
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def _kind(name: str, spec: dict[str, object]) -> dict[str, object]:
    metadata = _closed(["name"], name=TEXT, namespace=TEXT, labels=LABELS)
    version = {"const": "monitoring.coreos.com/v1"}
    fields = {"apiVersion": version, "kind": {"const": name}, "metadata": metadata, "spec": spec}
    return _closed(list(fields), **fields)


ENDPOINT = _closed(["port"], port=TEXT, interval=DURATION, scrapeTimeout=DURATION)
RULE = {
    **_closed(
        ["expr"],
        record=TEXT, alert=TEXT, expr=TEXT, keep_firing_for=DURATION, labels=LABELS,
        annotations=LABELS, **{"for": DURATION},
    ),
    "oneOf": [{"required": ["record"]}, {"required": ["alert"]}],
}  # fmt: skip
GROUP = _closed(
    ["name", "rules"], name=TEXT, interval=DURATION, rules={"type": "array", "items": RULE}
)
OPERATOR: dict[str, dict[str, object]] = {
    "ServiceMonitor": _kind(
        "ServiceMonitor",
        _closed(
            ["selector", "endpoints"],
            jobLabel=TEXT,
            selector=_closed(["matchLabels"], matchLabels=LABELS),
            endpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
        ),
    ),
    "PrometheusRule": _kind(
        "PrometheusRule",
        _closed(["groups"], groups={"type": "array", "items": GROUP, "minItems": 1}),
    ),
}


def problems(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Say what does not fit, with the manifest and the field."""
    for manifest in manifests:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        own = OPERATOR.get(manifest["kind"])
        found = _core(manifest) if own is None else _operator(own, manifest)
        yield from (f"{name}: {problem}" for problem in found)


def _core(manifest: Manifest) -> Iterator[str]:
    for release in RELEASES:
        try:
            kubernetes_validate.validate(manifest, release, strict=True)
        except kubernetes_validate.ValidationError as unfit:
            path = ".".join(map(str, unfit.path))
            yield f"{path}: {unfit.message} (Kubernetes {release})"


def _operator(schema: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    for unfit in Draft202012Validator(schema).iter_errors(manifest):
        yield f"{unfit.json_path}: {unfit.message}"
