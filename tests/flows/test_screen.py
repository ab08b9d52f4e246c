import io

import pytest
from rich.console import Console

from flows.tools.figures import GroupLine
from flows.tools.live_table import LiveTable
from flows.tools.screen import LiveScreen, Moment, PlainScreen

GROUPS = {
    "press-1": GroupLine(1234, 3, error=0.0934, surprise=0.4, density=0.21, distance=0.0123),
    "host/a-machine-with-a-very-long-name/memory": GroupLine(
        300, 1, error=0.2, surprise=1.7, density=0.5
    ),
    "host/disk": GroupLine(20, 0),
}


def drawn(width: int = 100, height: int = 50, moments: int = 1) -> str:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None
    )
    screen = LiveScreen(console, LiveTable(0.1), "metrics at http://127.0.0.1:9464/metrics")
    print("Group surprised. group='host'", file=screen.log)
    for second in range(moments):
        screen.show(Moment(second + 1.0, 340 * (second + 1), 338, 0.0999, GROUPS))
    screen.close()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(picture: str, name: str) -> list[str]:
    return next(line for line in reversed(picture.splitlines()) if name in line).split()


def test_the_table_has_a_line_a_group_with_what_is_known_of_it() -> None:
    picture = drawn()

    assert row(picture, "press-1")[:7] == [
        "press-1", "1,234", "3", "0.093", "0.21", "0.012", "0.40",
    ]  # fmt: skip
    assert row(picture, "host/disk") == ["host/disk", "20", "0", "0.000", "1.00", "…"]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(width).replace("\r", "\n").splitlines()

    printed = [line for line in lines if "\x1b" not in line]
    assert max(map(len, printed)) <= width


def test_surprise_is_drawn_over_time_and_rises_with_it() -> None:
    picture = drawn(moments=5)

    assert row(picture, "press-1")[-1] == "▂▂▂▂▂"
    assert row(picture, "a-machine")[-1] == "▇▇▇▇▇"


def test_rate_and_events_are_shown() -> None:
    picture = drawn(moments=5)

    assert "340 readings a second" in picture
    assert "Group surprised. group='host'" in picture


def test_the_cursor_is_hidden_while_the_table_lives_and_back_afterwards() -> None:
    picture = drawn()

    assert picture.index("\x1b[?25l") < picture.rindex("\x1b[?25h")
    assert picture.endswith("\x1b[?25h")


def test_a_picture_is_drawn_four_times_a_second_at_most() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    screen = LiveScreen(console, LiveTable(0.1), "metrics")
    assert isinstance(console.file, io.StringIO)
    screen.show(Moment(10.0, 1, 1, 0.1, GROUPS))
    after_one = len(console.file.getvalue())

    screen.show(Moment(10.2, 1, 1, 0.1, GROUPS))
    after_two = len(console.file.getvalue())
    screen.show(Moment(10.3, 1, 1, 0.1, GROUPS))
    after_three = len(console.file.getvalue())
    screen.close()

    assert after_two == after_one < after_three


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    out, log = io.StringIO(), io.StringIO()
    screen = PlainScreen(Console(file=out, width=40, highlight=False), log, "metrics at here")

    for second in range(1, 13):
        screen.show(Moment(float(second), 100 * second, 99 * second, 0.0999, GROUPS))
    screen.close()

    assert screen.log is log
    assert out.getvalue().splitlines() == [
        "metrics at here",
        "00:05   100 readings a second   495 of 500 compared   largest error 0.0999",
        "00:10   100 readings a second   990 of 1,000 compared   largest error 0.0999",
    ]
