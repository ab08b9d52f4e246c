"""The question: what does a message cost, how late is it, and how does that grow.

``python -m benchmarks.pipeline`` starts an Apache Kafka and writes ``results/pipeline.json``, a
section at a time: ``--only throughput`` measures one and leaves the others as they were recorded.
With ``--quick --json`` it prints one JSON object in less than three minutes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.pipeline.formats import formats
from benchmarks.pipeline.groups import groups
from benchmarks.pipeline.latency import latency
from benchmarks.pipeline.plan import FULL, QUICK, Plan, Section
from benchmarks.pipeline.processes import processes
from benchmarks.pipeline.runs import Bench, Tick
from benchmarks.pipeline.throughput import throughput
from benchmarks.record import RESULTS, Bar, record, save, tell
from tests.brokers import ApacheKafka, resolve_jars

__all__ = ["SECTIONS", "main", "measure", "merged"]

SECTIONS: dict[str, Callable[[Bench, Plan], Section]] = {
    "throughput": throughput,
    "formats": formats,
    "latency": latency,
    "groups": groups,
    "processes": processes,
}
QUESTION = "CPU and wall a message, latency, many groups and processes, on Apache Kafka"
COMMAND = "python -m benchmarks.pipeline"
Record = dict[str, Any]


def measure(names: Sequence[str], plan: Plan, tick: Tick, recorded: Mapping[str, Any]) -> Record:
    """Measure sections on one broker; return a record with those that were recorded before."""
    sections = dict(recorded)
    began = time.monotonic()
    resolve_jars()
    with tempfile.TemporaryDirectory() as folder, ApacheKafka(Path(folder) / "kafka") as broker:
        for name in names:
            since = time.monotonic()

            def told(doing: str, name: str = name) -> None:
                tick(f"{name}: {doing}")

            found = SECTIONS[name](Bench(name, broker, Path(folder), told), plan)
            sections[name] = record(name, found.bars, since, skipped=found.skipped, **found.results)
    return merged(sections, began)


def merged(sections: Mapping[str, Any], began: float) -> Record:
    """Put sections together: all bars, and all that was left out."""
    ordered = {name: sections[name] for name in SECTIONS if name in sections}
    skipped = [told for each in ordered.values() for told in each["skipped"]]
    skipped += [f"{name}: left out" for name in SECTIONS if name not in sections]
    result = record(QUESTION, (), began, command=COMMAND, skipped=skipped, sections=ordered)
    result["bars"] = [bar for each in ordered.values() for bar in each["bars"]]
    result["seconds"] = round(sum(each["seconds"] for each in ordered.values()), 1)
    return result


def recorded() -> dict[str, Any]:
    """Return the sections that were recorded before."""
    path = RESULTS / "pipeline.json"
    found: dict[str, Any] = json.loads(path.read_text())["sections"] if path.exists() else {}
    return found


def chosen_names(text: str) -> list[str]:
    """Read names with commas between."""
    names = text.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        msg = f"--only: expected some of {', '.join(SECTIONS)}, got {', '.join(unknown)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def main() -> None:
    """Measure, tell, and record unless quick."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes at most, not recorded")
    parser.add_argument("--json", action="store_true", help="print the record, one line")
    parser.add_argument("--only", type=chosen_names, default=list(SECTIONS), metavar="NAME,...",
                        help=", ".join(SECTIONS))  # fmt: skip
    chosen = parser.parse_args()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def tick(doing: str) -> None:
            progress.update(task, description=doing)

        before = {} if chosen.quick else recorded()
        result = measure(chosen.only, QUICK if chosen.quick else FULL, tick, before)
    if not chosen.quick:
        save("pipeline", result)
    if chosen.json:
        print(json.dumps(result))
        return
    tell([Bar(bar["name"], bar["measured"], bar["bar"]) for bar in result["bars"]])


if __name__ == "__main__":
    main()
