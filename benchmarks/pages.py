"""What the pages in docs/ say in tables, from what is recorded: ``python -m benchmarks.pages``.

`benchmarks.report` calls it, so that the pages follow new records. Each table ends with the records
that it is made of: the command that measured them, when, and at which commit.
"""

import json
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, ROOT
from benchmarks.report import filled, load, table

__all__ = ["PAGES", "TABLES", "fill"]

PAGES = [ROOT / "docs" / f"{name}.md" for name in ("start", "sizing", "comparison", "limits")]
SIZES = ("8", "16", "64", "256")
WORKERS = 1000
SERIES = 12  # of a group in the metrics
COPY = 1e8  # bytes a second that a start is taken to read
NAMES = {"PCA, largest": "PCA", "oodl, default": "oodl"}


def number(value: float) -> str:
    """Return two significant digits, written out.

    Examples
    --------
    >>> number(0.0123), number(20576132.0)
    ('0.012', '21,000,000')
    """
    return f"{float(f'{value:.2g}'):,.10g}"


def start() -> str:
    """How long each command took."""
    found = load("start")
    rows = [(f"`{part['command']}`", f"{part['seconds']:.0f}") for part in found["parts"]]
    [whole] = [bar["measured"] for bar in found["bars"] if "seconds" in bar["name"]]
    rows.append(("until the first code was there", f"**{whole:.0f}**"))
    return table(("command", "seconds"), rows) + _cited("start")


def cpu() -> str:
    """Microseconds of a reading: the whole process, and its parts."""
    ways = _section("throughput")["microseconds"]
    rates = _section("latency")["rates"]
    rows = [
        (f"whole process, a backlog, {name}", number(ways[way]["cpu"]))
        for way, name in (
            ("ours", "a message a code"), ("ours, block layout", "layout `block`"),
            ("ours, groups new", "groups in their first thousand readings"),
        )
    ]  # fmt: skip
    rows += [
        (f"whole process, {int(rate):,} readings a second", number(_median(loads, "microseconds")))
        for rate, loads in rates.items()
    ]
    steps = load("group_step")["channels"]
    rows += [
        (f"of these the group step, {size} channels, {rows_} a block",
         number(steps[size][str(count)]["us"]))
        for size in SIZES for count, rows_ in ((1, "one reading"), (64, "64"))
    ]  # fmt: skip
    formats = load("decoding")["formats"]
    rows += [
        (f"of these the input side, {kind}", number(formats[kind]["us"]))
        for kind in ("json", "msgpack", "float32", "msgpack, batch")
    ]
    return table(("CPU of a reading of 64 channels, unless said otherwise", "us"), rows) + _cited(
        "pipeline", "group_step", "decoding"
    )


def delay() -> str:
    """Milliseconds from sending to reading the code."""
    rows = (
        (f"{int(rate):,}", number(_median(loads, "p50")), number(_median(loads, "p99")))
        for rate, loads in _section("latency")["rates"].items()
    )
    return table(("readings a second", "p50, ms", "p99, ms"), rows) + _cited("pipeline")


def memory() -> str:
    """Kilobytes of a group, by its channels."""
    rows = (
        (size, *(number(found[name] / 1000) for name in ("least", "most", "dictionary")))
        for size, found in load("state")["channels"].items()
    )
    head = ("channels x window", "state, kB, at least", "at most", "a dictionary's message, kB")
    return table(head, rows) + _cited("state")


def resident() -> str:
    """Megabytes of a process, by the soak."""
    found = load("soak")
    last = dict(zip(found["columns"], found["samples"][-1], strict=True))
    first = dict(zip(found["columns"], found["samples"][0], strict=True))
    setting = found["setting"]
    rows = [
        ("as it starts", number(first["megabytes"])),
        (f"after {setting['readings']:,} readings of {setting['groups']:,} groups of "
         f"{setting['channels']} channels", number(last["megabytes"])),
    ]  # fmt: skip
    return table(("resident memory of a process", "MB"), rows) + _cited("soak")


def groups() -> str:
    """What so many groups cost, and which epoch they ask for."""
    rows = (
        (name, f"{each['epoch']:g}", f"{each['share']:.0%}",
         number(_median(each["loads"], "microseconds")))
        for name, each in _section("groups")["groups"].items()
    )  # fmt: skip
    head = ("groups", "epoch that was chosen, s", "snapshots' share at 1 s", "CPU, us a reading")
    return table(head, rows) + _cited("pipeline")


def processes() -> str:
    """What a reading costs with several processes."""
    found = _section("processes")["microseconds"]
    one = found["one process"]
    rows = (
        (name, number(each["cpu"]), f"{each['cpu'] / one['cpu']:.2f}", number(each["wall"]))
        for name, each in found.items()
    )
    head = ("processes", "CPU, us a reading", "of one process's", "wall, us a reading")
    return table(head, rows) + _cited("pipeline")


def messages() -> str:
    """Bytes of a reading in and out."""
    rows = (
        (name, each["channels"], *(number(each[part]) for part in ("in", "reading", "block")))
        for name, each in load("message_bytes")["sets"].items()
    )
    head = ("set", "channels", "JSON in, bytes", "code, layout `reading`", "code, layout `block`")
    return table(head, rows) + _cited("message_bytes")


def thousand() -> str:
    """What the figures come to for a thousand workers: arithmetic, nothing of it was run."""
    slow = _median(_section("latency")["rates"]["1000"], "microseconds")
    smd, state = load("message_bytes")["sets"]["smd"], load("state")["channels"]["64"]
    of_reading = smd["in"] + smd["reading"]
    one = 0.5e6 / _section("throughput")["microseconds"]["ours"]["cpu"]
    all_of = one * WORKERS
    rows = [
        ("readings a second of a worker, half of a core", one, "CPU a reading, a backlog"),
        ("readings a second of all workers", all_of, ""),
        ("percent of a core at 1,000 readings a second a worker", slow / 10, "CPU a reading there"),
        ("GB a second in and out of the brokers, one copy", all_of * of_reading / 1e9,
         f"{number(of_reading)} bytes a reading in and out, set smd"),
        ("GB of states a worker, a reading a second a group", one * state["most"] / 1e9,
         "state of 64 channels"),
        ("GB of states in all", all_of * state["most"] / 1e9, ""),
        ("GB of dictionaries in the compacted topic", all_of * state["dictionary"] / 1e9,
         "a dictionary's message"),
        ("minutes until a start without its folder has read these",
         all_of * state["dictionary"] / COPY / 60, f"{number(COPY / 1e6)} MB/s, assumed"),
        ("connections within one cluster", WORKERS * (WORKERS - 1) / 2, "n (n - 1) / 2"),
        ("time series in Prometheus", WORKERS * 1000 * SERIES,
         f"`metrics.groups` = 1,000, {SERIES} series a group"),
    ]  # fmt: skip
    return table(("figure", "comes to", "from"), ((name, number(of), by) for name, of, by in rows))


def real() -> str:
    """Errors on real readings: what 5 and 25 % of the coefficients leave, over PCA's."""
    found = load("real")
    first, _, last = (f"{share:.0%}" for share in found["shares"])
    rivals = ("oodl, default", "PCA, largest", "scikit-learn", "SPAMS")
    rows = (
        (name, *(f"{sets[rival]['errors'][place]:.2f}" for place in (0, 2) for rival in rivals))
        for name, sets in found["sets"].items()
    )
    head = [f"{NAMES.get(rival, rival)}, {share}" for share in (first, last) for rival in rivals]
    return table(("set", *head), rows) + _cited("real")


def planted() -> str:
    """How near each comes to a planted dictionary, over what the best comes to."""
    names = {"planted": "oodl", "scikit-learn": "scikit-learn", "SPAMS": "SPAMS"}
    rows = []
    for n, density, block in ((64, 0.1, 16), (64, 0.1, 256), (64, 0.3, 256)):
        here = [
            run
            for run in load("recovery")["runs"]
            if (run["setting"]["n"], run["setting"]["density"], run["setting"]["block"])
            == (n, density, block)
        ]
        errors = [
            min(
                statistics.median(each["300"] for each in run["errors"])
                for run in here
                if run["scenario"] == scenario
            )
            for scenario in names
        ]
        rows.append((f"{n} channels, density {density:g}, {block} rows a call",
                     *map(number, errors)))  # fmt: skip
    return table(("stream, after 300 N rows", *names.values()), rows) + _cited("recovery")


def rows_cost() -> str:
    """Microseconds a row of the learners."""
    scenarios: dict[str, dict[str, float]] = {}
    for each in load("cost")["microseconds"]:
        scenarios.setdefault(each["scenario"], {})[each["rival"]] = each["median"]
    names = ("ours", "SPAMS", "scikit-learn")
    rows = (
        (scenario, *(number(found[name]) if name in found else "" for name in names))
        for scenario, found in scenarios.items()
        if "SPAMS" in found
    )
    return table(("us a row", "oodl", *names[1:]), rows) + _cited("cost")


def engines() -> str:
    """Microseconds a message of the streaming libraries, with the same step."""
    found = _section("throughput")["microseconds"]
    names = {
        "ours": "oodl", "plain loop": "confluent-kafka by hand, no recovery",
        "built-in connectors": "bytewax with its own Kafka connectors",
        "Quix Streams": "Quix Streams, no recovery of the states", "faust": "faust, likewise",
    }  # fmt: skip
    ours = found["ours"]["cpu"]
    rows = (
        (name, number(found[way]["cpu"]), f"{found[way]['cpu'] / ours:.2f}")
        for way, name in names.items()
        if way in found
    )
    return table(("way", "CPU, us a message", "of oodl's"), rows) + _cited("pipeline")


def bounds() -> str:
    """Bars of all records that do not hold."""
    rows = [
        (path.stem, bar["name"], number(bar["measured"]), number(bar["bar"]))
        for path in sorted(RESULTS.glob("*.json"))
        for bar in json.loads(path.read_text()).get("bars", ())
        if not bar["holds"] and bar["measured"] is not None
    ]
    return table(("record", "figure", "measured", "was to be at most"), rows)


def _section(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load("pipeline")["sections"][name]
    return found


def _median(loads: Iterable[dict[str, float]], name: str) -> float:
    return statistics.median(load[name] for load in loads)


def _cited(*names: str) -> str:
    """Say of which records a table is made."""
    told = []
    for name in names:
        found = load(name)
        command = found.get("command", f"python -m benchmarks.{name}")
        commit = f", commit {found['commit']}" if "commit" in found else ""
        told.append(f"`{command}`, {found['date']}{commit}, {found['machine']}")
    return f"\nMeasured by {'; '.join(told)}.\n"


TABLES: dict[str, Callable[[], str]] = {
    "start": start,
    "sizing-cpu": cpu,
    "sizing-delay": delay,
    "sizing-memory": memory,
    "sizing-resident": resident,
    "sizing-groups": groups,
    "sizing-processes": processes,
    "sizing-messages": messages,
    "sizing-thousand": thousand,
    "comparison-real": real,
    "comparison-planted": planted,
    "comparison-cost": rows_cost,
    "comparison-engines": engines,
    "limits-bars": bounds,
}


def fill(pages: Iterable[Path] = PAGES) -> None:
    """Fill the tables of all pages."""
    for page in pages:
        page.write_text(filled(page.read_text(encoding="utf-8"), TABLES), encoding="utf-8")


if __name__ == "__main__":
    fill()
