"""The sink keeps its contract on the embedded broker, and what is its own besides."""

from collections.abc import Callable

import pytest

from flows.events import Tally
from flows.group import Steps
from flows.health import Beats, state
from flows.items import Encoded, GroupBlock
from flows.kafka import DeliveryError, EmbeddedBroker, StopFlag, Together
from flows.outbox import Outbox
from flows.settings import Settings
from flows.sink import KafkaSink, SinkPart
from tests.checks import sink as suite
from tests.traffic import Record, position_of_letter, read


class OnEmbeddedBroker:
    """The Kafka sink on a broker of its own."""

    def __init__(self, *, delivery_seconds: float = 3.0, **kafka: object) -> None:
        self.broker = EmbeddedBroker(*Settings().topics.model_dump().values())
        self.settings = Settings.model_validate(
            {
                "kafka": {
                    "bootstrap": self.broker.bootstrap,
                    "delivery_seconds": delivery_seconds,
                    **kafka,
                }
            }
        )
        self.tally, self.stop = Tally(), StopFlag()
        self.outbox = Outbox(self.settings, self.tally, Together(self.stop))

    def open(self) -> SinkPart:
        sink = KafkaSink(self.outbox, 8, Beats())
        return sink.build_part("outputs", sink.list_parts()[0], None)

    def encode(self, block: GroupBlock) -> Encoded:
        step = Steps(self.settings, self.tally)(None)
        [encoded], _ = step.on_batch([block])
        return encoded

    def codes(self) -> list[Record]:
        return read(self.broker.bootstrap, self.settings.topics.codes)

    def dictionaries(self) -> list[Record]:
        return read(self.broker.bootstrap, self.settings.topics.dictionaries)

    def dead_letters(self) -> list[Record]:
        return read(self.broker.bootstrap, self.settings.topics.dead_letters)

    def counted(self) -> tuple[int, int]:
        return self.tally.codes_sent, self.tally.dead_letters_sent

    def lose_broker(self) -> None:
        self.broker.close()


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[suite.SinkCase], None]) -> None:
    check(OnEmbeddedBroker())


def test_parts_sort_as_numbers_do_and_a_group_has_one_of_them() -> None:
    sink = KafkaSink(OnEmbeddedBroker().outbox, 12, Beats())

    names = sink.list_parts()

    assert names == sorted(names)
    assert sink.part_fn("123456789") == 0xCBF43926  # the check value of CRC-32


def test_an_output_too_large_for_the_broker_is_a_dead_letter_and_the_others_go_on() -> None:
    case = OnEmbeddedBroker(max_message_bytes=4096)
    part = case.open()
    large = case.encode(suite.block("large", range(2), channels=250))
    large.published.clear()

    part.write_batch([large, case.encode(suite.block("small", range(2, 5)))])
    part.snapshot()

    letters = case.dead_letters()
    assert [position_of_letter(letter) for letter in letters] == [(0, 0), (0, 1)]
    assert {dict(letter.headers)["oodl-reason"] for letter in letters} == {b"refused"}
    assert {record.key for record in case.codes()} == {b"small"}
    assert case.counted() == (3, 2)


def test_a_stop_does_not_wait_for_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.kafka.dispatch.STOP_GRACE", 0.1)
    case = OnEmbeddedBroker(delivery_seconds=300.0)
    part = case.open()
    part.snapshot()
    case.lose_broker()
    part.write_batch([suite.rejected(0)])

    case.stop.set()

    with pytest.raises(DeliveryError, match="unconfirmed"):
        part.snapshot()


def test_the_time_to_a_confirmed_code_is_measured_from_its_message() -> None:
    case = OnEmbeddedBroker()
    part = case.open()
    block = suite.block("press-0", range(3))
    block.stamps[:] = [0.0, 0.0, -1.0]

    part.write_batch([case.encode(block)])
    part.snapshot()

    assert case.tally.end_to_end.counts.tolist()[-1] == 2


def test_a_sink_hangs_only_after_the_client_has_given_an_output_up() -> None:
    case = OnEmbeddedBroker(delivery_seconds=300.0)
    beats = case.tally.beats
    beats.turn(0.0, partition=0, taken=1, behind=0)
    beats.writing = 0.0
    assert state(299.0, beats).name != "stalled"
    assert state(400.0, beats).name == "stalled"
