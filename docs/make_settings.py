"""The reference of the settings, made from `flows.settings`: ``python -m docs.make_settings``.

It writes settings.md and, for editors, settings.schema.json.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.settings import DELIMITER, PREFIX, Settings

__all__ = ["PAGE", "SCHEMA", "page", "schema"]

PAGE, SCHEMA = (Path(__file__).with_name(name) for name in ("settings.md", "settings.schema.json"))
Node = dict[str, Any]
KINDS = {"string": "text", "integer": "whole number", "number": "number", "array": "list"}
LIMITS = (
    ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")
)  # fmt: skip

HEAD = """# Settings

One TOML file, named by `--settings oodl.toml`. Each key is an environment variable as well, which
outranks the file: `OODL_`, the section, two underscores, the key. Every problem is told at once,
with its place, what was expected, what was got, and the remedy. This page is made from the code by
`python -m docs.make_settings`.

```toml
#:schema ./docs/settings.schema.json
[kafka]
bootstrap = "kafka-1:9092,kafka-2:9092"

[coding]
tolerance = 0.05             # closer than the default, with more atoms

[groups."bearing-*".coding]  # for some groups; the first that matches counts
window = 8
```

The first line is for editors: taplo, and Even Better TOML with it, then complete and check keys by
[settings.schema.json](settings.schema.json).

A change acts at the next start. What is marked *live* acts on every group as it is; what is marked
*learned* starts the groups that it holds for anew, as an event, because what they have learned no
longer fits. In the environment a list has commas between (`OODL_CHANNELS__NAMES=flow,speed`), so
has a table of transforms (`bytes_*=rate,strokes=rate`); an option of librdkafka has underscores for
dots (`OODL_KAFKA__SECURITY__SASL_PASSWORD`).
"""
PATTERNS = """
## groups."pattern"

A table `[groups."press-*".coding]` has keys that are otherwise for the groups whose name matches,
as a shell has its patterns. What may be otherwise are the keys of {sections};
what a pattern does not name is as for all.
"""
FOOT = """
## All of it

Every key that has a default, at that default.

```toml
{lines}
```
"""


def schema() -> Node:
    """Return the JSON schema of a settings file.

    TOML nests what has dots in its name, so that librdkafka's options come as tables of tables.
    """
    found = Settings.model_json_schema()
    security = found["$defs"]["KafkaSettings"]["properties"]["security"]
    security["additionalProperties"] = {"type": ["string", "boolean", "number", "object"]}
    return found


def page() -> str:
    """Return the page, a section of it for each of the settings."""
    whole = schema()
    made = [HEAD]
    for name, node in _sections(whole):
        rows = [
            f"| `{key}`<br>`{PREFIX}{DELIMITER.join([*name.split('.'), key]).upper()}` "
            f"| {_kind(each)} | {_default(each)} | {_escaped(each['description'])} "
            f"| {each['mark']} |\n"
            for key, each in node["properties"].items()
            if "$ref" not in each
        ]
        made.append(
            f"\n## {name}\n\n{node['description']}\n\n"
            "| key, and in the environment | type | default | what it says | a change |\n"
            f"|---|---|---|---|---|\n{''.join(rows)}"
        )
        if name == "groups":
            own = whole["$defs"]["GroupSettings"]["properties"]
            made.append(PATTERNS.format(sections=", ".join(f"[{key}](#{key})" for key in own)))
    lines = "\n".join(line for section in _sections(whole) for line in _toml(*section))
    return "".join(made) + FOOT.format(lines=lines.strip())


def _sections(whole: Node) -> Iterator[tuple[str, Node]]:
    """Give each section's name and schema, those within it after it."""
    for name, reference in whole["properties"].items():
        node = _resolved(whole, reference)
        yield name, node
        for key, inner in node["properties"].items():
            if "$ref" in inner:
                yield f"{name}.{key}", _resolved(whole, inner)


def _resolved(whole: Node, reference: Node) -> Node:
    found: Node = whole["$defs"][reference["$ref"].rpartition("/")[2]]
    return found


def _kind(node: Node) -> str:
    """Say what a value has to be, in a cell of a table."""
    for some in node.get("anyOf", ()):
        if some["type"] != "null":
            return _kind(some)
    if "enum" in node:
        return ", ".join(f'`"{choice}"`' for choice in node["enum"])
    if node["type"] == "object":
        return "table"
    bounds = [f"{sign} {node[key]:g}" for key, sign in LIMITS if key in node]
    return ", ".join([KINDS[node["type"]], *bounds])


def _escaped(text: str) -> str:
    return text.replace("<", "\\<").replace("|", "\\|")


def _default(node: Node) -> str:
    default = node.get("default")
    return "" if default is None or default == [] else f"`{_value(default)}`"


def _value(default: object) -> str:
    """Write a value as TOML does, which for these is what JSON does."""
    return json.dumps(int(default) if isinstance(default, float) and default > 10 else default)


def _toml(name: str, node: Node) -> Iterator[str]:
    yield f"\n[{name}]"
    for key, each in node["properties"].items():
        if each.get("default") is not None and "$ref" not in each:
            yield f"{key} = {_value(each['default'])}"


def main() -> None:
    """Write both files."""
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
