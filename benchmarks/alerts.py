"""What docs/runbook.md says of alerts that were tried: ``python -m benchmarks.alerts`` fills it in.

``ALERTS_RECORD=benchmarks/results/alerts.json make alerts`` records the times.
"""

from collections.abc import Callable
from pathlib import Path

from benchmarks.report import filled, load, source, table

__all__ = ["PAGE", "TABLES"]

COMMAND = "ALERTS_FACTOR=1 ALERTS_HEALTHY=600 make alerts"
PAGE = Path(__file__).parents[1] / "docs" / "runbook.md"


def alerts() -> str:
    """Seconds, case by case, and the bar: the alert's `for` and a minute."""
    found = load("alerts")
    bars = {bar["name"].partition(":")[0]: bar["bar"] for bar in found["bars"]}
    return table(
        ("what went wrong", "alert", "fires", "at most", "at Alertmanager", "resolved"),
        (
            (
                case,
                f"`{times['alert']}`",
                f"{times['fired']:.0f}",
                f"{bars[case]:.0f}",
                f"{times['told']:.0f}",
                f"{times['resolved']:.0f}",
            )
            for case, times in found["cases"].items()
        ),
    )


def recorded() -> str:
    """Say where the record comes from."""
    return source("alerts")().replace("python -m benchmarks.alerts", COMMAND)


TABLES: dict[str, Callable[[], str]] = {"alerts": alerts, "alerts-source": recorded}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), TABLES))
