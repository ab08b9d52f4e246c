"""`oodl check` on a broker that asks who one is, and on one that tells little."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from flows import access
from flows.dataflow import SINK_PARTS
from flows.kafka import describe
from flows.settings import Settings
from flows.tools.check import as_json, check
from flows.tools.checks import clock, look
from flows.tools.checks.findings import Scene
from tests.secure import PASSWORD, Client, SecureKafka
from tests.traffic import Record, send

pytestmark = pytest.mark.operation


def told(client: Client, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """The exit code, and what was found by check; no secret is in any form of it."""
    assert check(settings=client.file) in (0, 1)
    lines = capsys.readouterr()
    code = check(settings=client.file, json=True)
    shown = capsys.readouterr()
    assert PASSWORD not in lines.out + lines.err + shown.out + shown.err
    return code, {each["check"]: each for each in json.loads(shown.out)["checks"]}


def test_a_broker_that_tells_little_is_no_problem(settings: Settings) -> None:
    found = as_json(look(settings))
    assert found["ok"], found
    grades = {each["check"]: each["grade"] for each in found["checks"]}
    assert {grades[name] for name in ("broker", "addresses", "rights", "offsets")} == {"fine"}
    assert {grades[name] for name in ("topics", "clock")} == {"unknown"}


def test_options_that_only_the_pipelines_client_knows_are_no_problem(settings: Settings) -> None:
    # given an option that the client which asks for transactions and time has no word for
    known = settings.kafka.model_copy(update={"security": {"socket.keepalive.enable": "true"}})
    once = settings.recovery.model_copy(update={"delivery": "exactly-once"})
    changed = settings.model_copy(update={"kafka": known, "recovery": once})
    found = as_json(look(changed))
    grades = {each["check"]: each["grade"] for each in found["checks"]}
    assert (grades["rights"], grades["clock"], found["ok"]) == ("unknown", "unknown", True)


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_the_least_rights_are_enough_to_be_checked(
    secure_kafka: SecureKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], delivery: str
) -> None:
    client = Client(secure_kafka, tmp_path, "SASL_SSL", delivery)
    client.allow(*access.to_run(client.settings, SINK_PARTS))
    code, found = told(client, capsys)
    assert code == 0, found
    # what these rights do not let one see is said, and how to see it
    for name in ("topics", "clock"):
        [finding] = found[name]["findings"]
        assert finding["grade"] == "unknown"
        assert "Describe" in finding["remedy"]
    assert {each["grade"] for each in found.values()} == {"fine", "unknown"}


def test_each_right_that_is_missing_is_told_with_what_grants_it(
    secure_kafka: SecureKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(secure_kafka, tmp_path, "SASL_SSL", "exactly-once")
    rights = set(access.to_run(client.settings, SINK_PARTS))
    codes = {right for right in rights if right.name == client.topics["codes"]}
    transactions = {right for right in rights if right.kind == "transactional-id"}
    client.allow(*(rights - codes - transactions))
    code, found = told(client, capsys)
    assert code == 1
    assert {each["remedy"] for each in found["rights"]["findings"]} == {
        right.denied().partition("; ")[2] for right in codes | transactions
    }
    # and a topic that cannot be seen is not said to be missing
    assert client.topics["codes"] not in str(found["topics"]["findings"])


def test_without_a_right_to_the_cluster_its_clock_shows_in_what_it_has_stamped(
    secure_kafka: SecureKafka, tmp_path: Path
) -> None:
    client = Client(secure_kafka, tmp_path)
    client.allow(*access.to_run(client.settings, SINK_PARTS))
    send(secure_kafka.address, client.topics["codes"], [Record(b"press-0", b"{}")])
    scene = Scene(client.settings, describe(client.settings.kafka))
    # ahead of us it is seen; behind us it is not, and that is said
    [ahead] = clock.agrees(scene, lambda: time.time() - 3600)
    assert (ahead.grade, ahead.told.split()[-1]) == ("problem", "ahead")
    [unknown] = clock.agrees(scene, lambda: time.time() + 3600)
    assert unknown.grade == "unknown"


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"sasl.password": f"not-{PASSWORD}"}, "correct sasl.username and sasl.password"),
        ({"security.protocol": "SASL_PLAINTEXT"}, "set security.protocol to SASL_SSL or SSL"),
        ({"sasl.mechanism": "SCRAM-SHA-256"}, "set sasl.mechanism"),
        ({"sasl.mechanism": PASSWORD}, "names and values are those that"),
    ],
    ids=["password", "protocol", "mechanism", "misplaced"],
)
def test_who_is_not_let_in_is_told_why(
    secure_kafka: SecureKafka,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    remedy: str,
) -> None:
    client = Client(secure_kafka, tmp_path, topics=False)
    client.file = client.write(client.security | changes)
    code, found = told(client, capsys)
    assert code == 1
    [finding] = found["broker"]["findings"]
    assert finding["place"] == "kafka.security"
    assert remedy in finding["remedy"]
    assert found["rights"]["grade"] == "unknown"
    assert found["recovery"]["grade"] == "fine"
