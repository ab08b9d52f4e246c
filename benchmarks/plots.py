"""The plots of README.md, from what is recorded; matplotlib is needed."""

import importlib
import statistics
from typing import Any

from benchmarks.record import RESULTS
from benchmarks.report import load, median

__all__ = ["draw"]

INCHES, DPI = (7.2, 3.0), 100
CHECKPOINTS = ("10", "30", "100", "300")
NAMES = {
    "planted": "ours",
    "published": "published",
    "SPAMS": "SPAMS, best lambda",
    "scikit-learn": "scikit-learn, best alpha",
}


def draw() -> None:
    """Draw all of them beside the records."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    _recovery(pyplot)
    _experiments(pyplot)
    _soak(pyplot)
    _pipeline(pyplot)


def _panels(pyplot: Any, count: int, share: str) -> Any:
    return pyplot.subplots(1, count, figsize=INCHES, sharey=share, constrained_layout=True)


def _recovery(pyplot: Any) -> None:
    figure, panels = _panels(pyplot, 2, "all")
    runs = load("recovery")["runs"]
    for panel, block in zip(panels, (16, 256), strict=True):
        here = [
            run
            for run in runs
            if (run["setting"]["n"], run["setting"]["density"], run["setting"]["block"])
            == (64, 0.1, block)
        ]
        for scenario, name in NAMES.items():
            grid = [run for run in here if run["scenario"] == scenario]
            if not grid:
                continue
            best = min(grid, key=lambda run: median(run, "300"))
            errors = [median(best, checkpoint) for checkpoint in CHECKPOINTS]
            panel.loglog([int(c) for c in CHECKPOINTS], errors, marker="o", label=name)
        for run in here:
            if run["scenario"] == "offline":
                panel.loglog([300], [median(run, "300")], "k*", label="offline optimum")
        panel.set(title=f"N = 64, density .1, B = {block}", xlabel="rows / N")
        panel.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("error, median")
    panels[1].legend(fontsize="small")
    _save(pyplot, figure, "recovery")


def _experiments(pyplot: Any) -> None:
    found = load("experiments")
    curves = found["curves"]
    settings = list(dict.fromkeys((c["n"], c["density"], c["block"]) for c in curves))
    figure, panels = _panels(pyplot, len(settings), "all")
    for panel, (n, density, block) in zip(panels, settings, strict=True):
        for curve in curves:
            if (curve["n"], curve["density"], curve["block"]) == (n, density, block):
                name = "published" if "Published" in curve["rival"] else "ours"
                shown = [max(error, 1e-16) for error in curve["median_errors"]]
                panel.loglog(found["calls"], shown, label=name)
        panel.set(xlabel="calls")
        panel.set_title(f"N={n}, density {density:g}, B={block}", fontsize="small")
        panel.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("error, median")
    panels[0].legend(fontsize="small")
    _save(pyplot, figure, "experiments")


def _soak(pyplot: Any) -> None:
    found = load("soak")
    columns = dict(zip(found["columns"], zip(*found["samples"], strict=True), strict=True))
    figure, panels = _panels(pyplot, 2, "none")
    memory, others = panels
    memory.plot(columns["seconds"], columns["megabytes"])
    memory.set(title="resident memory, MB", xlabel="seconds", ylim=(0, None))
    others.plot(columns["seconds"], columns["files"], label="open files")
    others.plot(columns["seconds"], columns["threads"], label="threads")
    coded = [count / found["setting"]["groups"] for count in columns["coded"]]
    rate = others.twinx()
    rate.plot(columns["seconds"], coded, "C2", label="codes confirmed a group (right)")
    others.set(title="open files, threads, codes", xlabel="seconds", ylim=(0, None))
    for name, panel in (("full rate", memory), ("blocked", memory), ("blocked", others)):
        there = [at for at, phase in zip(columns["seconds"], columns["phase"], strict=True)
                 if phase == name]  # fmt: skip
        shade = {"full rate": "C0", "blocked": "C3"}[name]
        panel.axvspan(there[0], there[-1], alpha=0.15, color=shade, label=name)
    memory.legend(fontsize="small", loc="lower right")
    lines = [*others.get_lines(), *rate.get_lines()]
    others.legend(lines, [line.get_label() for line in lines], fontsize="x-small")
    _save(pyplot, figure, "soak")


def _pipeline(pyplot: Any) -> None:
    sections = load("pipeline")["sections"]
    figure, (costs, delays) = pyplot.subplots(1, 2, figsize=INCHES, constrained_layout=True)
    measured = sections.get("throughput", {}).get("microseconds", {})
    names = [name for name in measured if "faust" not in name]  # many times the others
    costs.barh(names, [measured[name]["cpu"] for name in names])
    costs.invert_yaxis()
    costs.tick_params("y", labelsize="x-small")
    costs.set(title="CPU a message, us")
    rates = sections.get("latency", {}).get("rates", {})
    for figure_name in ("p50", "p99"):
        waited = [statistics.median(each[figure_name] for each in rates[rate]) for rate in rates]
        delays.loglog([int(rate) for rate in rates], waited, marker="o", label=figure_name)
    delays.set(title="from sending to reading the code, ms", xlabel="readings a second")
    delays.grid(visible=True, alpha=0.3)
    delays.legend(fontsize="small")
    _save(pyplot, figure, "pipeline")


def _save(pyplot: Any, figure: Any, name: str) -> None:
    figure.savefig(RESULTS / f"{name}.png", dpi=DPI, metadata={"Software": None})
    pyplot.close(figure)
