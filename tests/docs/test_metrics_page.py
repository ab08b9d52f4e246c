"""The reference of the metrics is what is exported."""

import re

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from docs.make_metrics import PAGE, page
from flows.events import Tally
from flows.exporter import Collector
from flows.settings import Settings


def test_the_page_is_what_the_code_has() -> None:
    told = "made from other code; run python -m docs.make_metrics"
    assert PAGE.read_text(encoding="utf-8") == page(), told


def test_every_metric_has_a_row_with_its_help() -> None:
    registry = CollectorRegistry()
    registry.register(Collector(Tally(), Settings()))
    rows = dict(re.findall(r"^\| `(\w+?)(?:_total|_info)?` \|.*\| (.+) \|$", page(), re.MULTILINE))

    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        name = family.name.removesuffix("_info")
        assert rows[name] == family.documentation
