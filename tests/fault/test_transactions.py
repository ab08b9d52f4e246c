"""The sink in transactions keeps its contract on a real broker, and what is its own besides."""

import io
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from flows.events import Tally
from flows.group import Steps
from flows.health import Beats
from flows.items import Encoded, GroupBlock
from flows.kafka import FencedError, StopFlag
from flows.manifest import Manifest
from flows.settings import Settings, TopicSettings
from flows.sink import KafkaSink, SinkPart
from flows.state import FORMAT
from flows.tools.follow import Follower
from flows.tools.rebuild import Rebuilder
from flows.transactions import Transactions
from tests.brokers import ApacheKafka
from tests.checks import sink as suite
from tests.fault.workers import wait_until
from tests.traffic import Record, codes_by_position, position_of_letter, read

PARTS = 4


class OnApacheKafka:
    """The sink in transactions, as the process that has the name now."""

    def __init__(
        self, broker: ApacheKafka, *, layout: str = "reading", largest: int = 1_000_000
    ) -> None:
        self.broker = broker
        self.lost = False
        name = uuid.uuid4().hex
        topics = {role: f"{name}.{role}" for role in TopicSettings().model_dump()}
        for role, topic in topics.items():
            limit = largest if role == "codes" else 1_000_000
            broker.create_topic(topic, partitions=4, settings={"max.message.bytes": f"{limit}"})
        kafka = {"bootstrap": broker.address, "group": name, "delivery_seconds": 3.0}
        self.settings = Settings.model_validate(
            {"kafka": kafka, "topics": topics, "codes": {"layout": layout}}
        )
        self.open_processes: list[Transactions] = []
        self.restart()

    def restart(self) -> None:
        """Begin a new process of the same name; the one before is not closed."""
        self.tally = Tally()
        manifest = Manifest(
            cluster="",
            group=self.settings.kafka.group,
            topics={},
            partitions=4,
            sink_parts=PARTS,
            state_format=FORMAT,
            epoch_seconds=1.0,
        )
        self.transactions = Transactions(self.settings, self.tally, StopFlag(), manifest)
        self.open_processes.append(self.transactions)

    def open(self, number: int = 0) -> SinkPart:
        sink = KafkaSink(self.transactions, PARTS, Beats())
        return sink.build_part("outputs", sink.list_parts()[number], None)

    def encode(self, block: GroupBlock) -> Encoded:
        step = Steps(self.settings, self.tally)(None)
        [encoded], _ = step.on_batch([block])
        return encoded

    def codes(self) -> list[Record]:
        return read(self.broker.address, self.settings.topics.codes)

    def dictionaries(self) -> list[Record]:
        return read(self.broker.address, self.settings.topics.dictionaries)

    def dead_letters(self) -> list[Record]:
        return read(self.broker.address, self.settings.topics.dead_letters)

    def counted(self) -> tuple[int, int]:
        return self.tally.codes_sent, self.tally.dead_letters_sent

    def lose_broker(self) -> None:
        self.broker.kill()
        self.lost = True

    def uncommitted(self) -> int:
        """How many codes and dead letters the broker holds, committed or not."""
        topics = self.settings.topics
        return sum(
            len(read(self.broker.address, topic, "read_uncommitted"))
            for topic in (topics.codes, topics.dead_letters)
        )

    def positions(self) -> list[tuple[int, int]]:
        """Where the codes that readers see come from, one a code."""
        found = codes_by_position(self.codes())
        return sorted(place for place, codes in found.items() for _ in codes)


@pytest.fixture
def case(apache_kafka: ApacheKafka) -> Iterator[OnApacheKafka]:
    made = OnApacheKafka(apache_kafka)
    yield made
    if made.lost:
        apache_kafka.start()
    for process in made.open_processes:
        process.close()


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_contract(case: OnApacheKafka, check: Callable[[suite.SinkCase], None]) -> None:
    check(case)


def test_readers_see_nothing_of_an_epoch_before_it_is_committed(case: OnApacheKafka) -> None:
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(50))), suite.rejected(50)])
    wait_until(lambda: case.uncommitted() == 51)

    assert (case.codes(), case.dead_letters(), case.counted()) == ([], [], (0, 0))
    assert len(case.dictionaries()) > 0

    part.snapshot()

    assert (len(case.codes()), len(case.dead_letters()), case.counted()) == (50, 1, (50, 1))


def test_what_a_process_left_open_is_aborted_by_the_next_one(case: OnApacheKafka) -> None:
    case.open().write_batch([case.encode(suite.block("press-0", range(50)))])
    wait_until(lambda: case.uncommitted() == 50)

    case.restart()
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(60)))])
    part.snapshot()

    assert case.positions() == [(0, offset) for offset in range(60)]


def test_what_was_committed_is_left_out_by_a_process_that_makes_it_again(
    case: OnApacheKafka,
) -> None:
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(50))), suite.rejected(7)])
    part.snapshot()

    case.restart()
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(80))), suite.rejected(7)])
    part.write_batch([suite.rejected(8)])
    part.snapshot()

    assert case.positions() == [(0, offset) for offset in range(80)]
    assert [position_of_letter(letter) for letter in case.dead_letters()] == [(3, 7), (3, 8)]
    assert case.counted() == (30, 1)


def test_a_block_that_was_committed_in_part_is_cut(apache_kafka: ApacheKafka) -> None:
    case = OnApacheKafka(apache_kafka, layout="block")
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(0, 50, 2)))])
    part.snapshot()

    case.restart()
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(0, 80, 2)))])
    part.snapshot()

    assert case.positions() == [(0, offset) for offset in range(0, 80, 2)]
    assert case.counted() == (15, 0)


def test_a_part_s_reach_is_its_own(case: OnApacheKafka) -> None:
    first, second = case.open(0), case.open(1)
    first.write_batch([case.encode(suite.block("press-0", range(50)))])
    first.snapshot()
    second.write_batch([case.encode(suite.block("press-1", range(10)))])
    second.snapshot()

    case.restart()
    first, second = case.open(0), case.open(1)
    first.write_batch([case.encode(suite.block("press-0", range(60)))])
    second.write_batch([case.encode(suite.block("press-1", range(60)))])
    first.snapshot()

    assert case.positions() == sorted([(0, offset) for offset in range(60)] * 2)


def test_a_second_process_takes_over_and_the_first_ends_with_the_reason(
    case: OnApacheKafka,
) -> None:
    first = case.open()
    first.write_batch([case.encode(suite.block("press-0", range(50)))])
    first.snapshot()
    first.write_batch([case.encode(suite.block("press-0", range(50, 60)))])

    case.restart()
    second = case.open()
    second.write_batch([case.encode(suite.block("press-0", range(80)))])
    with pytest.raises(FencedError, match=r"kafka\.group: .*only process of this name"):
        first.snapshot()
    second.snapshot()

    assert case.positions() == [(0, offset) for offset in range(80)]


def test_what_the_broker_refuses_is_a_dead_letter_in_the_same_transaction(
    apache_kafka: ApacheKafka,
) -> None:
    case = OnApacheKafka(apache_kafka, largest=4000)
    part = case.open()
    large = case.encode(suite.block("large", range(40, 42), channels=256))
    small = case.encode(suite.block("small", range(40), channels=3))

    part.write_batch([small, large])
    part.snapshot()
    part.write_batch([case.encode(suite.block("small", range(42, 50), channels=3))])
    part.snapshot()

    letters = case.dead_letters()
    expected = [(0, offset) for offset in (*range(40), *range(42, 50))]
    assert case.positions() == expected
    assert [position_of_letter(letter) for letter in letters] == [(0, 40), (0, 41)]
    assert {dict(letter.headers)["oodl-reason"] for letter in letters} == {b"refused"}
    assert case.counted() == (48, 2)


def test_how_far_outputs_reach_is_there_for_kafka_s_own_tools(case: OnApacheKafka) -> None:
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(50), partition=2))])
    part.snapshot()

    name = f"{case.settings.kafka.group}.outputs.00000-of-00004"
    asker = Consumer({"bootstrap.servers": case.broker.address, "group.id": name})
    [found] = asker.committed([TopicPartition(case.settings.topics.readings, 2)], timeout=30)
    asker.close()

    assert found.offset == 50


def test_a_reader_decodes_what_is_committed_and_ends_before_what_is_open(
    case: OnApacheKafka,
) -> None:
    def decoded() -> list[str]:
        rows = io.StringIO()
        options = {"bootstrap_servers": case.broker.address}
        rebuilder = Rebuilder(rows)
        with Follower(rebuilder, options, case.settings.topics) as follower:
            for _ in follower.read(until_end=True):
                pass
        assert not rebuilder.outcome.missing
        return rows.getvalue().splitlines()[1:]

    case.open().write_batch([case.encode(suite.block("press-0", range(50)))])
    wait_until(lambda: case.uncommitted() == 50)
    assert decoded() == []
    case.restart()
    part = case.open()
    part.write_batch([case.encode(suite.block("press-0", range(60)))])
    part.snapshot()
    assert len(decoded()) == 60
    part.write_batch([case.encode(suite.block("press-0", range(60, 70)))])
    wait_until(lambda: case.uncommitted() == 120)

    assert len(decoded()) == 60
