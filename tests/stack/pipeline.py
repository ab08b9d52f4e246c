"""The pipeline on a real broker, with a plant that feeds it: what the servers look at."""

import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, write_settings
from tests.stack.plant import Plant
from tests.stack.programs import wait_until

__all__ = ["PARTITIONS", "Pipeline"]

PARTITIONS = 3


class Pipeline:
    """Topics, a plant that sends, and one worker; all ended with the test.

    Parameters
    ----------
    broker : ApacheKafka
        Runs already.
    folder : Path
    name : str
        Of the topics and of the consumer group.
    rate : float
        Readings a second of each group.
    sections : mapping, optional
        Settings besides.
    """

    def __init__(
        self,
        broker: ApacheKafka,
        folder: Path,
        name: str = "stack",
        *,
        rate: float = 20.0,
        sections: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.broker, self.port = broker, free_port()
        self.topics = create_topics(broker, name, PARTITIONS)
        self.plant = Plant(broker.address, self.topics["readings"], PARTITIONS, rate=rate)
        self.settings = write_settings(
            folder,
            {
                "kafka": {"bootstrap": broker.address, "group": name},
                "topics": {**self.topics},
                "recovery": {"folder": str(folder / "recovery")},
                "metrics": {"port": self.port},
                **(sections or {}),
            },
        )
        self._undo = ExitStack()
        self._starts = 0
        self.worker = self._open()

    @property
    def address(self) -> str:
        """Where its metrics are, `127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Stop the worker where it is (SIGSTOP)."""
        self.worker.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.worker.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the worker as a crash would."""
        assert self.worker.end(signal.SIGKILL) == -signal.SIGKILL

    def restart(self) -> None:
        """Start another worker in the place of one that has ended."""
        self.worker = self._open()
        self.worker.await_metrics()

    def await_versions(self, number: int = 2) -> None:
        """Return when every group has published so many versions."""

        def learned() -> bool:
            shown = self.worker.metrics()
            found = [shown.get(("oodl_version", group), 0) for group in self.plant.groups]
            return min(found) >= number

        wait_until(learned, f"version {number} of {self.plant.groups}", 240)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._undo.close)
            self.worker.await_metrics()
            self.plant.start()
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._undo:
            self.plant.close()

    def _open(self) -> Worker:
        self._starts += 1
        log_file = self.settings.with_name(f"worker-{self._starts}.log")
        return self._undo.enter_context(Worker(self.settings, self.port, log_file=log_file))
