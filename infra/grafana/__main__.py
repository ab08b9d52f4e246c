"""``python -m infra.grafana``: write the dashboards; with ``--check`` only say what differs."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from infra.grafana.fleet import fleet
from infra.grafana.group import group
from infra.grafana.pipeline import pipeline

__all__ = ["rendered"]

FOLDER = Path(__file__).parent / "dashboards"


def rendered() -> dict[Path, str]:
    """Return the dashboards' files and what they should hold."""
    boards = {"fleet": fleet(), "group": group(), "pipeline": pipeline()}
    return {
        FOLDER / f"{name}.json": json.dumps(
            board.build(), cls=JSONEncoder, sort_keys=True, indent=2
        )
        + "\n"
        for name, board in boards.items()
    }


def main() -> None:
    """Write what differs, or name it."""
    differ = {
        path: text
        for path, text in rendered().items()
        if not path.exists() or path.read_text() != text
    }
    if "--check" in sys.argv[1:]:
        for path in differ:
            sys.stderr.write(f"{path}: not what is made; `python -m infra.grafana` makes it anew\n")
        sys.exit(bool(differ))
    for path, text in differ.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
