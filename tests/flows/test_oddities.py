"""The list of oddities is what the code counts, no more and no less."""

import re
from pathlib import Path

from flows.oddities import ODDITIES

ROOT = Path(__file__).parents[2]
COUNTED = re.compile(
    r'oddities\["(\w+)"\]|oddity\([^")]*"(\w+)"|"(\w+)": _mistimed|^ODD = \("(\w+)",\)',
    re.MULTILINE,
)


def test_every_kind_that_is_counted_is_listed_and_every_one_listed_is_counted() -> None:
    found = {
        kind
        for path in (ROOT / "flows").rglob("*.py")
        for kinds in COUNTED.findall(path.read_text())
        for kind in kinds
        if kind
    }

    assert found == ODDITIES.keys()
