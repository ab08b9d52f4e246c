"""What tests look for in manifests of Kubernetes."""

import os
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from infra.kubernetes.build import Manifest

__all__ = ["absent", "one", "pods_of"]


def one(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The only manifest of a kind, or the one of a name."""
    [found] = [
        each
        for each in manifests
        if each["kind"] == kind and name in ("", each["metadata"]["name"])
    ]
    return found


def pods_of(manifests: list[Manifest]) -> Iterator[dict[str, Any]]:
    for kind in ("StatefulSet", "Job"):
        yield one(manifests, kind)["spec"]["template"]["spec"]


def absent(reason: str) -> NoReturn:
    """Skip; in CI fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
