import json
import time
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.pipeline import __main__ as pipeline
from benchmarks.pipeline import feeding
from benchmarks.pipeline.formats import FORMATS, written
from benchmarks.pipeline.groups import chosen
from benchmarks.pipeline.plan import QUICK, Section
from benchmarks.pipeline.throughput import OURS, PLAIN, microseconds, ratio
from benchmarks.pipeline.traffic import _PLACE, Fleet
from benchmarks.pipeline.variants.begun import begin_with, names
from benchmarks.pipeline.variants.one import step
from benchmarks.pipeline.variants.order import Spent, canned
from benchmarks.pipeline.warming import warm
from benchmarks.record import Bar
from flows.wire import Reader, Reading, Readings

FLEET = Fleet(groups=3, channels=4, rows=20, kinds=2)


def test_a_backlog_goes_over_the_groups_in_turn() -> None:
    sent = list(FLEET.backlog(7))
    assert [key for key, *_ in sent] == [b"press-0", b"press-1", b"press-2"] * 2 + [b"press-0"]
    bodies = [msgspec.json.decode(value) for _, value, _ in sent]
    assert [body["ts"] - bodies[0]["ts"] for body in bodies] == [0, 0, 0, 1, 1, 1, 2]
    assert {len(body["values"]) for body in bodies} == {4}


@pytest.mark.parametrize("name", FORMATS)
def test_a_backlog_has_the_same_readings_in_every_format(name: str) -> None:
    # given what is sent as JSON
    read, found = Reader(), list[tuple[str, float, list[float]]]()
    expected = sorted(
        (key.decode(), *msgspec.json.decode(value).values()) for key, value, _ in FLEET.backlog(100)
    )
    # when the same is sent in a format, and read
    for key, value, headers in written(FLEET, 100, FORMATS[name]()):
        reading = read(key, value, list(headers), -1.0)
        assert isinstance(reading, Reading | Readings), reading
        several = isinstance(reading, Readings)
        times = reading.times if isinstance(reading, Readings) else [reading.time]
        values: Any = reading.values
        rows = [values] if isinstance(values, list) else values.rows()
        assert several or len(rows) == 1
        found += [(reading.group, *each) for each in zip(times, rows, strict=True)]
    # then there are the same readings, as exactly as float32 has them
    for one, other in zip(sorted(found), expected, strict=True):
        assert one[:2] == other[:2]
        assert one[2] == pytest.approx(other[2], rel=1e-6)


def test_readings_of_one_message_are_told_apart() -> None:
    place = _PLACE.decode(b'{"partition": 1, "offset": [4, 4, 5], "row": [0, 1, null]}')
    assert list(place.readings()) == [(1, 4, 0), (1, 4, 1), (1, 5, None)]
    assert list(_PLACE.decode(b'{"partition": 1, "offset": 4}').readings()) == [(1, 4, None)]


def test_groups_begin_with_the_dictionary_of_their_kind(tmp_path: pytest.TempPathFactory) -> None:
    begin = begin_with(warm(FLEET, tmp_path))  # type: ignore[arg-type]
    versions = [begin(f"press-{number}").version for number in range(3)]
    assert all(version is not None and version.number for version in versions)
    assert versions[0].id == versions[2].id != versions[1].id  # type: ignore[union-attr]
    assert begin_with("")("press-0").version is None


def test_the_step_gives_a_code_a_reading() -> None:
    state, rng = begin_with("")("press-0"), np.random.default_rng(0)
    for offset in range(3):
        values = rng.standard_normal(4).tolist()
        state, [code] = step(state, "press-0", (5, offset), (1.0, values))
        assert {"partition": 5, "offset": offset}.items() <= msgspec.json.decode(code).items()
    assert names(2) == ("0", "1")


def test_a_canned_code_has_its_position() -> None:
    assert {"partition": 1, "offset": 7}.items() <= json.loads(canned(1, 7)).items()


def test_a_ratio_is_of_rounds_that_both_have() -> None:
    found = {OURS.name: [Spent(2.0, 0), Spent(6.0, 0), Spent(9.0, 0)],
             PLAIN.name: [Spent(1.0, 0), Spent(2.0, 0)]}  # fmt: skip
    assert ratio(found, OURS, PLAIN) == 2.5
    assert ratio({OURS.name: []}, OURS, PLAIN) is None
    assert microseconds(found, 1000)[OURS.name]["cpu"] == 6000.0


def test_a_section_leaves_the_others_as_they_were_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sections = {
        name: lambda *_, name=name: Section([Bar(name, 1.0, 2.0)], {"told": 2}, [f"{name}: half"])
        for name in ("one", "two", "three")
    }
    monkeypatch.setattr(pipeline, "SECTIONS", sections)
    monkeypatch.setattr(pipeline, "resolve_jars", lambda: None)
    monkeypatch.setattr(pipeline, "ApacheKafka", lambda _: pytest.MonkeyPatch.context())
    old = {"one": {"bars": [{"name": "old"}], "skipped": [], "seconds": 3.0}}
    told: list[str] = []
    result = pipeline.measure(["two"], QUICK, told.append, old)
    assert [bar["name"] for bar in result["bars"]] == ["old", "two"]
    assert result["skipped"] == ["two: half", "three: left out"]
    assert result["sections"]["one"] == old["one"]
    assert result["sections"]["two"]["told"] == 2


def test_an_unknown_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pipeline", "--only", "throughput,speed"])
    with pytest.raises(SystemExit):
        pipeline.main()


@pytest.mark.parametrize(
    ("share", "epoch"), [(0.1, 1.0), (0.11, 2.0), (0.41, 8.0), (2.0, 30.0), (50.0, 30.0)]
)
def test_an_epoch_doubles_until_snapshots_take_a_tenth_of_the_time(
    share: float, epoch: float
) -> None:
    assert chosen(share) == epoch


def test_readings_are_sent_with_the_moment_of_their_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[bytes, float, float]] = []

    class Keeping:
        def produce(self, _: str, value: bytes, key: bytes) -> None:
            sent.append((key, msgspec.json.decode(value)["ts"], time.time()))

        def poll(self, _: float) -> None: ...

        def flush(self) -> None: ...

    monkeypatch.setattr(feeding, "sender", lambda *_: Keeping())
    given = feeding.Feed(bootstrap="", topic="in", groups=3, channels=2, rate=200, seconds=0.1)
    assert feeding.feed(given).sent == len(sent) == 20
    assert [key for key, _, _ in sent[:4]] == [b"press-0", b"press-1", b"press-2", b"press-0"]
    assert all(0 <= now - stamp < 1 for _, stamp, now in sent)
