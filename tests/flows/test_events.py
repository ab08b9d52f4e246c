import io
import json
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from flows import events
from flows.events import Histogram, Tally
from flows.exporter import Collector
from flows.log_lines import Form
from flows.settings import Settings
from oodl.stream import Block, GroupCoder, Noticed
from tests.flows.batches import coded

UNCOUNTED = {"snapshot_taken", "epoch_chosen", "flow_ended"}  # gauges, a histogram, the last line


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    log = logging.getLogger("flows")
    before = (log.handlers[:], log.propagate, log.level)
    yield log
    log.handlers[:], log.propagate = before[0], before[1]
    log.setLevel(before[2])


@pytest.fixture
def written() -> io.StringIO:
    stream = io.StringIO()
    events.log_to(stream, logging.DEBUG)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def test_values_on_a_bound_belong_to_its_bucket() -> None:
    histogram = Histogram((0.1, 1.0))
    histogram.observe(np.array([0.1, 0.1000001, 1.0, 2.0]))
    histogram.observe([])
    assert histogram.counts.tolist() == [1, 2, 1]
    assert histogram.sum == pytest.approx(3.2000001)


@pytest.mark.parametrize("missing", [True, False])
def test_energies_are_sums_of_squares_over_present_values(missing: bool) -> None:  # noqa: FBT001
    # given three readings, with a value missing or not
    codes, tally = coded(3, missing=missing), Tally()
    # when they are counted twice
    for _ in range(2):
        events.readings_coded(tally, group="press-7", codes=codes)
    # then the tally has the sums by their definition
    present = 5 if missing else 6
    total, left = 0.0, 0.0
    for row, (*_, atoms, values, absent, _error, _) in zip(
        [[3.0, 4.0], [1.0, 1.0], [2.0, 0.0 if missing else 2.0]], codes.rows(), strict=True
    ):
        rebuilt = codes.version.decode(atoms, values)
        total += sum(value**2 for value in row)
        left += sum((rebuilt[i] - row[i]) ** 2 for i in range(2) if i not in absent)
    assert tally.readings_coded == {"press-7": 6}
    assert tally.atoms_kept == {"press-7": 2 * len(codes.atoms)}
    assert tally.values == {"press-7": 2 * present}
    assert tally.energy["press-7"] == pytest.approx(2 * total)
    assert tally.residual_energy["press-7"] == pytest.approx(2 * left, rel=1e-4, abs=1e-6)
    assert tally.reconstruction_error.counts.sum() == 6


def test_version_0_has_no_energies() -> None:
    tally = Tally()
    events.readings_coded(tally, group="press-7", codes=coded(0))
    assert tally.readings_coded == {"press-7": 3}
    assert (tally.values, tally.energy, tally.residual_energy) == ({}, {}, {})


def test_a_group_shows_where_it_stands() -> None:
    # given a group that was stepped
    coder, tally = GroupCoder(), Tally()
    offsets = np.arange(70)
    block = Block(
        channels=("a", "b"), settled=True, times=np.arange(1000.0, 1070.0), offsets=offsets,
        values=np.random.default_rng(7).standard_normal((70, 2)),
    )  # fmt: skip
    state, _ = coder.step(coder.start(), block)
    # when that is told
    events.group_stepped(tally, group="press-7", state=state)
    events.group_held(tally, group="press-7", state_bytes=300)
    # then its gauges are there
    assert tally.surprise == {"press-7": state.surprise}
    assert tally.version == {"press-7": 1}
    assert tally.last_reading == {"press-7": 1069.0}
    assert tally.state_bytes == {"press-7": 300}


def test_a_group_that_begins_and_one_that_expires_are_counted_and_told(
    written: io.StringIO,
) -> None:
    tally = Tally()
    events.group_begun(tally, group="press-7")
    events.group_stepped(tally, group="press-7", state=GroupCoder().start())
    events.group_held(tally, group="press-7", state_bytes=300)
    events.readings_coded(tally, group="press-7", codes=coded(3))
    events.group_expired(tally, group="press-7")
    assert (tally.groups_begun, tally.groups_expired) == (1, 1)
    assert (tally.surprise, tally.state_bytes) == ({}, {})
    assert tally.readings_coded == {"__other__": 3}
    told = [line["message"] for line in lines(written)]
    assert (told[0], told[-1]) == (
        "Group begun. group='press-7'", "Group expired. group='press-7'"
    )  # fmt: skip


def test_a_group_without_anything_learned_shows_no_version() -> None:
    tally = Tally()
    events.group_stepped(tally, group="press-7", state=GroupCoder().start())
    assert (tally.version, tally.last_reading) == ({}, {})


def test_every_notice_of_a_step_is_counted_and_logged(written: io.StringIO) -> None:
    # given every kind of notice, for a group whose name has control characters
    tally = Tally()
    group = "press\n7\x00\u2028"
    # when they are said
    for kind in ("restart", "surprised", "calm", "accepted", "jump", "clock_ahead", "late"):
        events.group_noticed(tally, group=group, noticed=Noticed(kind, 2))
    # then each has a count and a line
    assert tally.oddities == {
        "group_restarted": 1, "group_surprised": 1, "group_calmed": 1, "group_accepted": 1,
        "clock_ahead": 2, "late": 2,
    }  # fmt: skip
    assert tally.jumps == {group: 1}
    assert [line["message"] for line in lines(written)] == [
        r"Group restarted. group='press\n7\x00\u2028'",
        r"Group surprised. group='press\n7\x00\u2028'",
        r"Group calmed. group='press\n7\x00\u2028'",
        r"Group's new behaviour accepted as its own. group='press\n7\x00\u2028'",
        r"Group jumped, its dictionary is learned anew. group='press\n7\x00\u2028'",
        r"Oddity seen. kind=clock_ahead count=2 detail='press\n7\x00\u2028' held_back=0",
    ]


def tell_everything(tally: Tally) -> None:
    version = coded(3).version
    events.readings_received(tally, 5)
    events.reading_rejected(tally, reason="json", position="in/0/1", detail="x")
    events.readings_coded(tally, group="a", codes=coded(3))
    events.samples_assembled(tally, 5)
    events.messages_repartitioned(tally, 5)
    events.codes_sent(tally, 4)
    events.dead_letters_sent(tally, 1)
    events.version_published(tally, group="a", version=version, offset=9)
    events.group_begun(tally, group="a")
    events.group_expired(tally, group="a")
    for kind in ("restart", "surprised", "calm", "accepted", "jump", "clock_ahead", "late", "gap"):
        tally.spoke.clear()
        events.group_noticed(tally, group="a", noticed=Noticed(kind, 2))
    events.snapshot_taken(tally, seconds=0.02)
    events.epoch_chosen(tally, seconds=2.0)
    events.snapshots_slow(tally, share=0.25, seconds=2.0, longer=4.0)
    events.delivery_failed(tally, topic="codes", detail="timed out")
    events.name_taken(tally, detail="oodl")
    events.offset_expired(tally, 3, 17)
    events.partitions_added(tally, topic="in", was=6, now=8)
    events.partitions_shared(tally, other="pump:17:c0", partitions=[0, 2])
    events.warm_started(tally, groups=3)
    events.stop_requested(tally, signal="SIGTERM")
    events.metrics_port_moved(tally, wanted=9464, bound=4001)
    events.flow_ended(tally)


def test_every_plain_event_has_its_count_and_one_line(written: io.StringIO) -> None:
    # given
    tally = Tally()
    version = coded(3).version
    # when each event happens
    events.readings_received(tally, 5)
    events.codes_sent(tally, 4)
    events.dead_letters_sent(tally, 1)
    events.version_published(tally, group="a", version=version, offset=9)
    events.snapshot_taken(tally, seconds=0.02)
    events.epoch_chosen(tally, seconds=2.0)
    events.snapshots_slow(tally, share=0.25, seconds=2.0, longer=4.0)
    events.delivery_failed(tally, topic="codes", detail="timed out")
    events.name_taken(tally, detail="oodl")
    events.offset_expired(tally, 3, 17)
    events.partitions_added(tally, topic="in", was=6, now=8)
    events.partitions_shared(tally, other="pump:17:c0", partitions=[0, 2])
    events.warm_started(tally, groups=3)
    events.stop_requested(tally, signal="SIGTERM")
    events.metrics_port_moved(tally, wanted=9464, bound=4001)
    # then it is counted
    assert (tally.readings_received, tally.codes_sent, tally.dead_letters_sent) == (5, 4, 1)
    assert tally.versions_published == {"a": 1}
    assert (tally.snapshot.counts.sum(), tally.snapshot.sum, tally.epoch) == (1, 0.02, 2.0)
    kinds = (
        "snapshots_slow",
        "delivery_failed",
        "name_taken",
        "offset_expired",
        "partitions_added",
        "partitions_shared",
        "warm_start",
        "stop_requested",
        "metrics_port_moved",
    )
    assert tally.oddities == dict.fromkeys(kinds, 1)
    # and each has a line; normal work none above debug
    assert [(line["level"], line["message"]) for line in lines(written)] == [
        ("debug", "Readings received. count=5"),
        ("debug", "Codes sent. count=4"),
        ("debug", "Dead letters sent. count=1"),
        ("debug", f"Version published. group='a' version=3 id={version.id} offset=9"),
        ("debug", "Snapshot taken. seconds=0.020"),
        ("debug", "Epoch chosen. seconds=2"),
        ("warning", "Snapshots slow. share=0.25 epoch=2 at_next_start=4"),
        ("error", "Delivery failed, stopping. topic=codes detail='timed out'"),
        ("error", "Name taken by another process, stopping. detail='oodl'"),
        ("error", "Offset expired. partition=3 offset=17"),
        ("warning", "Partitions added, start again. topic=in was=6 now=8"),
        (
            "error",
            "Partitions shared with another process. other='pump:17:c0' partitions=[0, 2]",
        ),
        (
            "warning",
            "Snapshots missing, going on from committed offsets and dictionaries. groups=3",
        ),
        ("info", "Stop requested. signal=SIGTERM"),
        ("warning", "Metrics port moved. wanted=9464 bound=4001"),
    ]


def test_the_last_line_of_a_flow_has_its_totals(written: io.StringIO) -> None:
    # given a flow that has done something
    tally = Tally()
    events.readings_received(tally, 5)
    events.reading_rejected(tally, reason="json", position="in/0/1", detail="x")
    for group in ("a", "b"):
        events.readings_coded(tally, group=group, codes=coded(3))
    # when it ends
    events.flow_ended(tally)
    # then its counts are the last thing said
    line = lines(written)[-1]
    assert line["level"] == "info"
    assert (line["received"], line["rejected"], line["coded"]) == (5, 1, 6)


def test_gauges_without_a_line_show_the_last_value(written: io.StringIO) -> None:
    moment = 100.0
    tally = Tally(clock=lambda: moment)
    for readings in (7, 3):
        events.lag_measured(tally, 0, readings, readings / 2)
        events.broker_heard(tally, silent_seconds=readings)
        events.codes_delivered(tally, np.array([0.01, 100.0]))
    assert (tally.lag_readings, tally.lag_seconds) == ({0: 3}, {0: 1.5})
    assert tally.broker_silent == 3
    moment += 16
    assert tally.broker_silent == 19
    assert tally.end_to_end.counts.sum() == 4
    assert lines(written) == []


def test_a_repeated_warning_is_held_and_tells_how_many(written: io.StringIO) -> None:
    # given a clock, and a thousand rejected messages within ten seconds
    clock = Clock()
    tally = Tally(clock=clock)
    for offset in range(1000):
        events.reading_rejected(tally, reason="json", position=f"in/0/{offset}", detail="bad")
        clock.now += 0.009
    # then all are counted, and one is named
    assert tally.readings_rejected == {"json": 1000}
    assert [line["position"] for line in lines(written)] == ["in/0/0"]
    # and after ten seconds the next one tells how many were held back
    clock.now = 110.0
    events.reading_rejected(tally, reason="size", position="in/0/1000", detail="big")
    events.reading_rejected(tally, reason="size", position="in/0/1001", detail="big")
    last = lines(written)[-1]
    assert (last["position"], last["held_back"]) == ("in/0/1000", 999)
    # while another event speaks at once
    events.oddity(tally, "unknown_channel", "in/0/7")
    assert lines(written)[-1]["kind"] == "unknown_channel"


def test_the_log_is_text_on_a_terminal_and_json_elsewhere() -> None:
    # given a terminal, then a file
    terminal, file = Terminal(), io.StringIO()
    # when the log goes to the one, then to the other
    for stream in (terminal, file):
        events.log_to(stream)
        events.reading_rejected(Tally(), reason="json", position="in/0/7", detail="a\nb")
        events.readings_received(Tally(), 5)
    # then each has its own form, once, and no debug
    assert terminal.getvalue().endswith(
        r" WARNING Reading rejected. reason=json position=in/0/7 detail='a\nb' held_back=0" + "\n"
    )
    assert terminal.getvalue().count("\n") == 1
    (line,) = lines(file)
    assert (line["level"], line["reason"], line["detail"]) == ("warning", "json", "a\nb")


@pytest.mark.parametrize("terminal", [True, False])
def test_the_form_of_the_log_can_be_chosen(terminal: bool) -> None:  # noqa: FBT001
    forms: tuple[tuple[Form, str], ...] = (("json", "{"), ("text", "0123456789"))
    for form, begins in forms:
        stream = Terminal() if terminal else io.StringIO()
        events.log_to(stream, "DEBUG", form=form)
        events.readings_received(Tally(), 5)
        assert stream.getvalue()[0] in begins
        assert "Readings received. count=5" in stream.getvalue()


def test_an_event_has_the_name_that_it_is_counted_under(written: io.StringIO) -> None:
    # given all that the pipeline can say
    tally = Tally()
    tell_everything(tally)
    # when the metrics are shown
    families = Collector(tally, Settings()).collect()
    counters = {family.name for family in families if family.type == "counter"}
    # then each line's event is a counter of that name, or a kind of oddity
    told = {str(line["event"]) for line in lines(written)}
    assert {f"oodl_{event}" for event in told - tally.oddities.keys() - UNCOUNTED} <= counters
    assert UNCOUNTED | tally.oddities.keys() <= told
    assert len(told) > 20


def test_a_line_of_the_client_is_told_from_the_events(written: io.StringIO) -> None:
    logging.getLogger("flows.kafka").warning("%% %s", "GETSOCKOPT")
    (line,) = lines(written)
    assert (line["event"], line["level"]) == ("client", "warning")


def test_a_process_of_a_cluster_names_its_number() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        events.log_to(stream, process=1)
        events.stop_requested(Tally(), signal="SIGTERM")
    assert terminal.getvalue().endswith(" INFO process 1 Stop requested. signal=SIGTERM\n")
    assert [line["process"] for line in lines(file)] == [1]


def test_a_json_line_holds_a_traceback(written: io.StringIO, logger: logging.Logger) -> None:
    try:
        json.loads("{")
    except json.JSONDecodeError:
        logger.exception("Broken.")
    (line,) = lines(written)
    assert line["message"] == "Broken."
    assert "JSONDecodeError" in str(line["trace"])
