import csv
import gzip
import json
import os
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer

from flows.kafka import EmbeddedBroker
from flows.settings import TopicSettings
from flows.tools.decode import MissingFileError, decode
from flows.tools.follow import Follower
from flows.tools.rebuild import Rebuilder
from flows.tools.topic import MissingTopicError
from flows.tools.try_file import try_file
from flows.wire import WireError
from oodl.errors import MissingVersionError, ValueFault

PUMPS = Path(__file__).parents[2] / "docs" / "examples" / "pumps.csv"
ROWS = 120


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The codes of two machines with different channels."""
    folder = tmp_path_factory.mktemp("tried")
    rng = np.random.default_rng(3)
    cause = rng.standard_normal(ROWS).cumsum()
    rows = ["time,machine,flow,speed,heat"]
    for i in range(ROWS):
        day = f"2026-03-02T08:{i // 60:02d}:{i % 60:02d}.5"
        rows.append(f"{day},press,{cause[i]:.3f},{3 * cause[i]:.3f},")
        rows.append(f"{day},oven,,{cause[i]:.3f},{21 - cause[i]:.3f}")
    (folder / "hall.csv").write_text("\n".join(rows))
    try_file(folder / "hall.csv", group_column=["machine"], out=folder)
    return folder


def decoded(folder: Path, codes: Path | None = None, dictionaries: Path | None = None) -> Path:
    out = (codes or folder).parent / "readings.csv"
    decode(
        codes=codes or folder / "codes.jsonl",
        dictionaries=dictionaries or folder / "dictionaries.jsonl",
        out=out,
    )
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_readings_come_back_with_their_place_and_time(tried: Path) -> None:
    back = rows(decoded(tried))
    assert list(back[0]) == [
        "group", "time", "partition", "offset", "flow", "speed", "heat",
    ]  # fmt: skip
    oven = [row for row in back if row["group"] == "oven"]
    assert [row["offset"] for row in oven] == [str(i) for i in range(1, 2 * ROWS, 2)]
    assert oven[61]["time"] == "2026-03-02T08:01:01.5Z"
    assert {row["partition"] for row in back} == {"0"}


def test_channels_of_other_groups_are_empty(tried: Path) -> None:
    for row in rows(decoded(tried)):
        assert (row["flow"] == "") == (row["group"] == "oven")
        assert (row["heat"] == "") == (row["group"] == "press")


def test_values_are_exact_in_version_0_and_then_within_the_tolerance(tried: Path) -> None:
    back = {row["offset"]: row for row in rows(decoded(tried))}
    given = rows(tried / "hall.csv")
    versions = {
        (json.loads(line)["group"], json.loads(line)["id"]): json.loads(line)
        for line in lines(tried / "dictionaries.jsonl")
    }
    for code in map(json.loads, lines(tried / "codes.jsonl")):
        version = versions[code["group"], code["id"]]
        before, after = given[code["offset"]], back[str(code["offset"])]
        off = [float(before[name]) - float(after[name]) for name in version["channels"]]
        if code["version"] == 0:
            assert not any(off)
        else:
            assert np.sqrt(np.mean((np.array(off) / version["scale"]) ** 2)) <= 0.1


def test_numbers_are_written_no_longer_than_needed(tried: Path) -> None:
    back = rows(decoded(tried))
    given = rows(tried / "hall.csv")
    assert float(back[0]["flow"]) == float(given[0]["flow"])
    assert len(back[0]["flow"]) <= len(given[0]["flow"])
    assert max(len(row["speed"]) for row in back) <= 12


def test_a_repeat_is_left_out_and_told(
    tried: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = tmp_path / "codes.jsonl"
    given = lines(tried / "codes.jsonl")
    codes.write_text("\n".join(given[:90] + given[60:]))
    assert decoded(tried, codes).read_text() == decoded(tried).read_text()
    assert "30 repeats left out" in capsys.readouterr().err


def test_a_code_is_never_decoded_with_another_dictionary(tried: Path, tmp_path: Path) -> None:
    dictionaries = tmp_path / "dictionaries.jsonl"
    kept = [
        line
        for line in lines(tried / "dictionaries.jsonl")
        if '"group":"oven"' not in line or '"version":0' in line
    ]
    dictionaries.write_text("\n".join(kept))
    out = tmp_path / "readings.csv"

    with pytest.raises(MissingVersionError, match=r"codes not decoded: .* oven/[0-9a-f]{16}"):
        decode(codes=tried / "codes.jsonl", dictionaries=dictionaries, out=out)

    learned = [
        json.loads(line)["offset"]
        for line in lines(tried / "codes.jsonl")
        if '"group":"oven"' in line and '"version":0' not in line
    ]
    assert learned
    assert {int(row["offset"]) for row in rows(out)} == set(range(2 * ROWS)) - set(learned)


def malformed(line: str) -> Iterator[str]:
    code = json.loads(line)
    yield "{"
    yield json.dumps(code | {"atoms": [99], "values": [1.0]})
    yield json.dumps(code | {"atoms": [-1], "values": [1.0]})
    yield json.dumps(code | {"missing": [7]})
    yield json.dumps(code | {"atoms": [0, 1], "values": [1.0]})


@pytest.mark.parametrize("kind", range(5))
def test_a_malformed_line_is_told_by_its_number_and_costs_only_itself(
    kind: int, tried: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = tmp_path / "codes.jsonl"
    given = lines(tried / "codes.jsonl")
    given[9] = list(malformed(given[9]))[kind]
    codes.write_text("\n".join(given))

    with pytest.raises(WireError, match="1 malformed message"):
        decoded(tried, codes)

    assert "codes.jsonl, line 10: " in capsys.readouterr().err
    assert len(rows(tmp_path / "readings.csv")) == 2 * ROWS - 1


def test_a_dictionary_whose_content_has_another_name_is_not_used(
    tried: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dictionaries = tmp_path / "dictionaries.jsonl"
    given = lines(tried / "dictionaries.jsonl")
    dictionary = json.loads(given[-1])
    given[-1] = json.dumps(dictionary | {"mean": [mean + 1 for mean in dictionary["mean"]]})
    dictionaries.write_text("\n".join(given))
    with pytest.raises(MissingVersionError, match="malformed"):
        decoded(tried, dictionaries=dictionaries)
    assert f"dictionaries.jsonl, line {len(given)}: " in capsys.readouterr().err


def test_one_group_is_decoded_with_its_channels_alone(tried: Path, tmp_path: Path) -> None:
    codes, dictionaries = tried / "codes.jsonl", tried / "dictionaries.jsonl"
    decode(codes=codes, dictionaries=dictionaries, out=tmp_path / "oven.csv", group="ov*")
    kept = rows(tmp_path / "oven.csv")
    assert list(kept[0]) == ["group", "time", "partition", "offset", "speed", "heat"]
    whole = [row for row in rows(decoded(tried)) if row["group"] == "oven"]
    assert kept == [{name: row[name] for name in kept[0]} for row in whole]


def test_a_group_that_is_not_there_is_told_with_those_that_are(tried: Path, tmp_path: Path) -> None:
    codes, dictionaries = tried / "codes.jsonl", tried / "dictionaries.jsonl"
    with pytest.raises(ValueFault, match=r"--group: .* got 'pres'; there are oven, press"):
        decode(codes=codes, dictionaries=dictionaries, out=tmp_path / "none.csv", group="pres")


def test_one_way_in_is_asked_for() -> None:
    with pytest.raises(ValueFault, match="got neither"):
        decode()
    with pytest.raises(ValueFault, match="got both"):
        decode(follow=True, codes=Path("codes.jsonl"))


def test_a_missing_file_is_told(tried: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no file .*nowhere\.jsonl"):
        decode(codes=tmp_path / "nowhere.jsonl", dictionaries=tried / "dictionaries.jsonl")


def test_what_only_a_broker_needs_is_refused_with_files(tried: Path) -> None:
    codes, dictionaries = tried / "codes.jsonl", tried / "dictionaries.jsonl"
    with pytest.raises(ValueFault, match="--until-end: expected --follow with it"):
        decode(codes=codes, dictionaries=dictionaries, until_end=True)
    with pytest.raises(ValueFault, match="--settings: expected --follow with it"):
        decode(codes=codes, dictionaries=dictionaries, settings=tried / "oodl.toml")


def test_what_was_written_before_stays_when_an_input_is_missing(
    tried: Path, tmp_path: Path
) -> None:
    out = tmp_path / "readings.csv"
    out.write_text("from yesterday")

    with pytest.raises(MissingFileError):
        decode(codes=tmp_path / "nowhere.jsonl", dictionaries=tried / "dictionaries.jsonl", out=out)

    assert [path.name for path in tmp_path.iterdir()] == ["readings.csv"]
    assert out.read_text() == "from yesterday"


@pytest.mark.parametrize("overwritten", ["codes", "dictionaries"])
def test_a_file_that_is_read_is_not_written(overwritten: str, tried: Path, tmp_path: Path) -> None:
    # given a file under another name
    read = tried / f"{overwritten}.jsonl"
    before = read.read_bytes()
    out = tmp_path / "readings.csv"
    out.symlink_to(read)
    # when it should be written, then this is refused
    with pytest.raises(ValueFault, match="--out: expected a file of its own"):
        decode(codes=tried / "codes.jsonl", dictionaries=tried / "dictionaries.jsonl", out=out)
    assert read.read_bytes() == before


def test_rows_written_before_a_failure_stay_beside_the_file(tried: Path, tmp_path: Path) -> None:
    # given packed codes of which the end is lost, and readings from before
    codes, out = tmp_path / "codes.jsonl.gz", tmp_path / "readings.csv"
    packed = gzip.compress((tried / "codes.jsonl").read_bytes())
    codes.write_bytes(packed[: len(packed) // 2])
    out.write_text("from yesterday")
    # when they are decoded
    with pytest.raises(WireError, match=r"codes\.jsonl\.gz: expected a whole gzip file"):
        decode(codes=codes, dictionaries=tried / "dictionaries.jsonl", out=out)
    # then
    assert out.read_text() == "from yesterday"
    assert 0 < len(rows(tmp_path / "readings.csv.part")) < 2 * ROWS


def test_readings_may_go_to_what_is_no_file(tried: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()

    decode(codes=tried / "codes.jsonl", dictionaries=tried / "dictionaries.jsonl", out=pipe)

    reader.join()
    assert read == [decoded(tried).read_text()]
    assert pipe.is_fifo()


def test_packed_files_are_read_as_they_are(tried: Path, tmp_path: Path) -> None:
    packed = {name: tmp_path / f"{name}.jsonl.gz" for name in ("codes", "dictionaries")}
    for name, path in packed.items():
        path.write_bytes(gzip.compress((tried / f"{name}.jsonl").read_bytes()))
    assert decoded(tried, **packed).read_text() == decoded(tried).read_text()


# From a broker


TOPICS = TopicSettings()


class Sender:
    """Sends lines of JSON to the embedded broker's topics."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.options = {"bootstrap_servers": [broker.bootstrap], "api_version": (2, 0)}
        self._producer = Producer({"bootstrap.servers": broker.bootstrap})

    def send(self, topic: str, messages: list[str]) -> None:
        for message in messages:
            self._producer.produce(topic, message.encode(), key=json.loads(message)["group"])
        self._producer.flush(10)


def read_all(follower: Follower) -> None:
    """Follow without an end, until every code was there."""
    messages = 0
    for came in follower.read(until_end=False):
        messages += came
        if messages == 2 * ROWS:
            return


@pytest.fixture
def sender() -> Iterator[Sender]:
    with EmbeddedBroker(TOPICS.codes, TOPICS.dictionaries) as broker:
        yield Sender(broker)


def test_topics_are_decoded_as_files_are(tried: Path, sender: Sender) -> None:
    sender.send(TOPICS.dictionaries, lines(tried / "dictionaries.jsonl"))
    sender.send(TOPICS.codes, lines(tried / "codes.jsonl"))
    file = StringIO()

    with Follower(Rebuilder(file), sender.options, TOPICS) as follower:
        messages = sum(follower.read(until_end=True))

    assert messages == 2 * ROWS
    assert sorted(file.getvalue().splitlines()) == sorted(lines(decoded(tried)))


def test_a_dictionary_may_come_after_the_code_that_names_it(tried: Path, sender: Sender) -> None:
    sender.send(TOPICS.codes, lines(tried / "codes.jsonl"))
    dictionaries = lines(tried / "dictionaries.jsonl")
    late = threading.Timer(0.5, sender.send, (TOPICS.dictionaries, dictionaries))
    rebuilder = Rebuilder(StringIO())

    with Follower(rebuilder, sender.options, TOPICS) as follower:
        late.start()
        read_all(follower)

    late.join()
    assert (rebuilder.outcome.readings, rebuilder.outcome.missing.total()) == (2 * ROWS, 0)


def test_a_dictionary_that_never_comes_is_waited_for_once(tried: Path, sender: Sender) -> None:
    sender.send(TOPICS.codes, lines(tried / "codes.jsonl"))
    rebuilder = Rebuilder(StringIO())
    with Follower(rebuilder, sender.options, TOPICS, patience=0.1) as follower:
        read_all(follower)
    assert rebuilder.outcome.readings == 0
    assert rebuilder.outcome.missing.total() == 2 * ROWS


@pytest.mark.timeout(30)
def test_to_the_end_no_dictionary_is_waited_for(tried: Path, sender: Sender) -> None:
    # given the dictionaries of one group only, and a patience that outlasts the test
    kept = [line for line in lines(tried / "dictionaries.jsonl") if '"group":"press"' in line]
    sender.send(TOPICS.dictionaries, kept)
    sender.send(TOPICS.codes, lines(tried / "codes.jsonl"))
    rebuilder = Rebuilder(StringIO())
    # when the topics are read to their end
    with Follower(rebuilder, sender.options, TOPICS, patience=3600.0) as follower:
        sum(follower.read(until_end=True))
    # then
    assert (rebuilder.outcome.readings, rebuilder.outcome.missing.total()) == (ROWS, ROWS)


def test_a_dictionary_that_was_sent_before_its_code_is_never_missed(
    tried: Path, sender: Sender
) -> None:
    # given a reader that has begun and waits for nothing
    rebuilder = Rebuilder(StringIO())
    with Follower(rebuilder, sender.options, TOPICS, patience=0.0) as follower:
        next(follower.read(until_end=False))
        # when dictionaries come, then codes
        sender.send(TOPICS.dictionaries, lines(tried / "dictionaries.jsonl"))
        sender.send(TOPICS.codes, lines(tried / "codes.jsonl"))
        read_all(follower)
    # then
    assert (rebuilder.outcome.readings, rebuilder.outcome.missing.total()) == (2 * ROWS, 0)


def test_a_group_with_new_channels_gets_a_new_header(tried: Path) -> None:
    file = StringIO()
    rebuilder = Rebuilder(file)
    for group in ("press", "oven"):
        for name in ("dictionaries.jsonl", "codes.jsonl"):
            for line in lines(tried / name):
                if f'"group":"{group}"' not in line:
                    continue
                if name == "dictionaries.jsonl":
                    rebuilder.dictionary(line.encode(), name)
                    continue
                (code,) = rebuilder.codes(line.encode(), name)
                rebuilder.write(code, name)
    written = file.getvalue().splitlines()
    assert written[0] == "group,time,partition,offset,flow,speed"
    assert written[ROWS + 1] == "group,time,partition,offset,flow,speed,heat"


def test_a_topic_that_is_not_there_is_told(sender: Sender) -> None:
    topics = TopicSettings(codes="no.such/topic".replace("/", "."))
    with pytest.raises(MissingTopicError, match=r"'no\.such\.topic'"):
        Follower(Rebuilder(StringIO()), sender.options, topics)
