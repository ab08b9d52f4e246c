"""What docs/contributing.md tells to copy keeps what the checks ask of its role."""

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flows.wire import formats
from oodl.contrast import Contrast
from oodl.oracle import Oracle
from tests.checks import contrast as contrasts
from tests.checks import formats as suite
from tests.checks import oracle as oracles
from tests.checks.formats import Form
from tests.docs.pages import blocks

CODE = [each.text for each in blocks("python") if each.page == "docs/contributing.md"]
CONTRAST, ORACLE, FORMAT, FORM = CODE
SOME_ROWS = np.array([[0.5, np.nan, -3.25]])


def names_of(code: str) -> dict[str, Any]:
    """Run a block, and return what it names."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "docs/contributing.md", "exec"), names)
    return names


@pytest.mark.parametrize("check", contrasts.CHECKS, ids=lambda check: check.__name__)
def test_the_contrast_is_one(check: Callable[[Contrast], None]) -> None:
    check(names_of(CONTRAST)["L6"]())


@pytest.mark.parametrize("check", oracles.CHECKS, ids=lambda check: check.__name__)
def test_the_oracle_is_one(check: Callable[[Oracle], None]) -> None:
    check(names_of(ORACLE)["ByQr"]())


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_the_format_is_one(check: Callable[[Form], None], monkeypatch: pytest.MonkeyPatch) -> None:
    # given what the page adds to the formats, and a message of it beside the golden ones
    ours, form = names_of(FORMAT)["Semicolons"], names_of(FORM)["FORM"]
    monkeypatch.setitem(formats.FORMATS, form.format, ("text/x-semicolons",))

    def named(name: Any, fields: formats.Fields) -> formats.Read:
        return ours() if name == form.format else formats.named(name, fields)

    monkeypatch.setattr("flows.wire.readings.named", named)
    golden = {"value": b"1764000000.25;0.5;;-3.25".hex(), "times": [1764000000.25]}
    rows = [suite.numbers(row) for row in SOME_ROWS]
    monkeypatch.setitem(suite.GOLDEN, form.name, golden | {"rows": rows})
    # then it keeps what every format does
    check(form)


def test_the_example_in_the_format_is_true() -> None:
    names = names_of(FORMAT)
    found = doctest.DocTestFinder().find(names["Semicolons"], globs=names)
    [example] = [each for each in found if each.examples]
    assert doctest.DocTestRunner().run(example) == doctest.TestResults(failed=0, attempted=1)
