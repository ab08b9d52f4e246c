"""The picture of `oodl check` in the guide: what it shows on Apache Kafka, where things are wrong.

CHECK_PICTURE=docs/pictures/check.svg draws it anew; else that one is held to what is shown now.
"""

import io
import os
import re
import socket
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from flows import manifest
from flows.dataflow import belonging
from flows.kafka import Cluster, describe
from flows.settings import load
from flows.tools.check import table
from flows.tools.checks import look
from tests.brokers import ApacheKafka
from tests.fault.workers import free_port, write_settings

pytestmark = pytest.mark.operation

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "pictures" / "check.svg"
NAMES = {role: f"plant.{role}" for role in ("readings", "codes", "dictionaries", "dead_letters")}
WIDTH = 110


def test_the_picture_of_check_is_what_it_shows(
    apache_kafka: ApacheKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a pipeline that was moved: another group, a port that is taken, topics made by hand
    monkeypatch.chdir(tmp_path)
    stamped = {"message.timestamp.type": "LogAppendTime"}
    apache_kafka.create_topic(NAMES["readings"], partitions=6, settings={"retention.ms": "3600000"})
    apache_kafka.create_topic(NAMES["codes"], partitions=6)
    apache_kafka.create_topic(
        NAMES["dictionaries"], settings=stamped | {"cleanup.policy": "compact"}
    )
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": apache_kafka.address, "group": "press-hall"},
        "topics": {**NAMES},
        "metrics": {"port": free_port()},
    }
    settings = load(write_settings(tmp_path, sections))
    before = settings.kafka.model_copy(update={"group": "oodl"})
    cluster: Cluster = describe(settings.kafka)
    own = belonging(settings.model_copy(update={"kafka": before}), cluster)
    manifest.write(settings.folder, own)
    # when it is checked, and drawn as a terminal shows it
    with closing(socket.create_server(("127.0.0.1", settings.metrics.port))):
        looked = list(look(settings))
    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True)
    console.print("[bold]$ oodl check --settings oodl.toml[/]")
    console.print(table(looked))
    drawn = console.export_svg(title="oodl check", unique_id="check")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # nothing from elsewhere
    if place := os.environ.get("CHECK_PICTURE"):
        (ROOT / place).write_text(drawn)
    # then the picture in the guide says the same
    assert words(drawn) == words(PICTURE.read_text())


def words(drawn: str) -> list[str]:
    """The words of a picture in order, without ports and processes: they are others each time."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    joined = " ".join(unescape(text).replace("\xa0", " ") for text in texts)
    return re.sub(r"\d{2,}", "N", joined).split()
