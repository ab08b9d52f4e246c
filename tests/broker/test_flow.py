"""The whole flow on the embedded broker: readings in; codes, dictionaries, dead letters out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition

from flows.dataflow import assemble
from flows.events import Tally
from flows.kafka import DeliveryError, StopFlag
from flows.manifest import ManifestError, lock
from flows.outbox import Outbox
from flows.private import ExposedError
from flows.settings import Settings
from flows.wire import CodeMessage, decode_codes, encode_codes
from oodl.channels import ChannelPlan, Row
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, Published
from tests.traffic import (
    Record,
    codes_by_position,
    machine,
    position_of_letter,
    read,
    rebuilt,
    send,
    versions,
)

GROUPS = [f"press-{number}" for number in range(5)]
PATIENCE = 60.0


def test_every_reading_is_coded_once_as_the_group_step_alone_codes_it(settings: Settings) -> None:
    sent = send_readings(settings, machine(GROUPS, 300))

    run(settings, lambda tally: tally.codes_sent == len(sent))

    coded = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    assert sorted(coded) == sorted(record.position for record in sent)
    for group in GROUPS:
        own = [record for record in sent if record.key == group.encode()]
        for expected in step_alone(group, own):
            [got] = coded[expected.partition, expected.offset]
            assert (got.group, got.version, got.ts) == (group, expected.version, expected.ts)
            assert got.atoms == expected.atoms
            np.testing.assert_allclose(got.values, expected.values, atol=1e-5)


def test_codes_rebuild_their_readings_with_the_dictionaries_of_the_topic(
    settings: Settings,
) -> None:
    sent = send_readings(settings, machine(GROUPS, 300))

    run(settings, lambda tally: tally.codes_sent == len(sent))

    coded = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    known = versions(read(settings.kafka.bootstrap, settings.topics.dictionaries))
    assert {number for _, number in version_numbers(coded)} > {0, 1}
    for record in sent:
        [code] = coded[record.position]
        scale = known[code.group, code.id].scale
        off = (rebuilt(code, known) - json.loads(record.value or b"")["values"]) / scale
        assert np.sqrt((off**2).mean()) <= 0.1


def test_what_cannot_be_read_is_a_dead_letter_with_its_bytes_reason_and_position(
    settings: Settings,
) -> None:
    bad = {
        "json": b'{"values": [1, 2',
        "encoding": b'{"values": {"\xff": 1}}',
        "schema": b"",
        "time": b'{"ts": "noon", "values": [1, 2, 3, 4, 5, 6]}',
        "length": b'{"values": [1, 2, 3]}',
    }
    own = (("trace", b"7"),)
    sent = send_readings(settings, machine(GROUPS[:1], 30))
    poison = send_readings(settings, [Record(b"press-0", each, own) for each in bad.values()])

    tally = run(settings, lambda tally: tally.dead_letters_sent == len(bad))

    letters = read(settings.kafka.bootstrap, settings.topics.dead_letters)
    found = {position_of_letter(letter): letter for letter in letters}
    for reason, record in zip(bad, poison, strict=True):
        letter = found.pop(record.position)
        assert (letter.key, letter.value or b"") == (record.key, record.value)
        assert dict(letter.headers)["oodl-reason"] == reason.encode()
        assert letter.headers[0] == own[0]
    assert not found
    assert tally.readings_rejected == dict.fromkeys(bad, 1)
    assert tally.codes_sent == len(sent)


def test_a_restart_goes_on_behind_the_last_reading_with_the_state_it_had(
    settings: Settings,
) -> None:
    first = send_readings(settings, machine(GROUPS, 200))
    run(settings, lambda tally: tally.codes_sent == len(first))
    second = send_readings(settings, machine(GROUPS, 200, first=200))

    tally = run(settings, lambda tally: tally.codes_sent == len(second))

    coded = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    assert tally.readings_received == len(second)
    assert [len(repeats) for repeats in coded.values()] == [1] * len(first + second)
    for group in GROUPS:
        own = [record for record in first + second if record.key == group.encode()]
        for expected in step_alone(group, own):
            [got] = coded[expected.partition, expected.offset]
            assert (got.version, got.atoms) == (expected.version, expected.atoms)


def test_what_is_confirmed_is_counted_at_once_and_not_with_the_next_snapshot(
    settings: Settings,
) -> None:
    seldom = settings.recovery.model_copy(update={"epoch_seconds": 600.0})
    sent = send_readings(settings, machine(GROUPS, 20))

    tally = run(
        settings.model_copy(update={"recovery": seldom}),
        lambda tally: tally.codes_sent == len(sent),
    )

    assert tally.end_to_end.counts.sum() == len(sent)


def test_layout_block_writes_the_same_codes_in_fewer_messages(settings: Settings) -> None:
    blocks = settings.model_copy(
        update={"codes": settings.codes.model_copy(update={"layout": "block"})}
    )
    sent = send_readings(settings, machine(GROUPS[:1], 300))

    run(blocks, lambda tally: tally.codes_sent == len(sent))

    messages = read(settings.kafka.bootstrap, settings.topics.codes)
    codes = [code for message in messages for code in decode_codes(message.value or b"")]
    assert len(messages) < len(sent) / 2
    assert [code.offset for code in codes] == [record.offset for record in sent]
    for got, expected in zip(codes, step_alone(GROUPS[0], sent), strict=True):
        assert got.atoms == expected.atoms


def test_the_recovery_folder_is_its_owner_s_alone_and_refused_once_others_could_write_it(
    settings: Settings,
) -> None:
    sent = send_readings(settings, machine(GROUPS[:1], 10))
    before = os.umask(0)
    try:
        run(settings, lambda tally: tally.codes_sent == len(sent))
    finally:
        os.umask(before)
    folder = settings.recovery.folder
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    assert modes == dict.fromkeys(["lock", "manifest.json", "part-0.sqlite3"], "0o600")
    assert folder.stat().st_mode & 0o777 == 0o700

    (folder / "part-0.sqlite3").chmod(0o620)

    with pytest.raises(ExposedError, match="expected no one else to write it, got mode 0620"):
        assemble(settings, Tally(), StopFlag())


def test_a_group_on_a_second_partition_is_counted_as_an_oddity(settings: Settings) -> None:
    records = machine(GROUPS[:1], 3)
    sent = send_readings(settings, [r._replace(partition=p) for p in (0, 1) for r in records])

    tally = run(settings, lambda tally: tally.codes_sent == len(sent))

    assert tally.oddities["second_partition"] == 1


def test_groups_beyond_the_bound_are_dead_letters_and_the_others_go_on(settings: Settings) -> None:
    bounded = with_groups(settings, max=2)
    records = [record._replace(partition=0) for record in machine(GROUPS, 40)]
    sent = send_readings(settings, records)

    tally = run(bounded, lambda tally: tally.codes_sent + tally.dead_letters_sent == len(sent))

    letters = read(settings.kafka.bootstrap, settings.topics.dead_letters)
    assert {letter.key for letter in letters} == {group.encode() for group in GROUPS[2:]}
    assert {dict(letter.headers)["oodl-reason"] for letter in letters} == {b"groups-full"}
    assert tally.readings_rejected == {"groups-full": 3 * 40}
    assert tally.readings_coded == {"press-0": 40, "press-1": 40}


@pytest.mark.parametrize("restart", [False, True])
def test_a_group_that_is_silent_for_too_long_begins_anew_when_it_comes_again(
    settings: Settings, *, restart: bool
) -> None:
    # given a group that falls silent while another one goes on
    bounded = with_groups(settings, ttl=150.0)
    first = machine(GROUPS[:2], 100)
    between, again = machine(GROUPS[1:2], 200, first=100), machine(GROUPS[:2], 50, first=300)
    parts = [[r._replace(partition=0) for r in part] for part in (first + between, again)]
    # when it comes again, in the same run or in the next
    sent = send_readings(settings, parts[0] if restart else parts[0] + parts[1])
    tally = run(bounded, lambda tally: tally.codes_sent == len(sent))
    assert (tally.groups_begun, tally.groups_expired) == (2 if restart else 3, 1)
    if restart:
        send_readings(settings, parts[1])
        tally = run(bounded, lambda tally: tally.codes_sent == len(parts[1]))
        assert (tally.groups_begun, tally.groups_expired) == (1, 0)
    # then it begins anew, and the other one goes on
    coded = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    codes = [codes[0] for _, codes in sorted(coded.items())]
    silent = [code.version for code in codes if code.group == GROUPS[0]]
    assert silent[99] > 0
    assert silent[100] == 0
    assert [code.version for code in codes if code.group == GROUPS[1]][300] > 0
    assert len(codes) == sum(map(len, parts))


def test_the_group_s_positions_are_committed_where_a_clean_end_left_them(
    settings: Settings,
) -> None:
    sent = send_readings(settings, machine(GROUPS, 100))

    run(settings, lambda tally: tally.codes_sent == len(sent))

    assert committed(settings) == {p: o + 1 for p, o in sorted(r.position for r in sent)}


@pytest.mark.parametrize("place", ["send", "settle", "hear"])
def test_a_failed_delivery_ends_the_flow_under_its_own_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*_: object) -> None:
        told = f"failed in {place}"
        raise DeliveryError(told)

    monkeypatch.setattr(Outbox, place, fail)
    send_readings(settings, machine(GROUPS[:1], 3))

    with (
        assemble(settings, Tally(), StopFlag()) as pipeline,
        pytest.raises(DeliveryError, match=f"failed in {place}"),
    ):
        pipeline.run()

    assert committed(settings) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_engine_s_own_runner_takes_the_flow_and_ends_with_0_on_a_signal(
    settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "oodl.toml"
    recovery = settings.recovery.folder
    file.write_text(
        f'[kafka]\nbootstrap = "{settings.kafka.bootstrap}"\n[recovery]\nfolder = "{recovery}"\n'
    )
    sent = send_readings(settings, machine(GROUPS, 20))
    flow = f"flows.dataflow:build('{file}')"
    command = [sys.executable, "-m", "bytewax.run", flow, "-r", str(recovery), "-s1", "-b0"]

    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        wait(lambda: len(read(settings.kafka.bootstrap, settings.topics.codes)) == len(sent))
        with pytest.raises(ManifestError, match=f"process {process.pid} does"):
            lock(recovery)
        process.send_signal(number)

    assert process.returncode == 0
    assert run(settings, lambda tally: bool(tally.lag_readings)).readings_received == 0


def with_groups(settings: Settings, **groups: float) -> Settings:
    """The same settings with bounds for the groups."""
    bounds = settings.groups.model_copy(update=groups)
    return settings.model_copy(update={"groups": bounds})


def send_readings(settings: Settings, records: list[Record]) -> list[Record]:
    return send(settings.kafka.bootstrap, settings.topics.readings, records)


def run(settings: Settings, enough: Callable[[Tally], bool]) -> Tally:
    """Run the flow until it has done enough; the tally of that run."""
    tally, stop = Tally(), StopFlag()

    def watch() -> None:
        wait(lambda: enough(tally) or bool(stop))
        stop.set()

    watcher = threading.Thread(target=watch)
    with assemble(settings, tally, stop) as pipeline:
        watcher.start()
        try:
            pipeline.run()
        finally:
            stop.set()
            watcher.join()
    assert enough(tally)
    return tally


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)


def step_alone(group: str, records: list[Record]) -> list[CodeMessage]:
    """Code a group's readings with nothing around the step: one plan, one coder."""
    plan, coder = ChannelPlan(), GroupCoder()
    state, codes = coder.start(), []
    for record in sorted(records, key=lambda record: record.offset):
        body = json.loads(record.value or b"")
        row = plan.admit(body["values"])
        assert isinstance(row, Row)
        values = np.frombuffer(row.packed)[np.newaxis]
        times, offsets = np.array([body["ts"]]), np.array([record.offset])
        block = Block(row.channels, row.settled, values, times, offsets)
        state, outputs = coder.step(state, block)
        for output in outputs:
            assert not isinstance(output, Published) or output.offset <= record.offset
            if isinstance(output, Codes):
                codes += encode_codes(group, record.partition, output, "reading")
    return [code for value in codes for code in decode_codes(value)]


def version_numbers(coded: dict[tuple[int, int], list[CodeMessage]]) -> set[tuple[str, int]]:
    return {(code.group, code.version) for repeats in coded.values() for code in repeats}


def committed(settings: Settings) -> dict[int, int]:
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka.bootstrap, "group.id": settings.kafka.group}
    )
    parts = [TopicPartition(settings.topics.readings, number) for number in range(4)]
    found = {p.partition: p.offset for p in consumer.committed(parts, timeout=PATIENCE)}
    consumer.close()
    return {partition: offset for partition, offset in found.items() if offset >= 0}
