"""What is told of groups: from codes and dictionaries that the step itself has made."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console

from flows import snapshots
from flows.dataflow import make_snapshots
from flows.kafka import EmbeddedBroker, Newest
from flows.settings import Settings
from flows.snapshots import GROUPS
from flows.tools.fleet import Fleet, Source
from flows.tools.inspect import UnknownGroupError, inspect, page_of
from flows.tools.inspect_atoms import atoms_of
from flows.tools.inspect_figures import LAST, Recent
from flows.tools.inspect_group import page
from flows.tools.inspect_rows import Row, ordered, rows_of
from flows.tools.inspect_sources import Seen, look
from flows.tools.inspect_table import table
from flows.wire import (
    CodeMessage,
    decode_codes,
    decode_dictionary,
    dictionary_key,
    encode_codes,
    encode_dictionary,
    to_version,
)
from oodl.coding import Codes
from oodl.errors import ValueFault
from oodl.stream import Block, GroupCoder, Published

TOPICS = Settings().topics
READINGS = 500
NOW = 1_795_500_000.0


class Made:
    """What a flow has written of a few groups, and the same as objects."""

    def __init__(self) -> None:
        self.dictionaries: dict[str, list[bytes]] = {}
        self.codes: dict[str, list[bytes]] = {}

    def code(self, source: Source, partition: int, *, changes: bool = False) -> None:
        """Code readings of a source; at the end its channels may move as they never did."""
        coder = GroupCoder()
        drawn = [source.draw() for _ in range(READINGS)]
        rows = [list(one.values()) if isinstance(one, dict) else one for one in drawn]
        values = np.array(rows, np.float64)
        if changes:
            values[-60:] = values[-60:, np.random.default_rng(1).permutation(values.shape[1])]
        channels = source.channels or tuple(map(str, range(values.shape[1])))
        offsets = np.arange(READINGS)
        times = np.array(NOW + offsets * 0.02, np.float64)
        block = Block(channels, settled=True, values=values, times=times, offsets=offsets)
        dictionaries = self.dictionaries.setdefault(source.group, [])
        codes = self.codes.setdefault(source.group, [])
        for output in coder.step(coder.start(), block)[1]:
            if isinstance(output, Published):
                dictionaries.append(encode_dictionary(source.group, partition, output))
            elif isinstance(output, Codes):
                codes += encode_codes(source.group, partition, output, "reading")

    def send(self, broker: EmbeddedBroker) -> None:
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        for group, messages in self.dictionaries.items():
            for message in messages:
                key = dictionary_key(group, decode_dictionary(message).id)
                producer.produce(TOPICS.dictionaries, message, key)
        for group, messages in self.codes.items():
            for message in messages:
                producer.produce(TOPICS.codes, message, group)
        producer.flush(10)


@pytest.fixture(scope="module")
def made() -> Made:
    """Two machines and a sensor with a waveform; the second machine changes at the end."""
    made = Made()
    for partition, source in enumerate(Fleet(machines=2, sensors=1, seed=3).sources.values()):
        made.code(source, partition, changes=source.group == "press-2")
    return made


@pytest.fixture(scope="module")
def broker(made: Made) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(*TOPICS.model_dump().values()) as embedded:
        made.send(embedded)
        yield embedded


@pytest.fixture
def settings(broker: EmbeddedBroker, tmp_path: Path) -> Settings:
    given: dict[str, Any] = {
        "kafka": {"bootstrap": broker.bootstrap},
        "recovery": {"folder": tmp_path / "recovery"},
        "metrics": {"port": 9},  # where nobody listens
    }
    return Settings.model_validate(given)


@pytest.fixture
def settings_file(settings: Settings, tmp_path: Path) -> Path:
    file = tmp_path / "oodl.toml"
    file.write_text(
        f'[kafka]\nbootstrap = "{settings.kafka.bootstrap}"\n[metrics]\nport = 9\n'
        f'[recovery]\nfolder = "{settings.recovery.folder}"\n'
    )
    return file


def codes_of(made: Made, group: str) -> list[CodeMessage]:
    return [code for message in made.codes[group] for code in decode_codes(message)]


# Figures of groups


def test_figures_are_those_of_the_newest_codes(made: Made, settings: Settings) -> None:
    rows = {row.group: row for row in rows_of(look(settings, 100_000))}

    assert list(rows) == ["press-1", "press-2", "vibration-1"]
    for group, row in rows.items():
        last = codes_of(made, group)[-LAST:]
        assert row.version == last[-1].version == len(made.dictionaries[group]) - 1
        assert row.id == last[-1].id
        assert row.numbers == (32 if group == "vibration-1" else 16)
        assert row.error == pytest.approx(
            np.sqrt(np.mean([(code.error or 0) ** 2 for code in last]))
        )
        assert row.surprise == pytest.approx(
            np.mean([min(code.surprise or 0, 8.0) for code in last])
        )
        atoms = [len(code.atoms) for code in last]
        assert row.density == pytest.approx(np.mean(atoms) / row.numbers)
        assert row.last_reading == pytest.approx(NOW + (READINGS - 1) * 0.02)
        assert row.partition == int({"press-1": 0, "press-2": 1, "vibration-1": 2}[group])
    assert (rows["press-2"].surprise or 0) > 1 > (rows["press-1"].surprise or 9)


def test_the_most_surprised_group_comes_first_and_the_unknown_last() -> None:
    def row(group: str, surprise: float | None, lag: int | None = None) -> Row:
        return Row(
            group=group, error=0.1, surprise=surprise, surprises=[], density=None,
            state_bytes=None, lag=lag,
        )  # fmt: skip

    rows = [row("a", None), row("b", 0.2, 7), row("c", 3.0, 9), row("d", 0.2)]
    assert [each.group for each in ordered(rows, "surprise")] == ["c", "b", "d", "a"]
    assert [each.group for each in ordered(rows, "lag")] == ["c", "b", "a", "d"]
    assert [each.group for each in ordered(rows, "group")] == ["a", "b", "c", "d"]


def test_what_a_frame_lacks_is_no_value_that_atoms_are_counted_for() -> None:
    recent = Recent()
    given: dict[str, Any] = {"group": "a", "id": "f", "version": 1, "partition": 0, "error": 0.0}
    recent.add(CodeMessage(
        **given, offset=3, offsets=[2, 3], ts=[1.0, 2.0], atoms=[0, 5], values=[1.0, 1.0],
        missing=[1, 2], surprise=None,
    ))  # fmt: skip
    assert recent.readings == 2
    assert recent.surprise is None
    assert recent.density({"f": 12}, window=4) == 2 / 4  # of 12 numbers half came, 2 were missing
    assert recent.density({}) is None


def test_only_the_newest_codes_are_read(settings: Settings) -> None:
    seen = look(settings, 40)
    # ten of each of four partitions, of which the groups have three at most
    assert 10 <= seen.read <= 30
    assert all(recent.readings <= 30 for recent in seen.recent.values())
    assert sorted(seen.versions) == ["press-1", "press-2", "vibration-1"]


def test_newest_ends_while_more_comes(settings: Settings) -> None:
    with EmbeddedBroker("busy") as busy:
        producer, ending = Producer({"bootstrap.servers": busy.bootstrap}), threading.Event()
        connection = settings.kafka.model_copy(update={"bootstrap": busy.bootstrap})

        def go_on() -> None:
            while not ending.wait(0.005):
                producer.produce("busy", b"more", partition=0)
                producer.poll(0)

        producer.produce("busy", b"first", partition=0)
        producer.flush(10)
        feeding = threading.Thread(target=go_on)
        feeding.start()
        try:
            newest = Newest(connection, "busy", 4)
            values = [raw.value() for raw in newest]
        finally:
            ending.set()
            feeding.join()
    assert values == [b"first", *[b"more"] * (len(newest) - 1)]


# Other sources


def test_what_cannot_be_reached_is_told_and_left_out(settings: Settings) -> None:
    seen = look(settings, 100)
    assert (seen.states, seen.pipeline) == (None, None)
    told = "\n".join(seen.problems)
    assert re.search(r"state: no snapshots in \S+recovery; it is where the pipeline runs", told)
    assert re.search(r"pipeline: no answer at http://127\.0\.0\.1:9/healthz .*does it run", told)


def test_lag_is_what_is_not_committed(broker: EmbeddedBroker, settings: Settings) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for _ in range(12):
        producer.produce(TOPICS.readings, b"{}", partition=1)
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": settings.kafka.group})
    consumer.commit(offsets=[TopicPartition(TOPICS.readings, 1, 5)], asynchronous=False)
    consumer.close()

    seen = look(settings, 100_000)

    assert seen.lags == {0: 0, 1: 7, 2: 0, 3: 0}
    assert {row.group: row.lag for row in rows_of(seen)} == {
        "press-1": 0, "press-2": 7, "vibration-1": 0
    }  # fmt: skip


def test_sizes_of_states_are_read_beside_a_pipeline(settings: Settings) -> None:
    from flows import manifest
    from flows.dataflow import SINK_PARTS
    from flows.state import FORMAT

    folder = settings.recovery.folder
    described = manifest.Manifest(
        cluster="c", group="oodl", topics={"readings": "r"}, partitions=4, sink_parts=SINK_PARTS,
        state_format=FORMAT, epoch_seconds=1.0,
    )  # fmt: skip
    manifest.write(folder, described)
    make_snapshots(folder)
    snapshots.write(folder, GROUPS, [("press-1", bytes(5000)), ("press-2", bytes(70))])

    seen = look(settings, 100)

    assert seen.states == {"press-1": 5000, "press-2": 70}
    assert [row.state_bytes for row in rows_of(seen)] == [5000, 70, None]


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], int]]:
    """Starts a server with one answer, and returns its port."""
    servers: list[HTTPServer] = []

    def start(status: int, body: bytes) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"state": "idle", "reason": ""}', {"state": "idle", "reason": ""}),
        (503, b'{"state": "stalled", "reason": "no"}', {"state": "stalled", "reason": "no"}),
        (404, b"nothing", None),
        (200, b"[]", None),
    ],
)
def test_the_pipeline_says_how_it_does(
    status: int,
    body: bytes,
    expected: object,
    settings: Settings,
    answering: Callable[[int, bytes], int],
) -> None:
    metrics = settings.metrics.model_copy(update={"port": answering(status, body)})
    seen = look(settings.model_copy(update={"metrics": metrics}), 10)
    assert seen.pipeline == expected
    told = "\n".join(seen.problems)
    assert ("something else answers" in told) == (expected is None)


def test_messages_of_others_are_counted_and_cost_nothing_else(made: Made) -> None:
    with EmbeddedBroker(*TOPICS.model_dump().values()) as broker:
        made.send(broker)
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        for topic in (TOPICS.codes, TOPICS.dictionaries):
            producer.produce(topic, b"{}")
            producer.produce(topic, None, b"tombstone")
        producer.flush(10)
        seen = look(Settings(kafka={"bootstrap": broker.bootstrap}), 100_000)
    assert len(rows_of(seen)) == 3
    told = "\n".join(seen.problems)
    assert "sensors.dictionaries: 1 messages are no dictionaries" in told
    assert "sensors.codes: 2 messages are no codes" in told


# One group


def test_atoms_that_are_used_most_come_first_with_their_strongest_channels(made: Made) -> None:
    version = to_version(decode_dictionary(made.dictionaries["press-1"][-1]))
    codes = codes_of(made, "press-1")
    own = [code for code in codes if code.id == version.id]

    atoms = atoms_of(version, codes, "used")

    assert len(atoms) == 16
    assert [atom.used for atom in atoms] == sorted((atom.used or 0 for atom in atoms), reverse=True)
    assert sum(atom.energy or 0 for atom in atoms) == pytest.approx(1)
    first = atoms[0]
    assert first.used == np.mean([first.atom in code.atoms for code in own])
    column = version.dictionary[:, first.atom]
    strongest = int(np.argmax(np.abs(column)))
    assert first.channels[0].channel == version.channels[strongest]
    assert first.channels[0].weight == pytest.approx(float(column[strongest]))
    energies = [atom.energy or 0 for atom in atoms_of(version, codes, "energy")]
    assert energies == sorted(energies, reverse=True)


def test_samples_of_a_waveform_are_a_curve(settings: Settings) -> None:
    told = page_of(look(settings, 100_000, "vibration-1"), "vibration-1", "used")
    assert all(len(atom.curve) == 32 for atom in told.atoms)
    assert "over the reading" in drawn(page(told, everything=False))


def drawn(thing: Any, width: int = 100) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(thing)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_a_page_tells_the_versions_and_how_far_each_turned(made: Made, settings: Settings) -> None:
    told = page_of(look(settings, 100_000, "press-1"), "press-1", "used")
    assert [each.version for each in told.versions] == list(range(len(told.versions)))
    assert len(told.versions) == len(made.dictionaries["press-1"])
    assert [each.turned is None for each in told.versions[:3]] == [True, True, False]
    assert all(abs(each.published - time.time()) < 600 for each in told.versions)
    text = drawn(page(told, everything=True))
    assert all(name in text for name in told.version.channels)
    assert all(each.id in text for each in told.versions)


def test_names_that_no_terminal_should_see_are_spelt_out() -> None:
    row = Row(
        group="a\x1b[2J", error=None, surprise=None, surprises=[], density=None, state_bytes=None
    )
    assert "a\\x1b[2J" in drawn(table([row], 1, "surprise", 0.1))


@pytest.mark.parametrize(("width", "sparks"), [(80, False), (100, True)])
def test_no_figure_is_cut_on_a_narrow_terminal(width: int, sparks: bool) -> None:  # noqa: FBT001
    row = Row(
        group="a" * 60, version=12, numbers=128, error=0.0834, surprise=1.25,
        surprises=[0.2, 2.5] * 16, density=0.31, state_bytes=163_840, lag=12_345,
        last_reading=NOW - 9e6,
    )  # fmt: skip
    lines = drawn(table([row], 1, "surprise", 0.1, width), width).splitlines()
    (line,) = (line for line in lines if line.strip().startswith("aaa"))
    for figure in ("12", "0.083", "0.31", "1.25", "12,345", "164 KB", "2026-08-12"):
        assert figure in line
    assert ("█" in line) == sparks
    assert len(line) <= width


# The command


def test_the_table_has_a_line_a_group_and_says_what_it_leaves_out(
    settings_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    inspect(settings=settings_file, limit=2)
    out = capsys.readouterr().out
    assert re.search(r"3 groups   1 surprised   pipeline not reached", out)
    lines = [line.split()[0] for line in out.splitlines() if re.match(r" ?(press|vibra)", line)]
    assert lines[0] == "press-2"
    assert len(lines) == 2
    assert "2 of 3 groups, by surprise; --all shows all" in out
    assert "not known: pipeline: no answer" in out


def test_json_is_an_object_a_group(settings_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect(settings=settings_file, group="press-*", json=True, limit=1)
    printed = capsys.readouterr()
    told = [json.loads(line) for line in printed.out.splitlines()]
    assert [each["group"] for each in told] == ["press-2", "press-1"]
    assert list(told[0]) == [
        "group", "version", "id", "numbers", "error", "surprise", "density", "lag", "partition",
        "last_reading", "state_bytes",
    ]  # fmt: skip
    assert "pipeline" in printed.err


def test_json_of_one_group_has_its_atoms_and_versions(
    made: Made, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inspect(settings=settings_file, group="press-1", json=True, sort="energy")
    told = json.loads(capsys.readouterr().out)
    assert told["group"] == "press-1"
    assert len(told["atoms"]) == len(told["channels"]) == 16
    assert [each["version"] for each in told["versions"]] == list(
        range(len(made.dictionaries["press-1"]))
    )


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"group": "pres-1"}, r"got 'pres-1', with none; did you mean 'press-1'\?"),
        ({"group": "oven"}, "`oodl inspect --all` lists them"),
        ({"group": "oven*"}, "fits none of the 3"),
        ({"sort": "used"}, "--sort: expected one of surprise, .* for groups, got used"),
        ({"group": "press-1", "sort": "lag"}, "expected one of used, energy for the atoms"),
    ],
)
def test_what_is_not_there_is_told(how: dict[str, Any], told: str, settings_file: Path) -> None:
    with pytest.raises((UnknownGroupError, ValueFault), match=told):
        inspect(settings=settings_file, **how)


def test_a_group_without_its_dictionary_is_told(made: Made) -> None:
    seen = Seen()
    for code in codes_of(made, "press-1"):
        seen.recent["press-1"].add(code)
    (row,) = rows_of(seen)
    assert (row.version, row.numbers, row.density) == (
        codes_of(made, "press-1")[-1].version,
        None,
        None,
    )
    with pytest.raises(UnknownGroupError, match="codes alone, of a dictionary that is gone"):
        page_of(seen, "press-1", "used")
