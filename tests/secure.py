"""Apache Kafka that lets nobody in without a name, and nobody do what was not granted.

Beside the listener of the administrator (PLAINTEXT, may do everything) it has one that wants a
certificate (SSL) and one that wants a password under TLS (SASL_SSL, SCRAM-SHA-512).
"""

import random
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from flows.kafka import Right
from flows.settings import TopicSettings, load
from tests.brokers import PORTS, ApacheKafka, is_free
from tests.certificates import Authority
from tests.fault.workers import create_topics, free_port, write_settings

__all__ = [
    "KEY_PASSWORD",
    "KINDS",
    "PASSWORD",
    "Client",
    "Grant",
    "SecureKafka",
    "Security",
    "grant_of",
]

Security = dict[str, str]

PASSWORD = "right-horse-battery"
KEY_PASSWORD = "staple-under-the-mat"
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
PATIENCE = 30.0
LISTENERS = ("SSL", "SASL_SSL")


class Grant(NamedTuple):
    """A right, as `kafka-acls` has it: what may be done with what."""

    operation: AclOperation
    kind: ResourceType
    name: str
    pattern: ResourcePatternType = ResourcePatternType.LITERAL


class SecureKafka(ApacheKafka):
    """A broker that authenticates and authorises.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "certificates", "oodl-tests")
        broker = self.authority.issue("broker")
        super().__init__(
            folder,
            {
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "SSL:SSL,SASL_SSL:SASL_SSL",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(broker.store),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.authority.certificate),
                "listener.name.ssl.ssl.client.auth": "required",
                "sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common."
                "security.scram.ScramLoginModule required;",
            },
        )
        self._more: dict[str, int] = {}

    def address_of(self, listener: str) -> str:
        """Where clients of a listener connect."""
        return f"127.0.0.1:{self._more[listener]}"

    def add_user(self, name: str, password: str) -> None:
        """Let somebody in by SCRAM."""
        mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        upsertion = UserScramCredentialUpsertion(name, mechanism, password.encode())
        admin = self.admin()
        for answer in admin.alter_user_scram_credentials([upsertion]).values():
            answer.result(PATIENCE)

    def allow(self, principal: str, grants: Iterable[Grant]) -> None:
        """Let somebody do this and nothing else; return when the broker goes by it."""
        admin = self.admin()
        wanted = {_binding(principal, grant) for grant in grants}
        there = set(admin.describe_acls(_all_of(principal)).result(PATIENCE))
        withdrawn = [_exactly(each) for each in there - wanted]
        answers = [
            *(admin.delete_acls(withdrawn) if withdrawn else {}).values(),
            *(admin.create_acls([*(wanted - there)]) if wanted - there else {}).values(),
        ]
        for answer in answers:
            answer.result(PATIENCE)
        for _ in self._until(f"{principal} is not allowed as asked"):
            if set(admin.describe_acls(_all_of(principal)).result(PATIENCE)) == wanted:
                return

    def granted(self, principal: str) -> set[Grant]:
        """What somebody may do."""
        admin = self.admin()  # it ends with its last reference, and what was asked with it
        found = admin.describe_acls(_all_of(principal)).result(PATIENCE)
        return {
            Grant(each.operation, each.restype, each.name, each.resource_pattern_type)
            for each in found
        }

    def _launch(self) -> int:
        assert self._ports is not None
        if not self._more:
            order = random.SystemRandom().sample(PORTS, len(PORTS))
            free = (port for port in order if is_free(port) and port not in self._ports)
            self._more = {listener: next(free) for listener in LISTENERS}
        own = dict(zip(("PLAINTEXT", "CONTROLLER"), self._ports, strict=True)) | self._more
        places = [f"{listener}://127.0.0.1:{port}" for listener, port in own.items()]
        self._settings["listeners"] = ",".join(places)
        return super()._launch()


def _all_of(principal: str) -> AclBindingFilter:
    """Every right of somebody; None is any, which the client's own types leave out."""
    anything: Any = None
    return AclBindingFilter(
        ResourceType.ANY,
        anything,
        ResourcePatternType.ANY,
        principal,
        anything,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _exactly(found: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        found.restype,
        found.name,
        found.resource_pattern_type,
        found.principal,
        found.host,
        found.operation,
        found.permission_type,
    )


def _binding(principal: str, grant: Grant) -> AclBinding:
    operation, kind, name, pattern = grant
    return AclBinding(kind, name, pattern, principal, "*", operation, AclPermissionType.ALLOW)


class Client:
    """Somebody with topics of their own, by password or by certificate."""

    def __init__(
        self,
        broker: SecureKafka,
        folder: Path,
        listener: str = "SASL_SSL",
        delivery: str = "at-least-once",
        *,
        topics: bool = True,
    ) -> None:
        self.broker, self.folder = broker, folder
        self.name = f"c{uuid.uuid4().hex[:12]}"
        self.topics = {role: f"{self.name}.{role}" for role in TopicSettings().model_dump()}
        if topics:
            create_topics(broker, self.name, partitions=2)
        self.address = broker.address_of(listener)
        enter = {"SASL_SSL": self._by_password, "SSL": self._by_certificate}
        self.principal, self.security = enter[listener]()
        self.port = free_port()
        self.file = self.write(self.security, delivery)
        self.settings = load(self.file)

    def write(self, security: Security, delivery: str = "at-least-once") -> Path:
        return write_settings(
            self.folder,
            {
                "kafka": {"bootstrap": self.address, "group": self.name, "delivery_seconds": 20},
                "kafka.security": dict(security),
                "topics": {**self.topics},
                "recovery": {
                    "folder": str(self.folder / "recovery"),
                    "epoch_seconds": 0.2,
                    "delivery": delivery,
                },
                "metrics": {"port": self.port},
            },
        )

    def allow(self, *rights: Right) -> None:
        """Grant rights, those to all parts of the sink by their prefix, as the guide does."""
        self.broker.allow(self.principal, sorted({grant_of(right) for right in rights}))

    def _by_password(self) -> tuple[str, Security]:
        self.broker.add_user(self.name, PASSWORD)
        return f"User:{self.name}", {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.name,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.broker.authority.certificate),
        }

    def _by_certificate(self) -> tuple[str, Security]:
        own = self.broker.authority.issue(self.name, password=KEY_PASSWORD)
        return f"User:CN={self.name}", {
            "security.protocol": "SSL",
            "ssl.ca.location": str(self.broker.authority.certificate),
            "ssl.certificate.location": str(own.certificate),
            "ssl.key.location": str(own.key),
            "ssl.key.password": KEY_PASSWORD,
        }


def grant_of(right: Right) -> Grant:
    """What an administrator grants: to parts of the sink at once, by how their names begin."""
    operation, kind = AclOperation[right.operation.upper()], KINDS[right.kind]
    prefix, parts, _ = right.name.partition(".outputs.")
    if parts:
        return Grant(operation, kind, prefix + parts, ResourcePatternType.PREFIXED)
    return Grant(operation, kind, right.name)
