"""The pictures of concepts.md, from runs of the group step: ``python -m docs.make_pictures``.

matplotlib is needed (`make .venv-bench/.ready`), and the sets of the benchmarks for two of them;
the others are made from docs/examples.
"""

import csv
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.sets import DATA, SETS, Groups
from oodl.coding import Codes, Tolerance, Version
from oodl.stream import Block, GroupCoder, Noticed, Published

__all__ = ["draw"]

Floats = npt.NDArray[np.float64]
HERE = Path(__file__).parent
WIDTH, DPI = 7.2, 100
LABELS = slice(10, 11)  # the column of skab's file that says whether a reading is faulty
VALVE, SERVER, ANOTHER = "valve1/0", "machine_1_7__x1e6", "machine_2_1__x1e6"
TOLERANCES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SHOWN = slice(200, 280)  # readings of a pump
SMOOTH = 9  # readings whose mean is shown of a channel
BEFORE = 8000  # readings of the first server


@dataclass(frozen=True)
class Run:
    """What came of a group's readings.

    Parameters
    ----------
    codes : list of Codes
    versions : list of (int, Version)
        With the reading after which each was published.
    means : ndarray of float64
        The group's mean surprise after each block.
    noticed : list of (int, str)
        With the reading before each.
    """

    codes: list[Codes]
    versions: list[tuple[int, Version]]
    means: Floats
    noticed: list[tuple[int, str]]

    @property
    def surprises(self) -> Floats:
        """Of each reading."""
        return np.concatenate([codes.surprises for codes in self.codes])


def run(
    values: Floats, names: Iterable[str], *, coder: GroupCoder, period: float, rows: int
) -> Run:
    """Code and learn a group's readings, so many rows a block."""
    state, channels, found = coder.start(), tuple(names), Run([], [], np.zeros(0), [])
    means = []
    for first in range(0, len(values), rows):
        places = first + np.arange(len(values[first : first + rows]))
        block = Block(channels, settled=True, values=values[places],
                      times=np.float64(1.7e9) + period * places, offsets=places)  # fmt: skip
        state, outputs = coder.step(state, block)
        means.append(state.surprise)
        for output in outputs:
            match output:
                case Codes():
                    found.codes.append(output)
                case Published(version, offset):
                    found.versions.append((offset, version))
                case Noticed(kind):
                    found.noticed.append((first, kind))
    return Run(found.codes, found.versions, np.array(means), found.noticed)


def pumps() -> tuple[list[str], Groups]:
    """The channels' names and the readings of the pumps in docs/examples."""
    with (HERE / "examples" / "pumps.csv").open() as lines:
        head, *rows = csv.reader(lines)
    groups = {
        name: np.array([row[2:] for row in rows if row[1] == name], dtype=np.float64)
        for name in dict.fromkeys(row[1] for row in rows)
    }
    return head[2:], groups


def pump(name: str, tolerance: float = 0.1) -> tuple[list[str], Floats, Run]:
    """A pump's channels, its readings, and what came of them."""
    names, groups = pumps()
    coder = GroupCoder(rule=Tolerance(tolerance))
    return names, groups[name], run(groups[name], names, coder=coder, period=10.0, rows=1)


def draw() -> None:
    """Draw all of them into docs/pictures."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    pictures: dict[str, Callable[[Any], Any]] = {
        "dictionary": _dictionary, "code": _code, "tolerance": _tolerance, "surprise": _surprise,
        "versions": _versions,
    }  # fmt: skip
    for name, picture in pictures.items():
        figure = picture(pyplot)
        path = HERE / "pictures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        pyplot.close(figure)


def _panels(pyplot: Any, height: float, *shape: int, **options: Any) -> Any:
    figure, panels = pyplot.subplots(
        *shape, figsize=(WIDTH, height), constrained_layout=True, **options
    )
    return figure, np.atleast_1d(panels)


def _dictionary(pyplot: Any) -> Any:
    """The atoms of a pump, over its channels, the most used first."""
    names, _, found = pump("pump-1")
    version = found.versions[-1][1]
    order = _most_used(found, version)
    atoms = version.dictionary[:, order]
    figure, (panel,) = _panels(pyplot, 3.4, 1, 1)
    image = panel.imshow(atoms, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (channel, place), weight in np.ndenumerate(atoms):
        told = f"{weight:.1f}".replace("-0.0", "0.0")
        shade = "white" if abs(weight) > 0.6 else "black"
        panel.text(place, channel, told, ha="center", va="center", fontsize="small", color=shade)
    panel.set_yticks(range(len(names)), names)
    panel.set_xticks(range(len(names)), [f"atom {atom}" for atom in order])
    panel.set_title(f"pump-1, version {version.number}: weights of the channels in each atom",
                    fontsize="medium")  # fmt: skip
    figure.colorbar(image, ax=panel)
    return figure


def _most_used(found: Run, version: Version) -> list[int]:
    energy = np.zeros(len(version.dictionary))
    for codes in found.codes:
        if codes.version is version:
            np.add.at(energy, codes.atoms, codes.values**2)
    return [int(atom) for atom in np.argsort(-energy)]


def _code(pyplot: Any) -> Any:
    """One reading: its channels, the code, and what the code gives back."""
    names, values, found = pump("pump-1")
    coded = {offset: (codes.version, atoms, kept)
             for codes in found.codes
             for offset, _, atoms, kept, *_ in codes.rows()}  # fmt: skip
    latest = found.versions[-1][1]
    two = [at for at, (by, atoms, _) in coded.items() if by is latest and len(atoms) == 2]
    place = max(two, key=lambda at: min(map(abs, coded[at][2])))  # both atoms show
    version, atoms, kept = coded[place]
    deviations = (values[place] - version.mean) / version.scale
    rebuilt = (version.decode(atoms, kept) - version.mean) / version.scale
    figure, (left, right) = _panels(pyplot, 2.8, 1, 2, width_ratios=(3, 2))
    left.bar(range(len(names)), deviations, color="lightgray", label="as it came")
    left.plot(range(len(names)), rebuilt, "C3o", markersize=4, label="given back by the code")
    left.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize="small")
    left.set_ylabel("deviations from the mean")
    left.set_title(f"a reading of pump-1: {len(names)} numbers", fontsize="medium")
    left.legend(fontsize="small")
    every = np.zeros(len(names))
    every[atoms] = kept
    right.bar(range(len(names)), every, color=["C0" if weight else "white" for weight in every])
    right.axhline(0, color="black", linewidth=0.5)
    right.set_xticks(range(len(names)), [f"atom {atom}" for atom in range(len(names))],
                     rotation=40, ha="right", fontsize="small")  # fmt: skip
    right.set_title(f"its code: {len(atoms)} numbers", fontsize="medium")
    return figure


def _tolerance(pyplot: Any) -> Any:
    """A channel as the code gives it back, by tolerance; and how many atoms that takes."""
    figure, (left, right) = _panels(pyplot, 2.8, 1, 2, width_ratios=(3, 2))
    shown, channel = range(SHOWN.start, SHOWN.stop), 3
    taken = []
    for tolerance in TOLERANCES:
        names, values, found = pump("pump-1", tolerance)
        learned = [codes for codes in found.codes if codes.version.number >= 1]
        taken.append(np.mean([len(codes.atoms) / len(codes.offsets) for codes in learned]))
        if tolerance in (0.1, 0.7):
            rebuilt = {offset: codes.version.decode(atoms, kept)[channel]
                       for codes in learned
                       for offset, _, atoms, kept, *_ in codes.rows()}  # fmt: skip
            if tolerance == 0.1:
                left.plot(shown, values[SHOWN, channel], "k", linewidth=3, alpha=0.25,
                          label="as it came")  # fmt: skip
            left.plot(shown, [rebuilt[at] for at in shown], linewidth=1,
                      label=f"tolerance {tolerance:g}")  # fmt: skip
            left.set(xlabel="reading", ylabel=names[channel])
    left.set_title("pump-1, one of seven channels", fontsize="medium")
    left.legend(fontsize="small")
    right.plot(TOLERANCES, taken, marker="o")
    right.axvline(0.1, color="gray", linewidth=0.8, linestyle=":")
    right.set(xlabel="tolerance, deviations", ylim=(0, 7.2), xlim=(0, 1.05))
    right.set_title("atoms a reading, mean", fontsize="medium")
    right.grid(visible=True, alpha=0.3)
    return figure


def _surprise(pyplot: Any) -> Any:
    """Channels and surprise of a worn pump, and of a valve that is closed."""
    figure, panels = _panels(pyplot, 5.2, 2, 2, sharex="col", height_ratios=(3, 2))
    _, values, found = pump("pump-2")
    _felt(panels[:, 0], values, found, slice(360, 400))
    panels[0, 0].set_title("pump-2: the last 40 readings are of a worn pump", fontsize="small")
    source = SETS["skab"]
    readings = source.read(DATA / source.file)[VALVE]
    labels = read_labels()
    coder = GroupCoder()
    valve = run(readings, map(str, range(readings.shape[1])), coder=coder, period=1.0, rows=1)
    faulty = np.flatnonzero(labels > 0)
    _felt(panels[:, 1], readings, valve, slice(int(faulty[0]), int(faulty[-1]) + 1))
    panels[0, 1].set_title(f"skab {VALVE}: a valve is closed meanwhile", fontsize="small")
    panels[0, 0].set_ylabel("channels, deviations, smoothed")
    panels[1, 0].set_ylabel("surprise")
    panels[1, 0].legend(fontsize="x-small", loc="upper left")
    return figure


def read_labels() -> Floats:
    """Which readings of the valve's experiment are called faulty."""
    read = importlib.import_module("benchmarks.sets").read_csv("group", LABELS)
    found: Floats = read(DATA / SETS["skab"].file)[VALVE][:, 0]
    return found


def _felt(panels: Any, values: Floats, found: Run, fault: slice) -> None:
    above, below = panels
    healthy = values[: fault.start]
    shown = (values - healthy.mean(0)) / healthy.std(0)
    calm = np.ones(SMOOTH) / SMOOTH
    smooth = np.apply_along_axis(np.convolve, 0, np.clip(shown, -6, 6), calm, mode="valid")
    above.plot(np.arange(len(smooth)) + SMOOTH // 2, smooth, linewidth=0.7)
    below.semilogy(found.surprises, ".", markersize=2, color="gray", label="of a reading")
    below.semilogy(np.maximum(found.means, 0.03), "C3", label="of the group, its mean")
    below.axhline(1, color="black", linewidth=0.8, linestyle=":")
    for panel in panels:
        panel.axvspan(fault.start, fault.stop, alpha=0.15, color="C1")
    below.set(xlabel="reading", ylim=(0.03, 30))


def _versions(pyplot: Any) -> Any:
    """Versions and surprise of a server in whose place another one comes."""
    source = SETS["smd"]
    groups = source.read(DATA / source.file)
    values = np.vstack([groups[SERVER][:BEFORE], groups[ANOTHER][:BEFORE]])
    names = tuple(map(str, range(values.shape[1])))
    found = run(values, names, coder=GroupCoder(), period=60.0, rows=16)
    figure, (above, below) = _panels(pyplot, 4.0, 2, 1, sharex="col")
    places = [place for place, _ in found.versions]
    above.step([*places, len(values)], [*(v.number for _, v in found.versions),
               found.versions[-1][1].number], where="post")  # fmt: skip
    above.set_ylabel("version")
    days = np.arange(len(found.means)) * 16
    below.semilogy(days, np.maximum(found.means, 0.03), "C3", linewidth=0.8)
    below.axhline(1, color="black", linewidth=0.8, linestyle=":")
    below.set(xlabel="reading", ylabel="the group's surprise")
    colors = {"jump": "C2", "accepted": "C4"}
    for panel in (above, below):
        panel.axvline(BEFORE, color="black", linewidth=0.8)
        for kind, color in colors.items():
            for nth, (place, _) in enumerate(each for each in found.noticed if each[1] == kind):
                panel.axvline(place, color=color, linestyle="--", linewidth=1,
                              label=kind if nth == 0 else None)  # fmt: skip
    above.legend(fontsize="small", loc="upper left")
    above.set_title("a server of smd, and from the line on another one under its name",
                    fontsize="medium")  # fmt: skip
    return figure


if __name__ == "__main__":
    draw()
