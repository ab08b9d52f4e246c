"""What to do where the offset to go on from was deleted before it was read."""

from flows import events
from flows.events import Tally
from flows.kafka import OffsetExpired
from flows.settings import Settings
from oodl.errors import OodlError

__all__ = ["ExpiredError", "tell_expired"]


class ExpiredError(OodlError, LookupError):
    """Readings that should be gone on with are no longer there."""


def tell_expired(settings: Settings, tally: Tally, topic: str, expired: OffsetExpired) -> None:
    """Say that the offset to go on from has expired, and stop if the settings say so.

    Raises
    ------
    ExpiredError
        If ``recovery.expired`` is "stop".
    """
    events.offset_expired(tally, expired.partition, expired.offset)
    if settings.recovery.expired == "stop":
        msg = (
            f"topics.readings: {topic}/{expired.partition}: expected to go on at offset "
            f"{expired.offset}, which is deleted; set recovery.expired = 'earliest' to go on with "
            "what is left"
        )
        raise ExpiredError(msg)
