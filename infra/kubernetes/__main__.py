"""``python -m infra.kubernetes``: build the overlays, and say what does not fit its schema."""

import sys
from collections.abc import Iterator

from infra.kubernetes.build import OVERLAYS, BuildError, build
from infra.kubernetes.schemas import problems


def main() -> None:
    """End with 1 and a line for each problem."""
    found = list(_found())
    if found:
        sys.exit("\n".join(found))


def _found() -> Iterator[str]:
    for name, folder in OVERLAYS.items():
        try:
            yield from (f"{name}: {problem}" for problem in problems(build(folder)))
        except BuildError as refused:
            yield str(refused)


if __name__ == "__main__":
    main()
