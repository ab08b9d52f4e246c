"""TLS, passwords, certificates and rights, on an Apache Kafka that insists on them."""

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType

from flows import access
from flows.dataflow import SINK_PARTS, assemble
from flows.events import Tally
from flows.kafka import AccessError, BrokerError, Right, StopFlag, describe
from flows.settings import Settings, load
from flows.tools.dead_letters import list_letters, send_again
from flows.tools.decode import decode
from flows.tools.inspect import inspect
from flows.tools.replay import replay
from flows.tools.sender import send_to_broker
from flows.tools.topics import topics
from tests.certificates import Authority
from tests.fault.workers import Worker, wait_until
from tests.secure import PASSWORD, Client, Grant, SecureKafka, Security, grant_of
from tests.traffic import Record, codes_by_position, machine, read, send

PUMPS = Path(__file__).parents[2] / "docs" / "examples" / "pumps.csv"
DELIVERIES = ("at-least-once", "exactly-once")


@pytest.fixture
def broker(secure_kafka: SecureKafka) -> SecureKafka:
    return secure_kafka


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("listener", ["SASL_SSL", "SSL"])
def test_the_rights_that_are_asked_for_are_enough(
    broker: SecureKafka, tmp_path: Path, listener: str, delivery: str
) -> None:
    # given a client that may do what the guide lists and nothing else
    client = Client(broker, tmp_path, listener, delivery)
    client.allow(*access.to_run(client.settings, SINK_PARTS))
    poison = [Record(b"press-0", b"no reading")]
    groups = [f"press-{number}" for number in range(4)]
    sent = send(broker.address, client.topics["readings"], machine(groups, 100) + poison)
    # when a worker runs and is asked to end
    with Worker(client.file, client.port) as worker:
        worker.await_metrics()
        wait_until(lambda: _counted(worker) == (len(sent) - 1, 1))
        assert worker.end(signal.SIGTERM) == 0
    # then everything is coded or a dead letter, and its position committed
    coded = codes_by_position(read(broker.address, client.topics["codes"]))
    [letter] = read(broker.address, client.topics["dead_letters"])
    assert letter.value == poison[0].value
    assert sorted(coded) == sorted(each.position for each in sent if each.value != letter.value)
    assert _committed(client) == len(sent)
    # and a worker that has lost its snapshots goes on from there with the dictionaries
    shutil.rmtree(tmp_path / "recovery")
    more = send(broker.address, client.topics["readings"], machine(groups, 5, first=100))
    with Worker(client.file, client.port) as worker:
        worker.await_metrics()
        wait_until(lambda: _counted(worker) == (len(more), 0))
        assert worker.end(signal.SIGTERM) == 0
    assert any("Snapshots missing" in str(line["message"]) for line in worker.said())


@pytest.mark.parametrize("listener", ["SASL_SSL", "SSL"])
def test_each_tool_needs_what_it_asks_for_and_no_more(
    broker: SecureKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], listener: str
) -> None:
    client = Client(broker, tmp_path, listener, "at-least-once")
    poison = [Record(b"press-0", b'{"values": [1, 2, 3]}')]
    send(broker.address, client.topics["readings"], machine(["press-0"], 70) + poison)
    client.allow(*access.to_run(client.settings, SINK_PARTS))
    with Worker(client.file, client.port) as worker:
        worker.await_metrics()
        wait_until(lambda: _counted(worker) == (70, 1))
        worker.end(signal.SIGTERM)
    tools: dict[str, tuple[list[Right], Callable[[], object]]] = {
        "decode": (
            [*access.to_decode(client.settings)],
            lambda: decode(
                out=tmp_path / "rows.csv", follow=True, until_end=True, settings=client.file
            ),
        ),
        "list": (
            [*access.to_see_letters(client.settings)],
            lambda: list_letters(settings=client.file, json=True),
        ),
        "send-again": (
            [*access.to_resend(client.settings)],
            lambda: send_again(settings=client.file, everything=True, force=True),
        ),
        "inspect": (
            [*access.to_inspect(client.settings)],
            lambda: inspect(settings=client.file, json=True),
        ),
        "replay": (
            [*access.to_replay(client.settings)],
            lambda: replay(str(PUMPS), speed="max", until="3", settings=client.file),
        ),
        "simulate": (
            [*access.to_send(client.settings)],
            lambda: send_to_broker(_OneReading(), lambda _: [0], client.settings),
        ),
    }
    for name, (rights, call) in tools.items():
        for left_out in rights:
            client.allow(*(right for right in rights if right != left_out))
            with pytest.raises(AccessError) as refused:
                call()
            assert str(refused.value) == left_out.denied(), name
        client.allow(*rights)
        call()
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 71
    told = capsys.readouterr()
    assert '"reason": "length"' in told.out
    assert '"group": "press-0", "version": ' in told.out
    assert "not known: lag: " in told.err
    assert "3 of 3 messages sent" in told.err


def _rights() -> Iterator[tuple[str, Right]]:
    """Every right of `oodl run` with the way of delivery that needs it, of parts only the first."""
    settings = Settings.model_validate({"recovery": {"delivery": "exactly-once"}})
    for right in access.to_run(settings, SINK_PARTS):
        if "outputs" not in right.name:
            yield "at-least-once", right
        elif "00000-of" in right.name and right.kind == "group":
            yield "exactly-once", right


@pytest.mark.parametrize(
    ("delivery", "asked"),
    [pytest.param(*each, id=f"{each[1].operation}-{each[1].key}-{each[0]}") for each in _rights()],
)
def test_a_right_that_is_missing_is_told_at_the_start_with_the_command_that_grants_it(
    broker: SecureKafka, tmp_path: Path, delivery: str, asked: Right
) -> None:
    # given all rights but one, in whose place the thing may only be looked at
    client = Client(broker, tmp_path, "SASL_SSL", delivery)
    rights = set(access.to_run(client.settings, SINK_PARTS))
    lacking = {
        right for right in rights if _shape(right) == (asked.operation, asked.kind, asked.key)
        and (".outputs." in right.name) == (".outputs." in asked.name)
    }  # fmt: skip
    look = {grant_of(right)._replace(operation=AclOperation.DESCRIBE) for right in lacking}
    broker.allow(client.principal, {*map(grant_of, rights - lacking), *look})
    # then the flow does not start
    with pytest.raises(AccessError) as refused:
        assemble(client.settings, Tally(), StopFlag())
    assert sorted(str(refused.value).splitlines()) == sorted(right.denied() for right in lacking)


def test_without_any_right_all_of_them_are_named_at_once_and_the_worker_ends_with_1(
    broker: SecureKafka, tmp_path: Path
) -> None:
    client = Client(broker, tmp_path)

    with Worker(client.file, client.port) as worker:
        assert worker.process.wait(60) == 1

    said = worker.log_file.read_text()
    assert "Traceback" not in said
    assert [right.denied() in said for right in access.to_run(client.settings, 8)] == [True] * 6
    granted = "kafka-acls --add --allow-principal User:... --operation Write --topic "
    assert granted + client.topics["codes"] in said


@pytest.mark.parametrize(
    ("delivery", "kind", "key"),
    [
        ("at-least-once", "topic", "topics.codes"),
        ("at-least-once", "topic", "topics.readings"),
        ("at-least-once", "group", "kafka.group"),
        ("exactly-once", "topic", "topics.codes"),
        ("exactly-once", "group", "kafka.group"),
        ("exactly-once", "transactional-id", "kafka.group"),
    ],
)
def test_a_right_that_is_taken_away_ends_the_flow_with_its_name(
    broker: SecureKafka, tmp_path: Path, delivery: str, kind: str, key: str
) -> None:
    # given a flow that runs
    client = Client(broker, tmp_path, "SASL_SSL", delivery)
    rights = set(access.to_run(client.settings, SINK_PARTS))
    client.allow(*rights)
    first = iter(machine(["press-0"], 200))
    send(broker.address, client.topics["readings"], [next(first) for _ in range(10)])
    with Worker(client.file, client.port) as worker:
        worker.await_metrics()
        wait_until(lambda: _counted(worker)[0] == 10)
        # when a right is withdrawn while readings come
        inner = delivery == "exactly-once" and kind != "topic"
        gone = {
            right for right in rights
            if (right.kind, right.key) == (kind, key) and (".outputs." in right.name) == inner
        }  # fmt: skip
        client.allow(*(rights - gone))
        send(broker.address, client.topics["readings"], first)
        # then the process ends by itself
        assert worker.process.wait(60) == 1
    said = worker.log_file.read_text()
    assert "Traceback" not in said
    assert any(str(right) in said or right.key in said for right in gone), said
    assert "let an administrator grant it" in said


def test_a_transactional_id_that_is_not_granted_is_told_with_the_first_output(
    broker: SecureKafka, tmp_path: Path
) -> None:
    client = Client(broker, tmp_path, "SASL_SSL", "exactly-once")
    rights = [*access.to_run(client.settings, SINK_PARTS)]
    client.allow(*(right for right in rights if right.kind != "transactional-id"))
    send(broker.address, client.topics["readings"], machine(["press-0"], 1))

    with Worker(client.file, client.port) as worker:
        assert worker.process.wait(60) == 1

    said = worker.log_file.read_text()
    assert "Traceback" not in said
    named = [right for right in rights if right.kind == "transactional-id"]
    assert any(right.denied() in said for right in named), said


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "nobody-trusts-this")


REFUSED: Mapping[str, tuple[str, Security, str]] = {
    "password": ("SASL_SSL", {"sasl.password": "wrong"}, "correct sasl.username and sasl.password"),
    "user": ("SASL_SSL", {"sasl.username": "nobody"}, "correct sasl.username and sasl.password"),
    "mechanism": ("SASL_SSL", {"sasl.mechanism": "SCRAM-SHA-256"}, "set sasl.mechanism"),
    "authority": ("SASL_SSL", {"ssl.ca.location": "stranger"}, "see that ssl.ca.location has"),
    "no-authority": ("SASL_SSL", {"ssl.ca.location": ""}, "see that ssl.ca.location has"),
    "plain": ("SASL_SSL", {"security.protocol": "PLAINTEXT"}, "set security.protocol to SASL_SSL"),
    "sasl-plain": (
        "SASL_SSL",
        {"security.protocol": "SASL_PLAINTEXT"},
        "set security.protocol to SASL_SSL",
    ),
    "no-certificate": (
        "SSL",
        {"ssl.certificate.location": "", "ssl.key.location": "", "ssl.key.password": ""},
        "name it and its key as ssl.certificate.location",
    ),
    "certificate": ("SSL", {"ssl.certificate.location": "own", "ssl.key.location": "own"}, "name"),
    "no-tls": ("PLAINTEXT", {}, "if the listener has no TLS, set security.protocol"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_let_in_is_told_why_at_once(
    broker: SecureKafka, tmp_path: Path, stranger: Authority, case: str
) -> None:
    listener, changes, remedy = REFUSED[case]
    client = Client(broker, tmp_path, "SSL" if listener == "SSL" else "SASL_SSL", topics=False)
    security = client.security | changes
    if changes.get("ssl.ca.location"):
        security["ssl.ca.location"] = str(stranger.certificate)
    if changes.get("ssl.certificate.location"):
        own = stranger.issue(client.name)
        security["ssl.certificate.location"] = str(own.certificate)
        security["ssl.key.location"] = str(own.key)
    if listener == "PLAINTEXT":
        client.address = broker.address
    settings = load(client.write({name: value for name, value in security.items() if value}))

    with pytest.raises(BrokerError) as refused:
        describe(settings.kafka, patience=3600.0)  # it is not waited for

    told = str(refused.value)
    assert told.startswith(f"kafka.security: expected to be let in at {client.address}, got: ")
    assert remedy in told.rpartition("; ")[2]
    assert PASSWORD not in told
    assert len(told.splitlines()) == 1


def test_every_command_ends_with_1_and_one_line_when_it_is_not_let_in(
    broker: SecureKafka, tmp_path: Path
) -> None:
    client = Client(broker, tmp_path, topics=False)
    file = client.write(client.security | {"sasl.password": "wrong"})
    wrong = load(file)

    for call in (
        lambda: assemble(wrong, Tally(), StopFlag()),
        lambda: decode(follow=True, settings=file),
        lambda: list_letters(settings=file),
        lambda: send_again(settings=file, everything=True),
        lambda: topics(settings=file),
        lambda: send_to_broker(_OneReading(), lambda _: [0], wrong),
    ):
        with pytest.raises(BrokerError, match="invalid credentials"):
            call()
    with Worker(file) as worker:
        assert worker.process.wait(60) == 1
    [line] = worker.log_file.read_text().splitlines()
    assert line.startswith("oodl: kafka.security: expected to be let in at ")


def test_topics_are_created_by_somebody_who_may(broker: SecureKafka, tmp_path: Path) -> None:
    client = Client(broker, tmp_path, topics=False)
    file = client.file

    with pytest.raises(BrokerError, match="may Create, Describe and DescribeConfigs these topics"):
        topics(settings=file)

    prefix = f"{client.name}."
    operations = (AclOperation.CREATE, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
    broker.allow(
        client.principal,
        [
            Grant(each, ResourceType.TOPIC, prefix, ResourcePatternType.PREFIXED)
            for each in operations
        ],
    )
    topics(settings=file)
    topics(settings=file)
    assert set(client.topics.values()) <= set(broker.admin().list_topics(timeout=30).topics)


def _shape(right: Right) -> tuple[str, str, str]:
    return right.operation, right.kind, right.key


def _counted(worker: Worker) -> tuple[float, float]:
    metrics = worker.metrics()
    return metrics["oodl_codes_sent_total", ""], metrics["oodl_dead_letters_sent_total", ""]


def _committed(client: Client) -> int:
    asker = Consumer({"bootstrap.servers": client.broker.address, "group.id": client.name})
    parts = [TopicPartition(client.topics["readings"], number) for number in range(2)]
    found = asker.committed(parts, timeout=30)
    asker.close()
    return sum(max(0, part.offset) for part in found)


class _OneReading:
    def readings(self) -> Iterator[tuple[str, list[float] | dict[str, float]]]:
        yield "press-0", [1.0, 2.0]
