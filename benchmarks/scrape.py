"""The question: what does a scrape of 10,000 groups cost, with labels for 1,000 and for all.

``python -m benchmarks.scrape`` asks the endpoint over HTTP as Prometheus does, and writes
results/scrape.json. CPU time is this process's, of the request and of the answer.
"""

import statistics
import time
import urllib.request
from collections.abc import Callable

import numpy as np

from benchmarks.record import Bar, cpu_seconds, record, rounded, save, tell
from flows import events
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.settings import Settings
from oodl.block import Block
from oodl.coding import Codes
from oodl.stream import GroupCoder

GROUPS = 10_000
LABELS = (100, 1000, 10_000)  # metrics.groups: little, the default, no cap
REPEATS = 9
BAR_SECONDS = 0.3


def busy(groups: int) -> Tally:
    """Return a tally in which so many groups were coded, judged and packed."""
    tally = Tally()
    coder = GroupCoder()
    rows = np.random.default_rng(0).standard_normal((200, 4))
    offsets = np.arange(len(rows))
    block = Block(("a", "b", "c", "d"), True, rows, offsets.astype(np.float64), offsets)  # noqa: FBT003
    state, outputs = coder.step(coder.start(), block)
    for number in range(groups):
        group = f"press-{number:05d}"
        for output in outputs:
            if isinstance(output, Codes):
                events.readings_coded(tally, group=group, codes=output)
        assert state.version is not None
        events.version_published(tally, group=group, version=state.version, offset=0)
        events.group_stepped(tally, group=group, state=state)
        events.group_held(tally, group=group, state_bytes=1000)
    return tally


def endpoint(tally: Tally, labels: int) -> Callable[[], bytes]:
    """Serve the tally, and return a call that scrapes it."""
    settings = Settings.model_validate({"metrics": {"groups": labels}})
    _, port = serve(Collector(tally, settings), "127.0.0.1", 0)

    def scrape() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            page: bytes = answer.read()
        return page

    return scrape


def main() -> None:
    """Measure, in turn, and write the record."""
    began = time.monotonic()
    scrapes = {labels: endpoint(busy(GROUPS), labels) for labels in LABELS}
    sizes = {labels: len(scrape()) for labels, scrape in scrapes.items()}
    found: dict[int, list[float]] = {labels: [] for labels in LABELS}
    for _ in range(REPEATS):
        for labels, scrape in scrapes.items():
            found[labels].append(cpu_seconds(scrape))
    rows = [
        {
            "labels": labels,
            "bytes": sizes[labels],
            "cpu_seconds": rounded(statistics.median(found[labels])),
            "repeats": [rounded(each) for each in found[labels]],
        }
        for labels in LABELS
    ]
    measured = statistics.median(found[1000])
    bars = [Bar(f"CPU seconds, {GROUPS} groups, labels for 1000", measured, BAR_SECONDS)]
    save("scrape", record("the cost of a scrape", bars, began, groups=GROUPS, rows=rows))
    tell(bars)


if __name__ == "__main__":
    main()
