"""Grants rights as Kafka's own `kafka-acls` does, which is not among the broker's jars.

It takes the options that docs/security.md uses, by their own names.
"""

from argparse import ArgumentParser

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
)

from tests.secure import KINDS

__all__ = ["main"]


def main() -> None:
    """Grant what the arguments say."""
    parser = ArgumentParser("kafka-acls")
    for name in ("--bootstrap-server", "--command-config", "--allow-principal", "--operation"):
        parser.add_argument(name, required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--resource-pattern-type", default="literal")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", action="append", default=[])
    asked = parser.parse_args()
    pattern = ResourcePatternType[asked.resource_pattern_type.upper()]
    bindings = [
        AclBinding(
            kind, name, pattern, asked.allow_principal, "*", AclOperation[asked.operation.upper()],
            AclPermissionType.ALLOW,
        )
        for option, kind in KINDS.items()
        for name in getattr(asked, option.replace("-", "_"))
    ]  # fmt: skip
    admin = AdminClient({"bootstrap.servers": asked.bootstrap_server, "log_level": 0})
    for answer in admin.create_acls(bindings).values():
        answer.result(30)


if __name__ == "__main__":
    main()
