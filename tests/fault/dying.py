"""``oodl run`` that kills itself at a checkpoint: ``python -m tests.fault.dying PLACE run ...``.

PLACE is where in the second epoch with outputs: ``before`` they are confirmed, ``between`` the
transactions of two parts of the sink, or ``after``, when the engine has not yet written its own
snapshot.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from itertools import count

from flows import cli
from flows.items import Encoded
from flows.kafka import Output, Refused, TransactionalProducer
from flows.sink import SinkPart
from flows.wire import Rejected

EPOCH, COMMITS = 2, 3
LAST_LOOK = 0.5  # seconds in which it is seen how far it has come


class Trap:
    """Where the process dies; it sees every epoch end."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.epoch, self.written = 0, False

    def lay(self) -> None:
        """Stand in the way of the sink."""
        write, snapshot, commit = (
            SinkPart.write_batch,
            SinkPart.snapshot,
            TransactionalProducer.commit,
        )
        commits = count(1)

        def write_batch(part: SinkPart, values: list[Encoded | Rejected]) -> None:
            self.written = True
            write(part, values)

        def snapped(part: SinkPart) -> None:
            first, self.written = self.written, False
            self.epoch += first
            self.die("before")
            snapshot(part)
            self.die("after")

        def committed(
            producer: TransactionalProducer, reached: Mapping[int, int]
        ) -> tuple[list[Output], list[Refused]]:
            answer = commit(producer, reached)
            if self.epoch == EPOCH and next(commits) == COMMITS:
                self.die("between")
            return answer

        for owner, name, method in (
            (SinkPart, "write_batch", write_batch),
            (SinkPart, "snapshot", snapped),
            (TransactionalProducer, "commit", committed),
        ):
            setattr(owner, name, method)

    def die(self, place: str) -> None:
        """Die, if this is the place."""
        if self.epoch == EPOCH and place == self.place:
            time.sleep(LAST_LOOK)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Trap(sys.argv.pop(1)).lay()
    cli.main()
