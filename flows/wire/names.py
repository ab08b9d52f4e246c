"""Whose reading a message is: the key names the group, or where there is none a field does."""

from flows.wire.messages import LONGEST_DETAIL, Fault

__all__ = ["LONGEST_GROUP", "group_name"]

LONGEST_GROUP = 249  # characters, as Kafka's topics have it


def group_name(key: bytes | None, field: str | None) -> str | Fault:
    """Name the group: the key where there is one, else the field."""
    try:
        group = field if key is None else key.decode()
        if group is not None:
            group.encode()  # a lone surrogate has no UTF-8
    except UnicodeError as problem:
        return Fault("encoding", f"group: {problem}"[:LONGEST_DETAIL])
    if group is None:
        return Fault("group", "expected a key or the field `group`, got neither")
    if not 0 < len(group) <= LONGEST_GROUP:
        return Fault("group", f"expected 1 to {LONGEST_GROUP} characters, got {len(group)}")
    return group
