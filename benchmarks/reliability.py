"""What docs/reliability.md says in tables: ``python -m benchmarks.reliability`` fills them.

``make fault`` records the faults, ``python -m benchmarks.delivery`` what exactly-once costs.
"""

from collections.abc import Callable
from pathlib import Path

from benchmarks.report import bars, filled, load, source, table

__all__ = ["PAGE", "RECORDS", "TABLES"]

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
COUNTS = ("sent", "coded", "buried", "missing", "repeats", "allowed")
TIMED = ("resumed", "gave up")


def faults() -> str:
    """What became of the readings, fault by fault."""
    head = ("done to it", "delivery", "sent", "coded", "dead letters", "missing", "repeats",
            "at most", "seconds until it")  # fmt: skip
    return table(
        head,
        (
            (
                each["fault"].replace("_", " "),
                each["delivery"],
                *(f"{each[name]:,}" for name in COUNTS),
                ", ".join(f"{name}: {each[name]}" for name in TIMED if name in each),
            )
            for each in load("faults")["rows"]
        ),
    )


def delivery() -> str:
    """Microseconds a reading, round by round."""
    found = load("delivery")
    rounds = range(1, len(found["ratios"]) + 1)
    return table(
        ("us a reading", *(f"round {each}" for each in rounds)),
        (
            *(
                (name, *(f"{time:.0f}" for time in times))
                for name, times in found["microseconds"].items()
            ),
            ("ratio", *(f"{ratio:.2f}" for ratio in found["ratios"])),
        ),
    )


RECORDS = ("faults", "delivery")
TABLES: dict[str, Callable[[], str]] = (
    {"faults": faults, "delivery": delivery}
    | {f"{name}-source": source(name) for name in RECORDS}
    | {f"{name}-bars": bars(name) for name in RECORDS}
)


if __name__ == "__main__":
    from benchmarks import pages

    PAGE.write_text(filled(PAGE.read_text(), TABLES))
    pages.fill()  # they name the bars that do not hold
