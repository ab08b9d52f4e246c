"""Input as bad as it gets: texts from a grammar of what goes wrong; how many, the environment says.

A text follows from one seed that hypothesis draws: a million of them take minutes and not hours.
"""

import json
import os
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

__all__ = [
    "EXAMPLES",
    "FILES",
    "KEYS",
    "READINGS",
    "SERIES",
    "changes",
    "fuzz",
    "fuzz_slow",
    "key",
    "message",
]

VARIABLE = "OODL_FUZZ_EXAMPLES"

# Taken out of the environment, where the settings would not know it.
EXAMPLES = int(os.environ.pop(VARIABLE, "300"))

NUMBERS = [
    "0", "-0", "-0.0", "1", "-1.5", "1e308", "1.8e308", "1e400", "-1e400", "1e-400", "5e-324",
    "1e99999999999", "9007199254740993", "18446744073709551616", "9" * 400, "-" + "9" * 5000,
    "NaN", "-NaN", "Infinity", "-Infinity", "nan", "inf", "1.", ".5", "01", "+1", "1e", "0x1f",
    "1_000", "1e5e5", "--1", "1,5", "1764000000000", "1e11", "true", "false", "null", "None",
]  # fmt: skip
PIECES = [
    "a", "values", "press-7", "", " ", "é", "日", "👍", "\x00", "\x1b[2J", "\u2028", "\x7f",
    "\ufeff", "\\u0000", "\\ud800", "\\udc00\\ud800", "\\ud83d\\ude00", "\\uD8", "\\u", "\\x00",
    "\\n", "\\", "\\\\", '\\"', "/", "\t", "\r\n", "x" * 250, "2026-11-24T00:00:00Z", "2026-W48-2",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60", "24:00", "\ud800", "\U0010ffff", "noon",
]  # fmt: skip
FIELDS = ["values", "group", "ts", "value", "Values", "\\u0076alues", "", "a", "\\ud800", "\x00"]
GOOD = ["0", "1", "-1.5", "3.25e2", "null", "17", "1e-7", "20"]
TIMES = ["1764000000", "1764000000250.5", '"2026-11-24T00:00:00Z"', "null"]
NAMES = ["a", "b", "flow", "température", "\\u0041", "\\n"]
WRONG = ["nothing", "nothing", "values", "number", "ts", "group", "x", "less", "all"]
CODINGS = ["utf-8"] * 12 + ["utf-8-sig", "utf-16", "latin-1"]
OPENINGS = ["[", '{"a":', '{"values":', "[{"]
DEPTHS = [3, 100, 999, 5000, 5000, 100_000]

TOML_VALUES = [
    "1", "0", "-1", "1e400", "nan", "inf", "-inf", "0.1", "true", '""', '"a"', '"127.0.0.1:9092"',
    "[]", '["a", "b"]', '["a", 3]', "{}", "{a = 1}", "1979-05-27", "07:32:00", "0x1f", "9" * 30,
    "9" * 5000, '"\\u0000"', '"\\ud800"', '"x\\ny"', "'''a'''", '"reading"', '"block"', "99999",
    '"exactly-once"', "[" * 2000, "[[]]", "1_0", "1__0", '"é"', "256", "257", "8",
]  # fmt: skip
TOML_SECTIONS = [
    "kafka", "kafka.security", "topics", "coding", "channels", "time", "codes", "recovery",
    "metrics", "groups", 'groups."press-*"', 'groups."[a"', 'groups."*".coding', "groups.max",
    'groups."a".channels', 'groups."".time', 'groups."\\u0000"', "x", "a.b.c.d", '""', '"é"',
]  # fmt: skip
TOML_KEYS = [
    "bootstrap", "group", "max_message_bytes", "security", "sasl.password", "readings", "codes",
    "dictionaries", "dead_letters", "atoms", "tolerance", "window", "max_frame", "names", "grow",
    "max_ahead", "max_gap", "accept_after", "layout", "folder", "epoch_seconds", "delivery",
    "address", "port", "groups", "restart_after", "max", "ttl", "press-7", '"a.b"', '""', "x",
    "a.b.c", '"\\ud800"',
]  # fmt: skip
STRANGE: list[object] = [
    None, True, 0, -1, 3, 10**30, 1e308, -1.5, "", "a", "\x00", [], [0], [-1], [1, 2], [10**30],
    [None], [[]], [[0, 1]], {}, "AAAA", "////", "=", [0.5, 1e308], [1e308, 1e308], ["a", "b"],
    float("nan"), float("inf"), -(2**63), 2**63, "\ud800", ["\ud800", "b", "c"], 5e-324,
]  # fmt: skip

STRANGE_KEYS = [
    None, b"", b"a\x00b", b"a\nb", b"\x1b[2J", b"\xff\xfe", b"\xed\xa0\x80", b" ", b'a"b\\c',
    "日".encode(), "\u2028".encode(), b"x" * 249, b"x" * 250, b"__other__", b"partition 3",
]  # fmt: skip
EXTREMES = [
    0.0, -0.0, 1e308, -1e308, 1.7e308, 5e-324, 1e-310, 1e154, -1e154, 1e20, 1e-20, 1e38, 3.5e38,
    1.0, -1.0, 123.456, 2.0**53 + 2,
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def fuzz(test: F) -> F:
    """Give a law as many examples as the environment says."""
    return _with(EXAMPLES)(test)


def fuzz_slow(test: F) -> F:
    """Give a law of which one example is worth fifty its share of them."""
    return _with(max(5, EXAMPLES // 50))(test)


def _with(examples: int) -> Callable[[F], F]:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=slow)


def message(random: Random) -> bytes:
    """What a producer may have taken for a reading: mostly as it should be, but for one thing."""
    if random.random() < 0.05:
        return random.randbytes(random.randrange(40))
    fields = {
        "values": _whole_values(random),
        "ts": random.choice(TIMES),
        "group": f'"{random.choice(NAMES)}"',
    }
    wrong = random.choice(WRONG)
    if wrong == "values":
        fields["values"] = _tree(random, 2)
    elif wrong == "number":
        fields["values"] = fields["values"].replace("1", _number(random))
    elif wrong in ("ts", "group"):
        fields[wrong] = _tree(random, 1)
    elif wrong == "less":
        del fields[random.choice(sorted(fields))]
    elif wrong == "all":
        fields = {random.choice(FIELDS): _tree(random, 2) for _ in range(random.randrange(5))}
    pairs = [f'"{name}": {value}' for name, value in fields.items()]
    if wrong == "x":
        pairs.append(f'"{random.choice(FIELDS)}": {_tree(random, 3)}')
    random.shuffle(pairs)
    joint = random.choice([","] * 10 + [", ", " ,\n\t", ",,", ""])
    return _damaged(random, "{" + joint.join(pairs) + "}")


def key(random: Random) -> bytes | None:
    """What a producer may have taken for a group's name."""
    kind = random.random()
    if kind < 0.05:
        return random.randbytes(random.randrange(6))
    return random.choice(STRANGE_KEYS) if kind < 0.3 else b"press-%d" % random.randrange(20)


def settings_file(random: Random) -> bytes:
    """What somebody may have written as settings."""
    if random.random() < 0.05:
        return random.randbytes(random.randrange(60))
    lines: list[str] = []
    for _ in range(random.randrange(5)):
        lines.append(f"[{random.choice(TOML_SECTIONS)}]")
        for _ in range(random.randrange(4)):
            value = random.choice([random.choice(TOML_VALUES), _tree(random, 1)])
            lines.append(f"{random.choice(TOML_KEYS)} = {value}")
    return _damaged(random, "\n".join(lines))


def changed(random: Random, whole: bytes) -> bytes:
    """A message of ours with some fields changed or left out, or its bytes damaged."""
    fields = json.loads(whole)
    for _ in range(random.randrange(4)):
        name = random.choice([*fields, "x"])
        if random.random() < 0.8:
            fields[name] = random.choice(STRANGE)
        else:
            fields.pop(name, None)
    return _damaged(random, json.dumps(fields, ensure_ascii=random.random() < 0.5))


def series(random: Random) -> list[list[float | None]]:
    """Readings of a group whose numbers are as far out as float64 goes, now and then or always."""
    channels, often = random.randint(1, 5), random.choice([0.02, 0.3])
    size = random.choice([1.0, random.choice(EXTREMES)])
    return [
        [_extreme(random, often, size) for _ in range(channels)]
        for _ in range(random.choice([5, 40, 150]))
    ]


def _extreme(random: Random, often: float, size: float) -> float | None:
    kind = random.random()
    if kind < 0.05:
        return None
    value = random.choice(EXTREMES) if kind < often else random.gauss(0, 1) * size
    return value if abs(value) < float("inf") else None


def _number(random: Random) -> str:
    kind = random.random()
    if kind < 0.6:
        return random.choice(NUMBERS)
    if kind < 0.8:
        return str(random.getrandbits(random.randrange(1, 80)) * random.choice([1, -1]))
    return repr(random.gauss(0, 1) * 10.0 ** random.randint(-320, 307))


def _string(random: Random) -> str:
    return '"' + "".join(random.choices(PIECES, k=random.randrange(4))) + '"'


def _tree(random: Random, depth: int) -> str:
    """A value: JSON, nearly JSON, or nested beyond every bound."""
    kind = random.random()
    if kind < 0.02:
        return random.choice(OPENINGS) * random.choice(DEPTHS) + random.choice(["", "1", "]", "}"])
    if kind < 0.3 or depth == 0:
        return _number(random)
    if kind < 0.5:
        return _string(random)
    inner = [_tree(random, depth - 1) for _ in range(random.randrange(5))]
    if kind < 0.75:
        return "[" + ",".join(inner) + "]"
    names = [random.choice([f'"{random.choice(FIELDS)}"', _string(random)]) for _ in inner]
    return "{" + ",".join(map(":".join, zip(names, inner, strict=True))) + "}"


def _whole_values(random: Random) -> str:
    values = random.choices(GOOD, k=random.randint(1, 5))
    if random.random() < 0.5:
        return "[" + ",".join(values) + "]"
    return "{" + ",".join(f'"{random.choice(NAMES)}":{value}' for value in values) + "}"


def _damaged(random: Random, text: str) -> bytes:
    """A text as bytes: mostly as it is, else in another encoding, cut, or with a byte changed."""
    coding = random.choice(CODINGS)
    whole = text.encode(coding, "surrogatepass" if coding.startswith("utf") else "replace")
    how = random.random()
    if how > 0.2 or not whole:
        return whole
    place = random.randrange(len(whole))
    if how > 0.1:
        return whole[:place]
    return whole[:place] + random.randbytes(random.randrange(4)) + whole[place + 1 :]


SEEDS = st.randoms(use_true_random=True)
READINGS = SEEDS.map(message)
FILES = SEEDS.map(settings_file)
SERIES = SEEDS.map(series)
KEYS = SEEDS.map(key)


def changes(*whole: bytes) -> st.SearchStrategy[bytes]:
    """Messages of ours, each with something changed."""
    return SEEDS.map(lambda random: changed(random, random.choice(whole)))
