"""Which processes have a recovery folder: one alone, or those of one cluster.

They find each other in the folder. Who comes first writes down the cluster's addresses, and whoever
comes under others is refused; what asks one of them to end is written down for all, since a
cluster goes on until each of its processes has come to its end.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from flows.manifest import LOCK, ManifestError, lock, open_lock

__all__ = ["ALONE", "Hold", "Member", "hold"]

PREPARING, ENDING = "preparing", "ending"
LOOK = 0.5  # seconds between two looks at whether another member was asked to end
PATIENCE = 2.0  # seconds for another member to write down whose the folder is
ENDING_PATIENCE = 15.0  # seconds for a cluster that was asked to end to be gone
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Member:
    """The place of a process among those that work as one cluster.

    Parameters
    ----------
    process : int
        Counted from 0.
    addresses : tuple of str
        ``host:port`` of each process, where it listens for the others; none: there are no others.
    parent : int
        The process that started it and that it is to end with; 0: none.

    Examples
    --------
    >>> Member(1, ("a:2101", "b:2101")).alone, Member().alone
    (False, True)
    >>> Member(2, ("a:2101", "b:2101", "b:2102")).before
    1
    """

    process: int = 0
    addresses: tuple[str, ...] = ()
    parent: int = 0

    @property
    def before(self) -> int:
        """How many processes with a lower number are on the same host."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        return hosts[: self.process].count(hosts[self.process]) if hosts else 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return len(self.addresses) < 2


ALONE = Member()


class Hold:
    """A recovery folder that this process has, until it lets go of it or ends.

    Parameters
    ----------
    folder : Path
    member : Member
    held : ExitStack
        The locks.
    """

    def __init__(self, folder: Path, member: Member, held: ExitStack) -> None:
        self.folder, self.member = folder, member
        self._held, self._due = held, 0.0

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Let one member after the other look at the folder and make it ready."""
        if self.member.alone:
            yield
            return
        with open_lock(self.folder, PREPARING) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def asked(self) -> str:
        """Say what has asked another member to end, "" while nothing has; looks now and then."""
        now = time.monotonic()
        if self.member.alone or now < self._due:
            return ""
        self._due = now + LOOK
        parent = self.member.parent
        if parent and os.getppid() != parent:
            return f"end of process {parent}"
        return _read(self.folder / ENDING)

    def ask(self, cause: str) -> None:
        """Ask the other members to end as well."""
        if not (self.member.alone or (self.folder / ENDING).exists()):
            with open_lock(self.folder, ENDING) as file:
                file.write(f"{cause} of process {self.member.process}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._held.close()


def hold(folder: Path, member: Member = ALONE) -> Hold:
    """Hold a folder for this process, beside the other processes of its cluster.

    Raises
    ------
    ExposedError
        If anyone else could write in it.
    ManifestError
        If processes of another pipeline or cluster hold it, or another process has this one's
        place, or it cannot be written to.
    """
    with ExitStack() as undo:
        if member.alone:
            undo.enter_context(lock(folder))
        else:
            undo.enter_context(_join(folder, member))
            undo.enter_context(_take_place(folder, member))
        return Hold(folder, member, undo.pop_all())


def _join(folder: Path, member: Member) -> TextIO:
    """Share the folder's lock with the others of the cluster; the first one says which it is."""
    named, began = f"{';'.join(member.addresses)}\n", time.monotonic()
    while True:
        file = open_lock(folder, LOCK)
        if _lock(file, fcntl.LOCK_EX):
            _write(file, named)
            (folder / ENDING).unlink(missing_ok=True)
        shared = _lock(file, fcntl.LOCK_SH)  # lets go of the other one first: so look what it says
        holder = _content(file)
        ending = (folder / ENDING).exists()
        if shared and holder == named and not ending:
            return file
        file.close()
        if time.monotonic() - began > (ENDING_PATIENCE if ending else PATIENCE):
            raise ManifestError(_taken(folder, holder, named))
        time.sleep(PAUSE)


def _take_place(folder: Path, member: Member) -> TextIO:
    file = open_lock(folder, f"{LOCK}.{member.process}")
    if not _lock(file, fcntl.LOCK_EX):
        holder = _content(file).strip()
        file.close()
        msg = (
            f"{folder}: expected to be process {member.process} of its cluster, but process "
            f"{holder} of this machine is; stop that one, or take another number"
        )
        raise ManifestError(msg)
    _write(file, f"{os.getpid()}\n")
    return file


def _lock(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: TextIO, content: str) -> None:
    file.truncate(0)
    file.write(content)
    file.flush()


def _content(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _taken(folder: Path, holder: str, named: str) -> str:
    """Say who has the folder: a process by its id, a cluster by its addresses."""
    name = holder.strip()
    got = f"process {name} does" if name.isdigit() else f"the cluster at {name} does"
    if holder == named:
        got += ", and has not ended yet"
    return (
        f"{folder}: expected the cluster at {named.strip()} to hold this recovery folder, but "
        f"{got}; stop that one, or name another recovery.folder"
    )
