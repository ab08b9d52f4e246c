"""Prometheus' rules as the operator's kind: the files of infra/prometheus are the one source."""

from pathlib import Path
from textwrap import indent

__all__ = ["MADE", "SOURCES", "rendered"]

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "infra" / "prometheus").glob("*.rules.yml"))
MADE = ROOT / "infra" / "kubernetes" / "monitoring" / "prometheusrule.yaml"
HEAD = """\
# Made from infra/prometheus/*.rules.yml by `python -m infra.kubernetes`.

apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: oodl
spec:
  groups:
"""


def rendered() -> str:
    """Return the manifest, with the groups of all files as they stand there."""
    return HEAD + "".join(indent(_groups(path.read_text()), "  ") for path in SOURCES)


def _groups(text: str) -> str:
    _, _, groups = text.partition("\ngroups:\n")
    return groups
