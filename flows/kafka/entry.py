"""Why a broker does not let a client in: what the client says of it, with the remedy.

A wrong password stays wrong, however often it is tried: what is told here ends a start at once.
"""

import re
import socket
import ssl
from collections.abc import Iterator

from confluent_kafka import KafkaError

from flows.kafka.connection import Connection

__all__ = ["is_refusal", "refusal_of", "told"]

REFUSALS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})
PROBE_SECONDS = 1.0
REMEDIES = (
    (
        "certificate verify failed",
        "see that ssl.ca.location has the authority that signed the broker's certificate, and that "
        "this certificate names the address",
    ),
    (
        "alert",
        "the listener asks for a certificate that it trusts: name it and its key as "
        "ssl.certificate.location and ssl.key.location",
    ),
    (
        "PLAINTEXT|SSL handshake",
        "if the listener has no TLS, set security.protocol to SASL_PLAINTEXT or PLAINTEXT, or take "
        "the address of one that has",
    ),
    ("speaks TLS", "set security.protocol to SASL_SSL or SSL"),
    (
        "mechanism handshake",
        "set sasl.mechanism and security.protocol to what the listener has",
    ),
    ("", "correct sasl.username and sasl.password"),
)


def is_refusal(error: KafkaError) -> bool:
    """Whether a client is told by this that it is not let in."""
    return error.code() in REFUSALS or "SSL routines" in error.str() or _no_tls(error.str())


def refusal_of(connection: Connection) -> str:
    """Say that brokers speak TLS where the settings do not; the client only sees them hang up."""
    if "SSL" in connection.security.get("security.protocol", "").upper():
        return ""
    found = next((place for place in _places(connection.bootstrap) if _speaks_tls(*place)), None)
    return "" if found is None else f"{found[0]}:{found[1]} speaks TLS"


def told(connection: Connection, detail: str) -> str:
    """Write what the client says as an error: the place, what was expected, and the remedy.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> here = SimpleNamespace(bootstrap="127.0.0.1:9093", security={})
    >>> print(told(here, "127.0.0.1:9093 speaks TLS"))
    kafka.security: expected to be let in at 127.0.0.1:9093, got: 127.0.0.1:9093 speaks TLS; \
set security.protocol to SASL_SSL or SSL
    """
    remedy = next(remedy for pattern, remedy in REMEDIES if re.search(pattern, detail))
    place = connection.bootstrap
    return f"kafka.security: expected to be let in at {place}, got: {detail}; {remedy}"


def _no_tls(detail: str) -> bool:
    return "SSL handshake failed" in detail


def _places(bootstrap: str) -> Iterator[tuple[str, int]]:
    """Yield hosts and ports; those that cannot be read, the client has told of."""
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if port.isdecimal():
            yield host.rpartition("//")[2].strip("[]"), int(port)


def _speaks_tls(host: str, port: int) -> bool:
    """Shake hands, to see whether there is anybody to do it; nothing is sent after that."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLError as refused:  # an alert is an answer as well
        return "ALERT" in (refused.reason or "")
    except (OSError, ValueError):
        return False
