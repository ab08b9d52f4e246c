"""A log's lines as JSON: one object a line, for whoever collects them."""

import json
import logging
from collections.abc import Mapping
from typing import Literal

__all__ = ["Form", "JsonLines"]

Form = Literal["auto", "text", "json"]

CLIENT = "client"  # the event of a line that the Kafka client's library wrote


class JsonLines(logging.Formatter):
    """A record as one line of JSON: when, how grave, which event, the sentence, and its fields.

    Parameters
    ----------
    process : int or None
        Number of this process in its cluster, where there is one.

    Examples
    --------
    >>> record = logging.makeLogRecord(
    ...     {"msg": "Stop requested. signal=%(signal)s", "args": {"signal": "SIGTERM"},
    ...      "levelname": "INFO", "created": 1764000000.25, "event": "stop_requested"})
    >>> print(JsonLines(process=1).format(record))
    {"time": 1764000000.25, "level": "info", "event": "stop_requested", \
"message": "Stop requested. signal=SIGTERM", "process": 1, "signal": "SIGTERM"}
    """

    def __init__(self, process: int | None) -> None:
        super().__init__()
        self._place = {} if process is None else {"process": process}

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; its fields stand after what every line has."""
        told: dict[str, object] = {
            "time": record.created,
            "level": record.levelname.lower(),
            "event": getattr(record, "event", CLIENT),
            "message": record.getMessage(),
            **self._place,
        }
        if isinstance(record.args, Mapping):
            told |= {name: value for name, value in record.args.items() if name not in told}
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)
