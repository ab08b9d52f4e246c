"""Debian's servers as processes of a test: an ordinary user's, on 127.0.0.1, ended by their id."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.brokers import free_port

__all__ = ["PACKAGES", "Program", "ProgramError", "missing_packages", "wait_until"]

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
"""Each program, and the Debian package that has it."""

ORDINARY = "nobody"  # who runs it where the tests are run by root
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1


class ProgramError(RuntimeError):
    """A program did not do as it was told; the message ends with the last lines of its log."""


def missing_packages() -> list[str]:
    """Programs of `PACKAGES` that are not here, each with its Debian package."""
    return [
        f"{program} (Debian: {package})"
        for program, package in PACKAGES.items()
        if shutil.which(program) is None
    ]


class Program:
    """A server in a folder of its own, which goes with it.

    Parameters
    ----------
    name : str
        One of `PACKAGES`.
    """

    def __init__(self, name: str) -> None:
        self.name, self.port = name, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.log_file = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers, `127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process, to be frozen or ended by."""
        return self._running().pid

    def start(self) -> None:
        """Start with what stands in the folder; return when it says that it is ready."""
        user = _ordinary_user()
        if user:
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, user)
        command = [str(shutil.which(self.name)), *self.options()]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._is_ready, f"{self.name} at {self.address} is ready", READY_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End by SIGTERM, after a while by SIGKILL."""
        process = self._running()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End by SIGKILL."""
        self._running().kill()
        self._running().wait()
        self._process = None

    def options(self) -> Sequence[str]:
        """What the command line has besides the name."""
        raise NotImplementedError

    def get(self, path: str) -> bytes:
        """What it answers on a path."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as answer:
            page: bytes = answer.read()
        return page

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into its folder."""
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def log(self, lines: int = 40) -> str:
        """The last lines of what it wrote."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()
        shutil.rmtree(self.folder)

    def _is_ready(self) -> bool:
        code = self._running().poll()
        if code is not None:
            message = f"{self.name}: ended with {code} before it was ready; its log:\n{self.log()}"
            raise ProgramError(message)
        try:
            self.get("/-/ready")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            message = f"{self.name}: expected to run, it does not; call start() first"
            raise ProgramError(message)
        return self._process


def wait_until(
    done: Callable[[], bool], what: str, seconds: float = 60.0, pause: float = POLL_SECONDS
) -> float:
    """Ask again and again until it is so; after how many seconds that was.

    Raises
    ------
    AssertionError
        When it is not so within `seconds`.
    """
    began = time.monotonic()
    while not done():
        waited = time.monotonic() - began
        assert waited < seconds, f"expected within {seconds:.0f} s: {what}"
        time.sleep(pause)
    return time.monotonic() - began


def _ordinary_user() -> str | None:
    return ORDINARY if os.geteuid() == 0 else None
