"""What docs/security.md says is what the code asks for."""

import re
from collections.abc import Iterable
from pathlib import Path

from flows import access
from flows.dataflow import SINK_PARTS
from flows.kafka import Right
from flows.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_the_table_of_rights_is_what_each_command_asks_for() -> None:
    settings = Settings()
    exactly = Settings.model_validate({"recovery": {"delivery": "exactly-once"}})
    usual = set(access.to_run(settings, SINK_PARTS))

    assert listed("`oodl run`") == shown(usual)
    assert listed("`oodl run`, exactly once") == shown(
        set(access.to_run(exactly, SINK_PARTS)) - usual
    )
    assert listed("`oodl decode --follow`") == shown(access.to_decode(settings))
    assert listed("`oodl dead-letters list`, `explain`") == shown(access.to_see_letters(settings))
    assert listed("`oodl dead-letters send-again`") == shown(access.to_resend(settings))
    given = {"topics": {"repartitioned": "sensors.repartitioned"}}
    moving = set(access.to_repartition(Settings.model_validate(given)))
    both = Settings.model_validate({**given, "recovery": {"delivery": "exactly-once"}})
    assert listed("`oodl repartition`") == shown(moving)
    assert listed("`oodl repartition`, exactly once") == shown(
        set(access.to_repartition(both)) - moving
    )
    assert listed("`oodl inspect`") == shown(access.to_inspect(settings))
    assert listed("`oodl replay`") == shown(access.to_replay(settings))
    assert listed("`oodl simulate`, `sense`") == shown(access.to_send(settings))


def listed(who: str) -> set[str]:
    rows = re.findall(r"^\| (.+?) \| (\w+) \| (\S+) \| `(\S+)`", GUIDE, flags=re.MULTILINE)
    return {" ".join(right) for name, *right in rows if name == who}


def shown(rights: Iterable[Right]) -> set[str]:
    """Rights as words; parts of the sink by what their names begin with."""
    return {re.sub(r"(\.outputs\.).*", r"\1", str(right)) for right in rights}
