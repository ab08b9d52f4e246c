"""A command as a container confines it: written is only what is named, and no rights of root.


Mounts and rights are those of Linux, by util-linux; it takes root to make them.
"""

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["confined", "why_not"]

# All that is mounted becomes read-only, each folder to write in a mount of its own before.
SCRIPT = """
for folder in $WRITABLE; do mount --bind "$folder" "$folder"; done
cut -d ' ' -f 5 /proc/self/mountinfo | while read -r place; do
    case " $WRITABLE /proc /sys /dev " in *" $place "*) continue ;; esac
    case $place in /proc/*|/sys/*|/dev/*) continue ;; esac
    mount -o remount,bind,ro "$place"
done
exec setpriv --bounding-set -all --inh-caps -all --no-new-privs "$@"
"""


def confined(command: Sequence[str], writable: Sequence[Path]) -> list[str]:
    """Return the command that runs another one in folders that are read-only but for some."""
    folders = " ".join(map(str, writable))
    shell = ["sh", "-euc", SCRIPT, "sh", *command]
    return ["env", f"WRITABLE={folders}", "unshare", "--mount", *shell]


@functools.cache
def why_not(place: Path) -> str:
    """Why commands cannot be confined here; "" where they can."""
    if os.geteuid() != 0:
        return "it takes root to mount"
    tried = subprocess.run(
        confined(["sh", "-c", f"! touch {place}/nothing 2>/dev/null"], []),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if tried.returncode == 0 else tried.stderr or f"{place} is still written to"
