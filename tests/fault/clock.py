"""A clock on the wall that a process has for itself, and that can be set while it runs.

By libfaketime. Monotonic clocks go on as they are, as they do where a real clock is set. What a
real one does besides, to lengthen a wait that has begun when it is set back, is not shown.
"""

import subprocess
from pathlib import Path

__all__ = ["Clock"]

WAITS = Path(__file__).with_suffix(".c")


class Clock:
    """A clock.

    Parameters
    ----------
    folder : Path
        Where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._waits = folder / "clock", folder / "waits.so"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-o", f"{self._waits}", f"{WAITS}"]
        subprocess.run(command, check=True)  # Debian: gcc libc6-dev
        self.set("+0")

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that goes by it."""
        [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")  # Debian: faketime
        return {
            "LD_PRELOAD": f"{self._waits} {library}",
            "FAKETIME_TIMESTAMP_FILE": f"{self._file}",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",  # files are as old as they are
        }

    def set(self, jump: str) -> None:
        """Set it so far from the real one, in the words of libfaketime: ``+1d``."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{jump}\n")
        new.replace(self._file)  # the file is read at every look at the clock
