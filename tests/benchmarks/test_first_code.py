from benchmarks.first_code import COMMANDS, PAGE, commands
from benchmarks.report import load


def test_what_was_timed_are_the_commands_of_the_page_as_they_stand_there() -> None:
    asked = commands(PAGE.read_text(encoding="utf-8"))
    assert [part["command"] for part in load("start")["parts"]] == asked
    assert asked[0].startswith("git clone")
    assert len(asked) <= COMMANDS


def test_each_line_is_one_command() -> None:
    for command in commands(PAGE.read_text(encoding="utf-8")):
        assert not any(joint in command for joint in ("&&", ";", "||", "|"))


def test_what_the_record_claims_to_hold_does() -> None:
    for bar in load("start")["bars"]:
        assert bar["holds"] == (bar["measured"] <= bar["bar"]), bar["name"]
