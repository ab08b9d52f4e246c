"""``python -m flows`` is ``oodl``: the first thing that runs, and the last.

`oodl run` ends with 0 on SIGTERM and Ctrl-C from its very start, while its libraries are loaded. At
its end it does not wait for the clients to be taken down: theirs wait for a broker that is away, up
to 50 s were measured.
"""

import logging
import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> None:
    """Load the command line, and run it."""
    if sys.argv[1:2] != ["run"]:
        _run()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        _run()
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        _end(end.code or 0)
    _end(0)


def _run() -> None:
    from flows import cli

    cli.main()


def _end(code: int) -> NoReturn:
    """End at once, with all that was said written out."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
