"""``oodl topics``: create the four topics, or say how those that exist differ."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.kafka import BrokerError, client_options, describe
from flows.settings import Settings, load
from flows.tools.comparing import compare as compared
from flows.tools.topic_rules import PARTITIONS, Difference, Topic, wanted
from oodl.errors import OodlError

__all__ = ["TopicsError", "topics"]

READY_MS = 30_000


class TopicsError(OodlError, ValueError):
    """Topics that exist are not as the settings need them."""


def topics(
    *,
    settings: Path | None = None,
    partitions: Annotated[int, Parameter(validator=Number(gte=1))] | None = None,
    compare: bool = False,
) -> int:
    """Create the topics of readings, codes, dictionaries and dead letters.

    One that exists is left as it is; how it differs from what the settings need is told, and the
    command ends with 1.

    Parameters
    ----------
    settings
        TOML file; without it the defaults and the environment hold.
    partitions
        Of readings and of codes; six when they are created.
    compare
        Create nothing: show what is missing or differs, with the command that mends it.

    Examples
    --------
    The topics, or how those that exist differ from what the settings need:
    $ oodl topics --settings oodl.toml
    As many partitions as workers may ever share the work:
    $ oodl topics --settings oodl.toml --partitions 6
    Only look, and end with 1 when something has to be done:
    $ oodl topics --settings oodl.toml --compare
    """
    asked = load(settings)
    there, expected = describe(asked.kafka).partitions, wanted(asked, partitions)
    if compare:
        differences = compared(expected, there, asked.kafka)
        _show(expected, differences)
        return int(any(difference.grave for difference in differences))
    created = _create(asked, expected, there)
    differences = compared(
        [topic for topic in expected if topic not in created], there, asked.kafka
    )
    _tell(expected, created, differences)
    if grave := [str(difference) for difference in differences if difference.grave]:
        raise TopicsError("\n".join(grave))
    return 0


def _create(asked: Settings, expected: list[Topic], there: Mapping[str, int]) -> list[Topic]:
    """Create what is missing; what was created."""
    missing = [topic for topic in expected if topic.name not in there]
    if not missing:
        return missing
    try:
        with KafkaAdminClient(**client_options(asked)) as admin:
            admin.create_topics(
                {
                    topic.name: {
                        "num_partitions": topic.partitions or PARTITIONS,
                        "configs": dict(topic.settings),
                    }
                    for topic in missing
                }
            )
            admin.wait_for_topics([topic.name for topic in missing], timeout_ms=READY_MS)
    except KafkaError as problem:
        msg = f"topics: expected {asked.kafka.bootstrap} to create and describe, got {problem!r}; "
        msg += "see that this client may Create, Describe and DescribeConfigs these topics"
        raise BrokerError(msg) from problem
    return missing


def _tell(expected: list[Topic], created: list[Topic], differences: list[Difference]) -> None:
    """Say a line of each topic that was created, is well, or could be better."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    grave = {difference.topic for difference in differences if difference.grave}
    for topic in expected:
        if topic in created:
            console.print(f"{topic.name}: created")
        elif topic.name not in grave:
            console.print(f"{topic.name}: as it should be")
    for difference in differences:
        if not difference.grave:
            console.print(f"advice: {difference}")


def _show(expected: list[Topic], differences: list[Difference]) -> None:
    """Show what differs as a table; the commands stand below it, whole, to be copied."""
    console = Console(highlight=False, soft_wrap=True)
    differing = {difference.topic for difference in differences}
    for topic in expected:
        if topic.name not in differing:
            console.print(f"{topic.name}: as it should be", markup=False)
    if not differences:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "topic", "what", "expected", "got"):
        table.add_column(name, overflow="fold")
    for number, each in enumerate(differences, start=1):
        grade = "" if each.grave else " (advice)"
        cells = (f"{number}", each.topic, f"{each.what}{grade}", each.expected, each.got)
        table.add_row(*map(Text, cells))
    console.print(table)
    for number, each in enumerate(differences, start=1):
        console.print(f"{number}  {each.remedy}", markup=False)
