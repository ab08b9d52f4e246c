import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.record import cpu_seconds
from flows import events
from flows.events import Tally
from flows.exporter import Collector, ServeError, serve
from flows.health import STATES
from flows.oddities import ODDITIES
from flows.settings import Settings
from oodl import __version__
from oodl.stream import GroupCoder, Noticed
from tests.flows.batches import coded

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraper(tally: Tally, groups: int = 1000) -> Callable[[], Samples]:
    registry = CollectorRegistry()
    settings = Settings.model_validate({"metrics": {"groups": groups}})
    registry.register(Collector(tally, settings))
    return lambda: parse(generate_latest(registry).decode())


def by_group(samples: Samples, metric: str) -> dict[str, float]:
    return {labels[0][1]: value for (name, labels), value in samples.items() if name == metric}


def busy(groups: list[str]) -> Tally:
    """A tally in which everything was counted."""
    tally = Tally(clock=lambda: 100.0)
    events.readings_received(tally, 100)
    events.reading_rejected(tally, reason="json", position="in/0/1", detail="x")
    events.codes_sent(tally, 90)
    events.dead_letters_sent(tally, 1)
    events.oddity(tally, "late", "in/0/2", 4)
    events.lag_measured(tally, 0, 3, 1.5)
    events.broker_heard(tally, silent_seconds=0.25)
    events.epoch_chosen(tally, seconds=2.0)
    tally.beats.held_by_snapshots = 0.75
    events.snapshot_taken(tally, seconds=0.02)
    events.codes_delivered(tally, [0.01, 0.3])
    for group in groups:
        step(tally, group)
        events.version_published(tally, group=group, version=coded(3).version, offset=9)
        events.group_noticed(tally, group=group, noticed=Noticed("jump"))
        events.group_stepped(tally, group=group, state=GroupCoder().start())
        events.group_held(tally, group=group, state_bytes=300)
        tally.version[group], tally.last_reading[group] = 3, 1764000000.0
    return tally


def crowd(count: int) -> Tally:
    """So many groups, each of which was counted."""
    tally = Tally()
    for number in range(count):
        step(tally, f"press-{number}")
        tally.surprise[f"press-{number}"] = 0.25
    return tally


def page_of(tally: Tally, groups: int) -> Callable[[], bytes]:
    registry = CollectorRegistry()
    settings = Settings.model_validate({"metrics": {"groups": groups}})
    registry.register(Collector(tally, settings))
    return lambda: generate_latest(registry)


def step(tally: Tally, group: str) -> None:
    events.readings_coded(tally, group=group, codes=coded(3))


def test_the_text_has_what_the_tally_has() -> None:
    # given a tally in which everything was counted
    tally = busy(["press-7", "oven"])
    # when it is scraped
    samples = scraper(tally)()
    # then each number is there under its name
    for metric, expected in {
        "oodl_readings_coded_total": tally.readings_coded,
        "oodl_values_total": tally.values,
        "oodl_reading_energy_total": tally.energy,
        "oodl_residual_energy_total": tally.residual_energy,
        "oodl_atoms_kept_total": tally.atoms_kept,
        "oodl_versions_published_total": tally.versions_published,
        "oodl_jumps_total": tally.jumps,
        "oodl_surprise": tally.surprise,
        "oodl_version": tally.version,
        "oodl_last_reading_timestamp_seconds": tally.last_reading,
        "oodl_oddities_total": dict.fromkeys(ODDITIES, 0) | tally.oddities,
        "oodl_frank_wolfe_gap": tally.gap,
        "oodl_orthogonality_defect": tally.defect,
        "oodl_partition_lag_readings": {"0": 3.0},
        "oodl_partition_lag_seconds": {"0": 1.5},
        "oodl_build_info": {__version__: 1.0},
    }.items():
        assert by_group(samples, metric) == expected, metric
    for metric, value in {
        "oodl_readings_received_total": 100,
        "oodl_codes_sent_total": 90,
        "oodl_dead_letters_sent_total": 1,
        "oodl_broker_silent_seconds": 0.25,
        "oodl_epoch_seconds": 2.0,
        "oodl_snapshots_held_seconds_total": 0.75,
        "oodl_groups": 2,
        "oodl_state_bytes": 600,
        "oodl_snapshot_seconds_count": 1,
        "oodl_snapshot_seconds_sum": 0.02,
        "oodl_end_to_end_seconds_count": 2,
        "oodl_end_to_end_seconds_sum": 0.31,
        "oodl_reconstruction_error_count": 6,
    }.items():
        assert samples[metric, ()] == value, metric
    rejected = by_group(samples, "oodl_readings_rejected_total")
    assert rejected["json"] == 1
    assert rejected["groups-full"] == 0


def test_buckets_are_cumulative_and_end_at_the_count() -> None:
    tally = Tally()
    events.codes_delivered(tally, [0.01, 0.3, 0.3, 1e6])
    samples = scraper(tally)()
    buckets = by_group(samples, "oodl_end_to_end_seconds_bucket")
    assert (buckets["0.01"], buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (1, 1, 3, 4)


def test_what_is_not_known_yet_is_left_out() -> None:
    names = {name for name, _ in scraper(Tally())()}
    assert "oodl_readings_received_total" in names
    assert "oodl_epoch_seconds" not in names
    assert "oodl_broker_silent_seconds" not in names
    assert "oodl_surprise" not in names


def test_the_help_of_every_metric_says_what_it_is() -> None:
    registry = CollectorRegistry()
    registry.register(Collector(busy(["a"]), Settings()))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert all(family.name.startswith("oodl_") for family in families)
    assert all(family.documentation.endswith(".") for family in families)


def test_groups_beyond_the_bound_are_added_up() -> None:
    # given room for two labels, and four groups
    tally = busy(["a", "b", "c", "d"])
    tally.surprise.update(c=0.25, d=0.75)
    # when it is scraped
    samples = scraper(tally, groups=2)()
    # then the first two have their own, and the rest is one
    coded_readings = by_group(samples, "oodl_readings_coded_total")
    assert coded_readings == {"a": 3, "b": 3, "__other__": 6}
    assert by_group(samples, "oodl_surprise") == {"a": 0, "b": 0, "__other__": 0.75}
    assert samples["oodl_groups", ()] == 4


def test_a_group_that_is_surprised_gets_a_label_and_no_count_is_lost_or_falls() -> None:
    # given a group without a label of its own
    tally = busy(["a", "b", "c"])
    scrape = scraper(tally, groups=1)
    before = scrape()
    # when it is surprised, and calm again, and goes on
    tally.surprise["c"] = 1.5
    surprised = scrape()
    step(tally, "c")
    tally.surprise["c"] = 0.5
    after = scrape()
    # then it has a label from its alarm on, that starts at 0; nothing falls, the sum is exact
    metric = "oodl_readings_coded_total"
    assert by_group(before, metric) == {"a": 3, "__other__": 6}
    assert by_group(surprised, metric) == {"a": 3, "c": 0, "__other__": 6}
    assert by_group(after, metric) == {"a": 3, "c": 3, "__other__": 6}
    assert by_group(surprised, "oodl_surprise")["c"] == 1.5
    assert by_group(after, "oodl_surprise")["c"] == 0.5


def test_a_group_that_expired_has_no_series_any_more_and_no_count_falls() -> None:
    # given a group with a label from the first, one from its alarm on, and two without
    tally = busy(["a", "b", "c", "d"])
    scrape = scraper(tally, groups=1)
    scrape()
    tally.surprise["b"] = 1.5
    scrape()
    step(tally, "b")
    before = scrape()
    metric = "oodl_readings_coded_total"
    assert by_group(before, metric) == {"a": 3, "b": 3, "__other__": 9}
    # when all but the last are gone
    for group in ("a", "b", "c"):
        events.group_expired(tally, group=group)
    after = scrape()
    # then what stood with the rest still does, and there is room for another label
    assert by_group(after, metric) == {"d": 0, "__other__": 9}
    assert by_group(after, "oodl_surprise") == {"d": 0}
    assert (after["oodl_groups", ()], after["oodl_groups_expired_total", ()]) == (1, 3)
    # and one that comes again counts from 0
    step(tally, "c")
    assert by_group(scrape(), metric) == {"d": 0, "__other__": 12}


def test_a_scrape_of_many_groups_costs_what_their_labels_do() -> None:
    # given 4,000 groups, and what a tenth of the labels leaves of the text
    pages = {most: page_of(crowd(4000), most) for most in (400, 4000)}
    # when both are scraped, in turn
    cost = {most: min(cpu_seconds(pages[most]) for _ in range(5)) for most in pages}
    # then the cap bounds the cost: measured .12 and .13
    assert cost[400] < 0.3 * cost[4000]


def test_groups_that_come_and_go_leave_nothing_behind() -> None:
    tally = Tally()
    collector = Collector(tally, Settings())
    codes = coded(3)
    for number in range(20_000):
        group = f"group-{number}"
        events.readings_coded(tally, group=group, codes=codes)
        tally.surprise[group] = 1.5
        if number % 500 == 0:
            list(collector.collect())
        events.group_expired(tally, group=group)
    list(collector.collect())
    kept = [name for name in Tally.__slots__ if isinstance(getattr(tally, name), dict)]
    assert {name: len(getattr(tally, name)) for name in kept if len(getattr(tally, name)) > 1} == {}
    labelled = 20_000 // 500
    rest = 3.0 * (20_000 - labelled)
    assert by_group(scraper(tally)(), "oodl_readings_coded_total") == {"__other__": rest}


def test_the_first_rise_of_a_counter_can_be_seen() -> None:
    # given a group that never jumped
    tally = Tally()
    step(tally, "a")
    scrape = scraper(tally)
    # then its counter is there before it rises
    assert by_group(scrape(), "oodl_jumps_total") == {"a": 0}
    events.group_noticed(tally, group="a", noticed=Noticed("jump"))
    assert by_group(scrape(), "oodl_jumps_total") == {"a": 1}


@pytest.mark.parametrize(
    ("group", "label"),
    [
        ('a"b\\c', 'a"b\\c'),
        ("pressé-日", "pressé-日"),
        ("a\nb", r"a\nb"),
        ("a\x00b\r\u2028", r"a\x00b\r\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_any_name_of_a_group_leaves_the_text_well_formed(group: str, label: str) -> None:
    tally = busy([group, "b"])
    samples = scraper(tally)()
    assert by_group(samples, "oodl_readings_coded_total") == {label: 3, "b": 3}


def test_groups_whose_labels_would_be_the_same_are_added_up() -> None:
    tally = busy(["a\nb", r"a\nb", "__other__"])
    samples = scraper(tally, groups=2)()
    assert by_group(samples, "oodl_atoms_kept_total").keys() == {r"a\nb", "__other__"}
    assert by_group(samples, "oodl_readings_coded_total") == {r"a\nb": 6, "__other__": 3}


def test_a_scrape_changes_no_count() -> None:
    tally = busy(["a"])
    scrape = scraper(tally, groups=0)
    assert scrape() == scrape()
    assert tally.jumps.keys() == {"a"}


@contextmanager
def serving(tally: Tally, **metrics: object) -> Iterator[str]:
    """Serve a tally on any free port; where."""
    settings = Settings.model_validate({"metrics": metrics})
    server, port = serve(Collector(tally, settings), "127.0.0.1", 0)
    assert server.server_address[0] == "127.0.0.1"
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()


def ask(url: str) -> tuple[int, Any]:
    """The status and the JSON that an address answers."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_metrics_are_served_on_the_address_alone() -> None:
    with serving(busy(["press-7"])) as place, urllib.request.urlopen(f"{place}/metrics") as answer:
        samples = parse(answer.read().decode())
    assert samples["oodl_codes_sent_total", ()] == 90


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux tells of its processes")
def test_what_the_process_uses_is_served_beside_what_it_counted() -> None:
    with serving(busy(["press-7"])) as place, urllib.request.urlopen(f"{place}/metrics") as answer:
        samples = parse(answer.read().decode())

    assert samples["process_resident_memory_bytes", ()] > 1e7
    assert samples["process_cpu_seconds_total", ()] > 0
    assert samples["oodl_readings_received_total", ()] == 100


def test_a_flow_that_starts_is_alive_and_not_ready() -> None:
    with serving(Tally()) as place:
        answers = [ask(f"{place}/{path}") for path in ("healthz", "readyz")]
    assert [status for status, _ in answers] == [200, 503]
    for _, told in answers:
        assert told["state"] == "starting"
        assert told.keys() == {"state", "since", "seconds", "reason"}
        assert datetime.fromisoformat(told["since"]) <= datetime.now(UTC)


def test_a_flow_that_reads_is_ready() -> None:
    tally = Tally()
    tally.beats.turn(time.monotonic(), partition=0, taken=0, behind=0)
    with serving(tally) as place:
        answers = [ask(f"{place}/{path}") for path in ("healthz", "readyz")]
    assert [(status, told["state"]) for status, told in answers] == [(200, "idle")] * 2


@pytest.mark.parametrize(("bound", "status"), [(1e6, 200), (10.0, 503)])
def test_a_flow_that_stands_still_asks_for_a_restart_once_its_bound_is_over(
    bound: float, status: int
) -> None:
    # given a flow whose thread does not come back: this one, which asks
    tally = Tally()
    tally.beats.turn(time.monotonic() - 20.0, partition=0, taken=5, behind=3)
    with serving(tally, restart_after=bound) as place:
        alive, told = ask(f"{place}/healthz")
        ready, _ = ask(f"{place}/readyz")
    assert (alive, ready, told["state"]) == (status, 503, "stalled")
    assert told["seconds"] >= 20.0


def test_the_state_is_a_metric_of_which_one_label_is_1() -> None:
    tally = Tally()
    tally.beats.turn(time.monotonic(), partition=0, taken=1, behind=0)
    samples = scraper(tally)()
    states = {labels[0][1]: value for (name, labels), value in samples.items()
              if name == "oodl_state"}  # fmt: skip
    assert states == dict.fromkeys(STATES, 0.0) | {"working": 1.0}


@pytest.mark.parametrize("path", ["/", "/health", "/healthz/", "/metricsx"])
def test_a_path_that_is_none_of_ours_is_not_answered_as_if_it_were(path: str) -> None:
    with serving(Tally()) as place, pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(place + path)
    with refused.value as answer:
        assert answer.code == 404
        assert answer.read() == b"expected /metrics, /healthz or /readyz\n"


def test_a_port_that_is_taken_is_refused_or_replaced() -> None:
    # given a port that is in use
    tally = Tally()
    collector = Collector(tally, Settings())
    first, port = serve(collector, "127.0.0.1", 0)
    try:
        # then it is refused by name
        with pytest.raises(ServeError, match=f"127.0.0.1:{port}, got Address already in use; end"):
            serve(collector, "127.0.0.1", port)
        # or replaced, and that is an event
        second, other = serve(collector, "127.0.0.1", port, fallback=True)
        second.shutdown()
        second.server_close()
        assert other not in (0, port)
        assert tally.oddities == {"metrics_port_moved": 1}
    finally:
        first.shutdown()
        first.server_close()


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ServeError, match=r"set metrics\.port or metrics\.address"):
        serve(Collector(Tally(), Settings()), "203.0.113.1", 0, fallback=True)
