"""``python -m infra.kubernetes``: write what is made; with ``--check`` only say what is wrong."""

import sys
from collections.abc import Iterator

from infra.kubernetes.build import OVERLAYS, BuildError, build
from infra.kubernetes.rules import MADE, rendered
from infra.kubernetes.schemas import problems


def main() -> None:
    """Make the PrometheusRule, build the overlays, and end with 1 and a line for each problem."""
    if "--check" not in sys.argv[1:]:
        MADE.write_text(rendered())
    found = list(_found())
    if found:
        sys.exit("\n".join(found))


def _found() -> Iterator[str]:
    if MADE.read_text() != rendered():
        yield f"{MADE}: not what its sources make; `python -m infra.kubernetes` makes it anew"
    for name, folder in OVERLAYS.items():
        try:
            yield from (f"{name}: {problem}" for problem in problems(build(folder)))
        except BuildError as refused:
            yield str(refused)


if __name__ == "__main__":
    main()
