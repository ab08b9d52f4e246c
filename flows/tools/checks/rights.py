"""Whether the broker allows what the pipeline does; nothing is tried, the broker is asked."""

from collections.abc import Iterator

from kafka import KafkaAdminClient
from kafka.errors import (
    KafkaError,
    TransactionalIdAuthorizationFailedError,
    TransactionalIdNotFoundError,
)

from flows import access
from flows.dataflow import SINK_PARTS
from flows.kafka import AccessError, Right, client_options
from flows.kafka.rights import require_rights
from flows.tools.checks.findings import Finding, Scene, of_error, of_line
from oodl.errors import ValueFault

__all__ = ["allowed"]


def allowed(scene: Scene) -> Iterator[Finding]:
    """Ask for each right of `oodl run`."""
    settings = scene.settings
    rights = list(access.to_run(settings, SINK_PARTS))
    try:
        require_rights(settings.kafka, rights)
    except AccessError as missing:
        yield from of_error(missing)
        told = set(str(missing).splitlines())
        scene.denied = {right.name for right in rights if right.denied() in told}
    yield from _transactions(scene, [each for each in rights if each.kind == "transactional-id"])


def _transactions(scene: Scene, rights: list[Right]) -> Iterator[Finding]:
    """Look at the transactions: without a right to them they cannot be seen either.

    A right to see them and none to write them goes unnoticed: no broker tells it.
    """
    if not rights:
        return
    try:
        with KafkaAdminClient(**client_options(scene.settings)) as admin:
            yield from (of_line(right.denied()) for right in rights if _is_hidden(admin, right))
    except (KafkaError, ValueFault) as untold:
        told = f"expected the broker to tell of the transactions, got {untold!r}"
        remedy = "a missing right ends the flow with its first output"
        yield Finding("kafka.group", told, remedy, "unknown")


def _is_hidden(admin: KafkaAdminClient, right: Right) -> bool:
    """Whether a transaction, which need not be there, is not to be seen."""
    try:
        admin.describe_transactions([right.name])
    except TransactionalIdNotFoundError:
        return False
    except TransactionalIdAuthorizationFailedError:
        return True
    return False
