"""What a real broker refuses for itself is a dead letter, and takes nothing else with it."""

import pytest

from flows.events import Tally
from flows.group import Steps
from flows.health import Beats
from flows.items import Encoded
from flows.kafka import DeliveryError, StopFlag, Together
from flows.outbox import Outbox
from flows.settings import Settings
from flows.sink import SinkPart
from tests.brokers import ApacheKafka
from tests.checks.sink import block, rejected
from tests.traffic import codes_by_position, position_of_letter, read

SMALL = {"max.message.bytes": "4000"}


def test_only_what_is_too_large_by_itself_becomes_a_dead_letter(apache_kafka: ApacheKafka) -> None:
    settings = settings_of(apache_kafka, "refusal")
    apache_kafka.create_topic("refusal.codes", settings=SMALL)
    apache_kafka.create_topic("refusal.dictionaries")
    apache_kafka.create_topic("refusal.letters")
    tally = Tally()
    part = SinkPart(Outbox(settings, tally, Together(StopFlag())), tally.beats)
    large = encode(settings, "large", range(40, 42), channels=256)
    small = encode(settings, "small", range(40), channels=3)

    part.write_batch([small, large])
    part.snapshot()

    codes = codes_by_position(read(apache_kafka.address, "refusal.codes"))
    letters = read(apache_kafka.address, "refusal.letters")
    assert sorted(codes) == [(0, offset) for offset in range(40)]
    assert [position_of_letter(letter) for letter in letters] == [(0, 40), (0, 41)]
    assert (tally.codes_sent, tally.dead_letters_sent) == (40, 2)
    assert tally.readings_rejected == {"refused": 2}


def test_a_dead_letter_that_is_refused_stops_the_process_with_the_remedy(
    apache_kafka: ApacheKafka,
) -> None:
    settings = settings_of(apache_kafka, "stop")
    apache_kafka.create_topic("stop.letters", settings={"max.message.bytes": "100"})
    part = SinkPart(Outbox(settings, Tally(), Together(StopFlag())), Beats())
    part.write_batch([rejected(7)])

    with pytest.raises(DeliveryError, match=r"topics\.dead_letters: .*max\.message\.bytes"):
        part.snapshot()


def test_a_dictionary_that_is_refused_stops_the_process_before_codes_that_name_it(
    apache_kafka: ApacheKafka,
) -> None:
    settings = settings_of(apache_kafka, "unnamed")
    apache_kafka.create_topic("unnamed.codes")
    apache_kafka.create_topic("unnamed.dictionaries", settings={"max.message.bytes": "100"})
    part = SinkPart(Outbox(settings, Tally(), Together(StopFlag())), Beats())

    with pytest.raises(DeliveryError, match=r"topics\.dictionaries: .*max\.message\.bytes"):
        part.write_batch([encode(settings, "wide", range(8), channels=8)])

    assert read(apache_kafka.address, "unnamed.codes") == []


def settings_of(broker: ApacheKafka, name: str) -> Settings:
    topics = {
        "readings": f"{name}.readings",
        "codes": f"{name}.codes",
        "dictionaries": f"{name}.dictionaries",
        "dead_letters": f"{name}.letters",
    }
    return Settings.model_validate({"kafka": {"bootstrap": broker.address}, "topics": topics})


def encode(settings: Settings, group: str, rows: range, *, channels: int) -> Encoded:
    step = Steps(settings, Tally())(None)
    [encoded], _ = step.on_batch([block(group, rows, channels=channels)])
    return encoded
