"""A producer that knows what the broker has confirmed.

An output that the broker refuses for itself is a value; one that was not confirmed is raised.
"""

from collections.abc import Callable

from confluent_kafka import KafkaError
from confluent_kafka import Message as Raw

from flows.kafka.connection import Connection, Health
from flows.kafka.dispatch import REFUSALS, Dispatch, Limits, Output, Refused, Together

__all__ = ["ConfirmedProducer"]

LIMITS = Limits()


class ConfirmedProducer:
    """A producer that knows what the broker has confirmed.

    Parameters
    ----------
    connection, together, limits
        As for `Dispatch`.
    confirmed : callable
        Called with each `Output` that the broker has confirmed.

    Notes
    -----
    The order of a key's outputs is kept, but for what the broker refused once: those are sent again
    one at a time by `flush`, so that only what it refuses on its own comes back as `Refused`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        together: Together,
        confirmed: Callable[[Output], None],
        limits: Limits = LIMITS,
    ) -> None:
        self._confirmed = confirmed
        self._refused: list[Refused] = []
        self._dispatch = Dispatch(
            connection, together=together, answered=self._answered, limits=limits
        )
        together.add(self._dispatch)

    @property
    def health(self) -> Health:
        """What the client knows of its connection."""
        return self._dispatch.health

    @property
    def unconfirmed(self) -> int:
        """Outputs that the broker has not answered yet."""
        return self._dispatch.unconfirmed

    def write(self, output: Output) -> None:
        """Hand an output to the client.

        Raises
        ------
        DeliveryError
            When an earlier output failed, or this one can neither be taken nor refused.
        """
        if error := self._dispatch.write(output):
            self._answered(output, error)

    def flush(self) -> list[Refused]:
        """Wait until every output is confirmed, and return those that the broker refuses.

        Raises
        ------
        DeliveryError
            When an output failed, or was still unconfirmed `STOP_GRACE` seconds after the process
            was asked to end.
        """
        self._dispatch.wait()
        suspects, self._refused = self._refused, []
        for suspect in suspects:
            self.write(suspect.output)
            self._dispatch.wait()
        refused, self._refused = self._refused, []
        return refused

    def _answered(self, output: Output, error: KafkaError | None, _raw: Raw | None = None) -> None:
        self._dispatch.answers += 1
        if error is None:
            self._confirmed(output)
        elif error.code() in REFUSALS:
            self._refused.append(Refused(output, error.str()))
        else:
            self._dispatch.fail(output, error)
