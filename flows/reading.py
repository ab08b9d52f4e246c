"""How messages of readings are read, as the settings have it."""

from flows.settings import Settings
from flows.wire import Fields, Reader

__all__ = ["reader"]


def reader(settings: Settings) -> Reader:
    """Return what reads messages of the readings topic.

    Examples
    --------
    >>> read = reader(Settings(messages={"fields": {"group": "device.id", "values": "data"}}))
    >>> read(None, b'{"device": {"id": "press-7"}, "data": [21.5]}', [], 5.0)
    Reading(group='press-7', time=5.0, values=[21.5], oddities=())
    """
    messages = settings.messages
    fields = Fields(**messages.fields.model_dump())
    return Reader(settings.kafka.max_message_bytes, messages.format, fields)
