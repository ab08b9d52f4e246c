"""``python -m flows`` is ``oodl``: the first thing that runs.

`oodl run` ends with 0 on SIGTERM and Ctrl-C from its very start, while its libraries are loaded.
"""

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Load the command line, and run it."""
    if sys.argv[1:2] == ["run"]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
    from flows import cli

    cli.main()


if __name__ == "__main__":
    main()
