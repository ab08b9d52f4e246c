"""Folders and files that nobody else can write: only then may what is in them be believed.

The engine keeps its snapshots as pickles, and whoever can write one runs code in this process. So a
folder in which others could is refused before anything of it is read, and what is made here is for
its owner alone, whatever the umask.
"""

import os
import stat
from pathlib import Path

from oodl.errors import OodlError

__all__ = ["ExposedError", "check", "make_folder", "opener", "withhold"]

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH  # where there is an ACL, the group's bits are its mask
ROOT = 0
REMEDY = "what is read there can run code; {}, or name another recovery.folder"


class ExposedError(OodlError, PermissionError):
    """A folder or a file that others can write."""


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder that only its owner can look into; one that exists stays as it is.

    What is missing above it, others can look into and not change.
    """
    if not folder.is_dir():
        make_folder(folder.parent, 0o755)
        folder.mkdir(mode, exist_ok=True)


def opener(path: str, flags: int) -> int:
    """Open as `open` is told to; a file that is made is for its owner alone."""
    return os.open(path, flags, 0o600)


def withhold(path: Path) -> None:
    """Leave a file to its owner alone."""
    path.chmod(0o600)


def check(folder: Path) -> None:
    """Refuse a folder in which anyone but this user and root could write, or put another in place.

    Raises
    ------
    ExposedError
        With a line for the folder, and for every file in it, that they could.
    """
    problems = [told for path in (folder, *sorted(folder.iterdir())) if (told := _exposed(path))]
    above = folder.resolve().parent
    mode = above.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        got = f"everybody can rename what is in {above}"
        remedy = REMEDY.format(f"`chmod o-w {above}`")
        problems.append(
            f"{folder}: expected a place that only its owner can change, {got}; {remedy}"
        )
    if problems:
        raise ExposedError("\n".join(problems))


def _exposed(path: Path) -> str:
    """Say how others could write a file or a folder; "" when they could not."""
    try:
        found, own = path.stat(), os.geteuid()
    except FileNotFoundError:  # another process of the cluster has done with it
        return ""
    if found.st_uid not in (own, ROOT):
        expected, got = f"user {own} as its owner", f"user {found.st_uid}"
        remedy = f"`chown {own} {path}` if you know what is in it"
    elif found.st_mode & OTHERS_WRITE:
        expected, got = "no one else to write it", f"mode {stat.S_IMODE(found.st_mode):04o}"
        remedy = f"`chmod go-w {path}` if you know what is in it"
    else:
        return ""
    return f"{path}: expected {expected}, got {got}; {REMEDY.format(remedy)}"
