"""The reference of the settings is what the code has, and so is each example of a file."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.make_settings import PAGE, SCHEMA, page, schema
from flows.settings import Settings, SettingsError, load
from tests.docs.pages import ROOT, Block, blocks

EXAMPLES = [*blocks("toml"), Block("infra/oodl.toml", 1, (ROOT / "infra/oodl.toml").read_text())]
WRONG = {  # a file, and the place in it that is wrong
    "[kafka]\nbootstrp = 'a:1'": "$.kafka",
    "[kafka]\nbootstrap = 1": "$.kafka.bootstrap",
    "[coding]\ntolerance = 0": "$.coding.tolerance",
    "[codes]\nlayout = 'blok'": "$.codes.layout",
    "[topic]": "$",
    '[groups."press-*".coding]\nwindow = 0': "press-*",
    "[channels.transform]\nflow = 'rat'": "$.channels.transform.flow",
}
VARIABLE = re.compile(r"^\| `\w+`<br>`(OODL_\w+)` \| [^|]+ \| `([^|]+)` \|", re.MULTILINE)


def refusals(*files: Path) -> str:
    """What the schema has against files, "" when nothing."""
    ended = subprocess.run(
        [Path(sys.executable).with_name("check-jsonschema"), "--schemafile", SCHEMA, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout if ended.returncode else ""


def test_the_page_and_the_schema_are_what_the_code_has() -> None:
    told = "made from other code; run python -m docs.make_settings"
    assert PAGE.read_text(encoding="utf-8") == page(), told
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema(), told


def test_each_example_of_a_settings_file_is_one(tmp_path: Path) -> None:
    assert len(EXAMPLES) > 10
    files = [tmp_path / f"{place}.toml" for place in range(len(EXAMPLES))]
    for file, example in zip(files, EXAMPLES, strict=True):
        file.write_text(example.text, encoding="utf-8")
        try:
            load(file)
        except SettingsError as problem:
            pytest.fail(f"{example!r}: {problem}")
    assert refusals(*files) == ""


def test_an_editor_is_told_what_the_command_would_refuse(tmp_path: Path) -> None:
    files = [tmp_path / f"{place}.toml" for place in range(len(WRONG))]
    for file, text in zip(files, WRONG, strict=True):
        file.write_text(text)
        with pytest.raises(SettingsError):
            load(file)
    told = refusals(*files)
    for file, place in zip(files, WRONG.values(), strict=True):
        assert re.search(rf"^ *{file}::.*{re.escape(place)}", told, re.MULTILINE), place


def test_each_variable_on_the_page_sets_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    found = VARIABLE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(found) > 30
    for variable, default in found:
        monkeypatch.setenv(variable, json.loads(default) if default[0] == '"' else default)
    assert load() == Settings()
    for variable, _ in found:
        monkeypatch.setenv(variable, "")  # nothing is a text, and no number
    with pytest.raises(SettingsError) as refused:
        load()
    assert len(str(refused.value).splitlines()) > 20
