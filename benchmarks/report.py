"""What README.md says in tables, from what is recorded: ``python -m benchmarks.report`` fills them.

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; the words around are by hand.
Where matplotlib is installed, the plots are drawn too.
"""

import importlib.util
import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.drift import FOUND_AGAIN
from benchmarks.record import RESULTS

__all__ = ["README", "TABLES", "filled", "load"]

README = Path(__file__).with_name("README.md")
BLOCK = re.compile(r"<!-- table (\S+) -->\n.*?<!-- end -->", re.DOTALL)
Record = dict[str, Any]


def load(name: str) -> Record:
    """Return a record."""
    found: Record = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def filled(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Return the text with every table made anew."""
    return BLOCK.sub(lambda m: f"<!-- table {m[1]} -->\n{tables[m[1]]()}<!-- end -->", text)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float) -> str:
    """Return two significant digits."""
    return f"{value:.2g}"


def source(name: str) -> Callable[[], str]:
    """Return the line that says where a record comes from."""

    def line() -> str:
        found = load(name)
        versions = ", ".join(
            f"{library} {version}" for library, version in found["versions"].items()
        )
        left = "".join(f"- not measured: {reason}\n" for reason in found.get("skipped", ()))
        command = found.get("command", f"python -m benchmarks.{name}")
        return (
            f"`{command}`, {found['date']}, commit {found['commit']}, "
            f"{found['machine']}; {versions}.\n" + (f"\n{left}" if left else "")
        )

    return line


def bars(name: str) -> Callable[[], str]:
    """Return the table of a record's bars."""

    def rows() -> str:
        return table(
            ("figure", "measured", "at most", ""),
            (
                (
                    bar["name"],
                    "not measured" if bar["measured"] is None else number(bar["measured"]),
                    number(bar["bar"]),
                    "holds" if bar["holds"] else "**fails**",
                )
                for bar in load(name)["bars"]
            ),
        )

    return rows


def recovery() -> str:
    """Median errors by rows; of a grid the setting that is best at 300N."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for run in load("recovery")["runs"]:
        if run["scenario"].startswith(("spikes", "noise-free")):
            continue
        setting = run["setting"]
        key = (f"{setting['n']}, {setting['density']:g}, {setting['block']}", run["scenario"], "")
        groups.setdefault(key, []).append(run)
    rows = []
    for (setting, scenario, _), runs in sorted(groups.items(), key=lambda item: item[0][0]):
        best = min(runs, key=lambda run: median(run, "300"))
        name = "ours" if scenario == "planted" else scenario
        if len(runs) > 1:
            name += f", best of {len(runs)}: {best['rival']}"
        errors = [median(best, checkpoint) for checkpoint in ("10", "30", "100", "300")]
        rows.append((setting, name, *("" if e is None else number(e) for e in errors)))
    return table(("N, density, B", "learner", "10N", "30N", "100N", "300N"), rows)


def median(run: Record, checkpoint: str) -> Any:
    """Return the median error over the seeds; None where it was not measured."""
    found = [errors[checkpoint] for errors in run["errors"] if checkpoint in errors]
    return statistics.median(found) if found else None


def experiments() -> str:
    """Errors of the paper's experiments, mean (median), and slopes of the gap."""
    found = load("experiments")
    shown = [found["calls"].index(call) for call in (100, 316, 1000, 3000)]
    rows = (
        (
            f"{curve['n']}, {curve['density']:g}, {curve['block']}",
            curve["trials"],
            "published" if "Published" in curve["rival"] else "ours",
            *(f"{number(curve['errors'][k])} ({number(curve['median_errors'][k])})" for k in shown),
            curve["gap_slope"],
        )
        for curve in found["curves"]
    )
    head = ("N, density, B", "trials", "learner", "100 calls", "316", "1000", "3000", "slope")
    return table(head, rows) + f"\nThe claimed rate has slope {found['claimed_slope']} there.\n"


def cost() -> str:
    """Microseconds a row."""
    scenarios: dict[str, dict[str, float]] = {}
    for each in load("cost")["microseconds"]:
        scenarios.setdefault(each["scenario"], {})[each["rival"]] = each["median"]
    names = ("ours", "published", "SPAMS", "scikit-learn", "GroupCoder", "D.T @ y")
    return table(
        ("us a row", *names),
        (
            (scenario, *(number(found[name]) if name in found else "" for name in names))
            for scenario, found in scenarios.items()
        ),
    )


def group_step() -> str:
    """CPU of a reading by rows a block."""
    shown = ("us", "projections", "at_rest", "coding", "decodes")
    return table(
        ("N", "rows a block", "us a reading", "projections", "without learning", "coding alone",
         "decodes"),
        (
            (n, size, *(number(found[name]) for name in shown))
            for n, sizes in load("group_step")["channels"].items()
            for size, found in sizes.items()
        ),
    )  # fmt: skip


def decoding() -> str:
    """CPU of a reading on the input side, by format."""
    return table(
        ("format", "us a reading", "of JSON"),
        (
            (name, number(found["us"]), number(found["of_json"]))
            for name, found in load("decoding")["formats"].items()
        ),
    )


def sensors() -> str:
    """CPU of a message of one sensor, by how far it is taken."""
    found = load("sensors")
    return table(
        ("way", "us a message", "of bare"),
        ((way, number(us), f"{found['ratios'][way]:.2f}") for way, us in found["us"].items()),
    )


def gaps() -> str:
    """Atoms and hidden values, filled and with zeros."""
    pairs: dict[tuple[str, float], dict[str, Record]] = {}
    for each in load("gaps")["outcomes"]:
        pairs.setdefault((each["set"], each["hidden"]), {})[each["gaps"]] = each
    names = ("atoms", "atoms_with_gaps", "rmse_of_hidden", "microseconds")
    return table(
        ("set", "hidden", "atoms", "of readings with gaps", "RMSE of hidden", "us a reading"),
        (
            (name, f"{share:.0%}", *(
                "" if ways["filled"][key] is None
                else f"{number(ways['filled'][key])} for {number(ways['zeros'][key])}"
                for key in names))
            for (name, share), ways in pairs.items()
        ),
    )  # fmt: skip


def drift() -> str:
    """What became of the streams, smallest to largest over the seeds."""
    found = load("drift")

    def span(values: list[float]) -> str:
        low, high = number(min(values)), number(max(values))
        return low if low == high else f"{low} - {high}"

    def back(event: str, values: list[int]) -> str:
        if event not in FOUND_AGAIN:
            return ""
        least, most = min(values), max(values)
        told = [f"{v}" if v < found["after"] else "never" for v in (least, most)]
        return told[0] if least == most else " - ".join(told)

    return table(
        (
            "event",
            "N",
            "learner",
            "error before",
            "rows / N until back",
            "error at last",
            "restarts",
        ),
        (
            (
                each["event"],
                each["n"],
                each["rival"],
                span(each["old"]),
                back(each["event"], each["back_after"]),
                span(each["late"]),
                sum(each["restarts"]),
            )
            for each in sorted(found["outcomes"], key=lambda each: -each["n"])
        ),
    )


def limits() -> str:
    """Errors by rows, and when the contrast was changed."""
    marks = ("100", "300", "1000", "8000")
    return table(
        ("stream", *(f"{mark}N" for mark in marks), "rows / N until the threshold"),
        (
            (
                each["stream"],
                *(number(each["errors"][mark]) if mark in each["errors"] else "" for mark in marks),
                each["changed"] or "never",
            )
            for each in load("limits")["streams"]
        ),
    )


def limits_offline() -> str:
    """Errors of steps over all rows."""
    ways = load("limits")["offline"]["ways"]
    return table(
        ("contrast", "error", "steps"),
        ((each["contrast"], number(each["error"]), each["turns"]) for each in ways),
    )


def steps() -> str:
    """Errors, time and verdicts."""
    return table(
        ("N", "part", "30N", "100N", "300N", "us a row", "verdict"),
        (
            (
                each["n"],
                each["part"],
                *map(number, each["errors"]),
                number(each["microseconds"]),
                f"{each['verdict']} (beside {each['beside']})",
            )
            for each in load("steps")["parts"]
        ),
    )


def real() -> str:
    """Errors on real readings, and their ratios to the rival to beat."""
    found = load("real")
    head = [f"{share:.0%}" for share in found["shares"]]
    return table(
        ("set", "learner", "groups", *head, *(f"ratio {share}" for share in head)),
        (
            (
                name,
                rival,
                len(each["groups"]),
                *(f"{error:.3f}" for error in each["errors"]),
                *(f"{ratio:.2f}" for ratio in each["ratios"]),
            )
            for name, rivals in found["sets"].items()
            for rival, each in rivals.items()
        ),
    )


def windows() -> str:
    """Errors of frames by what codes them, and ours to them."""
    found = load("windows")
    head = [f"{share:.0%}" for share in found["shares"]]
    return table(
        ("readings", "window", "groups", "atoms", *head, *(f"ours to it, {s}" for s in head)),
        (
            (
                each["case"],
                each["window"],
                each["groups"],
                each["rival"],
                *(f"{error:.3f}" for error in each["errors"]),
                *(f"{ratio:.2f}" for ratio in each["ours_to_it"]),
            )
            for each in found["cases"]
        ),
    )


def overlap() -> str:
    """AUC by set, window and stride."""
    figures = ("alone_pooled", "alone_groups", "mean_pooled", "mean_groups")
    return table(
        ("set", "window", "a frame every", "reading, pooled", "groups' mean", "mean of 32, pooled",
         "groups' mean"),
        (
            (*(each[name] for name in ("set", "window", "stride")),
             *(f"{each[name]:.3f}" for name in figures))
            for each in load("overlap")["cases"]
        ),
    )  # fmt: skip


def scrape() -> str:
    """CPU and size by labels."""
    return table(
        ("groups with a label", "CPU, ms", "size, MB"),
        (
            (each["labels"], f"{1e3 * each['cpu_seconds']:.0f}", f"{each['bytes'] / 1e6:.2f}")
            for each in load("scrape")["rows"]
        ),
    )


def pipeline() -> str:
    """CPU and wall of each way to get from readings to codes."""
    measured = {
        name: each
        for section in ("throughput", "processes")
        for name, each in _section(section).get("microseconds", {}).items()
    }
    ours = measured.get("ours", {}).get("cpu")
    return table(
        ("way", "CPU, us a message", "of ours", "wall, us a message", "rounds"),
        (
            (
                name,
                number(each["cpu"]),
                f"{each['cpu'] / ours:.2f}" if ours else "",
                number(each["wall"]),
                len(each["rounds"]),
            )
            for name, each in measured.items()
        ),
    )


def pipeline_formats() -> str:
    """CPU and wall of the whole job, by the format of its readings."""
    return table(
        ("format", "bytes", "CPU, us a reading", "of JSON", "wall, us a reading", "rounds"),
        (
            (
                name,
                number(each["bytes"]),
                number(each["cpu"]),
                f"{each['of_json']:.2f}",
                number(each["wall"]),
                len(each["rounds"]),
            )
            for name, each in _section("formats").get("formats", {}).items()
        ),
    )


def pipeline_latency() -> str:
    """Milliseconds from sending a reading to reading its code, medians of the turns."""
    shown = ("p50", "p99", "microseconds", "held")
    return table(
        ("readings a second", "p50, ms", "p99, ms", "CPU, us a reading", "share of the rate held"),
        (
            (rate, *(number(statistics.median(load[name] for load in loads)) for name in shown))
            for rate, loads in _section("latency").get("rates", {}).items()
        ),
    )


def pipeline_groups() -> str:
    """What a reading costs at so many groups."""
    shown = ("microseconds", "p50", "held")
    return table(
        (
            "groups",
            "epoch, s",
            "snapshots' share at 1 s",
            "CPU, us a reading",
            "p50, ms",
            "share of the rate held",
        ),
        (
            (
                name,
                f"{each['epoch']:g}",
                number(each["share"]),
                *(number(statistics.median(load[key] for load in each["loads"])) for key in shown),
            )
            for name, each in _section("groups").get("groups", {}).items()
        ),
    )


def _section(name: str) -> Record:
    found: Record = load("pipeline")["sections"].get(name, {})
    return found


RECORDS = (
    "recovery",
    "experiments",
    "cost",
    "decoding",
    "sensors",
    "group_step",
    "gaps",
    "drift",
    "limits",
    "steps",
    "real",
    "windows",
    "overlap",
    "soak",
    "scrape",
    "pipeline",
)
TABLES: dict[str, Callable[[], str]] = (
    {
        "recovery": recovery,
        "experiments": experiments,
        "cost": cost,
        "decoding": decoding,
        "sensors": sensors,
        "group_step": group_step,
        "gaps": gaps,
        "drift": drift,
        "limits": limits,
        "limits-offline": limits_offline,
        "steps": steps,
        "real": real,
        "windows": windows,
        "overlap": overlap,
        "scrape": scrape,
        "pipeline": pipeline,
        "pipeline-formats": pipeline_formats,
        "pipeline-latency": pipeline_latency,
        "pipeline-groups": pipeline_groups,
    }
    | {f"{name}-source": source(name) for name in RECORDS}
    | {
        f"{name}-bars": bars(name)
        for name in (
            "recovery",
            "cost",
            "decoding",
            "sensors",
            "group_step",
            "gaps",
            "drift",
            "real",
            "soak",
            "scrape",
            "pipeline",
        )
    }
)


def main() -> None:
    """Fill the tables, those of the pages in docs/ too, and draw where that is possible."""
    from benchmarks import pages

    README.write_text(filled(README.read_text(), TABLES))
    pages.fill()
    if importlib.util.find_spec("matplotlib") is None:
        print("plots not drawn: matplotlib is not installed; make .venv-bench/.ready")
        return
    from benchmarks import plots

    plots.draw()


if __name__ == "__main__":
    main()
