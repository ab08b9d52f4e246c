"""Where the broker is, how to be let in, and what a client knows of its connection.

Both libraries are told the same: librdkafka by `options`, kafka-python by `client_options`.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from confluent_kafka import KafkaError

from oodl.errors import OodlError, ValueFault

__all__ = [
    "BrokerError",
    "Configured",
    "Connection",
    "Health",
    "client_options",
    "librdkafka",
    "options",
    "silent",
    "without_values",
]

KAFKA_PYTHON = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "sasl.kerberos.service.name": "sasl_kerberos_service_name",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
    "ssl.crl.location": "ssl_crlfile",
    "ssl.cipher.suites": "ssl_ciphers",
}

PUBLIC = frozenset({  # what options may say, and messages too
    "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", "PLAIN", "GSSAPI", "OAUTHBEARER",
    "SCRAM-SHA-256", "SCRAM-SHA-512", "NONE", "HTTPS", "TRUE", "FALSE",
})  # fmt: skip

librdkafka = logging.getLogger("flows.kafka")  # its own lines; the pipeline's are in events.py


class BrokerError(OodlError, ConnectionError):
    """The broker cannot be used as the settings ask."""


class Connection(Protocol):
    """Where the broker is and how to be let in, as ``[kafka]`` of the settings has it."""

    @property
    def bootstrap(self) -> str:
        """Addresses, ``host:port,host:port``."""

    @property
    def security(self) -> Mapping[str, str]:
        """Options of librdkafka, by their own names."""


class Configured(Protocol):
    """Settings, as far as the connection goes."""

    @property
    def kafka(self) -> Connection:
        """The section ``[kafka]``."""


@dataclass(slots=True)
class Health:
    """What the client knows of its connection.

    Parameters
    ----------
    error : str
        The last error of the client, "" when there was none.
    heard_at : float
        When the quietest leader of our partitions last said anything (monotonic).
    measured_at : float or None
        When that was measured; None: never, as a producer's is not.
    lost_at : float or None
        When the client last said that no broker can be reached.
    partitions : dict of str to int
        How many each topic has, as far as the client has heard.
    """

    error: str = ""
    heard_at: float = field(default_factory=monotonic)
    measured_at: float | None = None
    lost_at: float | None = None
    partitions: dict[str, int] = field(default_factory=dict)

    @property
    def silent_seconds(self) -> float:
        """How long the quietest leader of our partitions has said nothing."""
        return monotonic() - self.heard_at

    def failed(self, error: KafkaError) -> None:
        """Keep an error that the client recovers from by itself."""
        self.error = error.str()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.lost_at = monotonic()

    def measured(self, statistics: str) -> None:
        """Read librdkafka's statistics; a frozen broker shows there and nowhere else.

        The group's coordinator is listed a second time, as a connection that only commits use: on
        an idle topic that one is silent for good reason.
        """
        figures = json.loads(statistics)
        idle = {
            broker["nodeid"]: broker["rxidle"] / 1e6
            for broker in figures["brokers"].values()
            if broker["source"] == "learned"
        }
        self.partitions = {
            name: sum(int(number) >= 0 for number in topic["partitions"])
            for name, topic in figures["topics"].items()
        }
        leaders = {
            part["leader"]
            for topic in figures["topics"].values()
            for part in topic["partitions"].values()
        }
        silent = [idle[leader] for leader in leaders if idle.get(leader, -1.0) >= 0]
        if silent:
            self.measured_at = monotonic()
            self.heard_at = self.measured_at - max(silent)


def options(connection: Connection) -> dict[str, Any]:
    """Return librdkafka's options for the connection."""
    return {
        "bootstrap.servers": connection.bootstrap,
        "client.id": "oodl",
        "log.connection.close": False,
        **connection.security,
    }


def client_options(settings: Configured) -> dict[str, Any]:
    """Return kafka-python's arguments for the connection (the tools use that client).

    Raises
    ------
    ValueFault
        When ``[kafka.security]`` has a name that kafka-python knows no argument for.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> security = {"security.protocol": "SSL", "ssl.ca.location": "ca.pem"}
    >>> kafka = SimpleNamespace(bootstrap="a:9093,b:9093", security=security)
    >>> client_options(SimpleNamespace(kafka=kafka))
    {'bootstrap_servers': ['a:9093', 'b:9093'], 'security_protocol': 'SSL', 'ssl_cafile': 'ca.pem'}
    """
    options: dict[str, Any] = {"bootstrap_servers": settings.kafka.bootstrap.split(",")}
    for name, value in settings.kafka.security.items():
        if name == "ssl.endpoint.identification.algorithm":
            options["ssl_check_hostname"] = value != "none"
        elif name in KAFKA_PYTHON:
            options[KAFKA_PYTHON[name]] = value
        else:
            msg = (
                f"kafka.security: expected one of {', '.join(sorted(KAFKA_PYTHON))}, got {name!r}; "
                "the tools cannot pass it on, `oodl run` can"
            )
            raise ValueFault(msg)
    return options


def silent() -> logging.Logger:
    """Return a logger for clients whose lines are of no use: what they say comes as errors."""
    quiet = logging.getLogger(f"{librdkafka.name}.quiet")
    quiet.setLevel(logging.CRITICAL)
    return quiet


def without_values(connection: Connection, text: str) -> str:
    """Leave out of a client's message what it repeats of ``[kafka.security]``: it may be secret.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> kafka = SimpleNamespace(bootstrap="a:9093", security={"security.protocol": "hunter2"})
    >>> without_values(kafka, 'Invalid value "hunter2" for "security.protocol"')
    'Invalid value "..." for "security.protocol"'
    >>> kafka = SimpleNamespace(bootstrap="a:9093", security={"sasl.mechanism": "hunter2"})
    >>> without_values(kafka, "Unsupported SASL mechanism: hunter2")
    'Unsupported SASL mechanism: ...'
    """
    values = {value: name for name, value in connection.security.items() if value}
    for value, name in sorted(values.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(f'"{value}"', '"..."')
        if not (name.endswith(".location") or value.upper() in PUBLIC):
            text = re.sub(rf"(?<![\w.]){re.escape(value)}(?!\w)", "...", text)
    return text
