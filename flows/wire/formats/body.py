"""What a message says of a reading, in whatever format; and where a foreign one has it.

The fields are named by paths: ``device.id`` is the field `id` of the object in the field `device`.
Types that fit the paths are made once: the typed decode of a foreign message costs what ours does.
"""

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, get_args

import msgspec
from msgspec import UNSET, UnsetType

from flows.wire.messages import Fault, Headers, Reason

__all__ = ["Body", "Content", "Fields", "Listed", "Numbers", "Quick", "Read", "Shape", "Times"]

Numbers = list[float | None] | dict[str, float | None] | bytes
Listed = list[list[float | None]] | dict[str, list[float | None]] | bytes
Times = float | str | list[float | str] | None


class Fields(NamedTuple):
    """Where the parts of a reading are in its message: names, or paths with dots.

    `sensor` and `value` are those of a message that has one number of one sensor.
    """

    group: str = "group"
    time: str = "ts"
    values: str = "values"
    sensor: str = "sensor"
    value: str = "value"


class Body(msgspec.Struct):
    """What a message says of a reading, or of several: then `ts` has one time for each.

    `values` are `Packed`, `Numbers`, or `Listed` where there are several; where there are none, it
    is what one sensor gave.
    """

    values: Any
    group: str | None = None
    ts: Times = None
    sensor: str | None = None
    value: float | UnsetType | None = UNSET


class Quick(NamedTuple):
    """How an ordinary message of a format is read, without asking whether it is one.

    Parameters
    ----------
    decode : callable
        Returns what has the fields of a `Body`, or raises.
    text : bool
        Whether the bytes have to be UTF-8.
    """

    decode: Callable[[bytes], Any]
    text: bool = False


def none_quick(_: bytes) -> Any:
    """Read no message quickly."""
    raise LookupError


class Read(Protocol):
    """How messages of a format are read; any bytes give a value."""

    @property
    def quick(self) -> Quick:
        """How ordinary ones are read."""
        ...

    def __call__(self, value: bytes, headers: Headers) -> Body | Fault:
        """Read what a message says, or why it says nothing."""
        ...


class _Ours(msgspec.Struct, gc=False):
    """A reading's object as we have it; all else in it is ignored."""

    values: Numbers | UnsetType = UNSET
    group: str | None = None
    ts: Times = None
    sensor: str | None = None
    value: float | UnsetType | None = UNSET


class _OursListed(msgspec.Struct):
    """The same for several readings."""

    values: Listed | UnsetType = UNSET
    group: str | None = None
    ts: Times = None
    sensor: str | None = None
    value: float | UnsetType | None = UNSET


class Content(NamedTuple):
    """A type to decode an object with, and what takes a body out of what was decoded.

    Where the type has a body's own fields that is nothing, and `plain` says so.
    """

    type: type[msgspec.Struct]
    body: Callable[[Any], Body] = lambda found: found
    plain: bool = True


class Shape:
    """Objects that have the fields of a reading in these places.

    Parameters
    ----------
    fields : Fields

    Attributes
    ----------
    one, many : Content
        Of an object with one reading, and with several.

    Examples
    --------
    >>> shape = Shape(Fields(group="device.id", time="meta.t", values="data"))
    >>> text = b'{"device": {"id": "press-7", "line": 3}, "data": [1, null]}'
    >>> body = shape.one.body(msgspec.json.decode(text, type=shape.one.type))
    >>> body.group, body.values
    ('press-7', [1.0, None])
    >>> shape.reason("Expected `str`, got `int` - at `$.device.id`")
    'group'
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        if fields == Fields():
            self.one, self.many = Content(_Ours), Content(_OursListed)
        else:
            self.one, self.many = (_content(fields, kind) for kind in (Numbers, Listed))

    def several(self, problem: str) -> bool:
        """Tell whether an object did not fit for one reading because its first number is a list."""
        place, values = problem.rpartition(" - at ")[2].strip("`"), f"$.{self._fields.values}"
        return "got `array`" in problem and place in (f"{values}[0]", f"{values}[...]")

    def reason(self, problem: str) -> Reason:
        """Return the reason of a field's wrong type; two fields have one of their own."""
        place = problem.rpartition(" - at ")[2].strip("`")
        if place == f"$.{self._fields.group}":
            return "group"
        time = f"$.{self._fields.time}"
        return "time" if place == time or place.startswith(f"{time}[") else "schema"


def _content(fields: Fields, values: Any) -> Content:
    """Make the types that have the fields where the paths say, and what follows the paths.

    Of two parts in the same place the first one counts.
    """
    name = str | int | None
    kinds: tuple[Any, ...] = (
        name, Times, values | UnsetType, name, float | UnsetType | None
    )  # fmt: skip
    tree, names, take = dict[str, Any](), list[str](), list[Callable[[Any], Any]]()
    for path, kind in zip(fields, kinds, strict=True):
        steps = path.split(".")
        free = _plant(tree, steps, kind)
        names += (step for step in steps if step not in names)
        attributes = ".".join(f"f{names.index(step)}" for step in steps)
        nothing = UNSET if kind in (kinds[2], kinds[4]) else None
        take.append(attrgetter(attributes) if free else partial(_absent, nothing))
    of_group, of_time, of_values, of_sensor, of_value = take

    def body(found: Any) -> Body:
        return Body(
            of_values(found), _text(of_group(found)), of_time(found),
            _text(of_sensor(found)), of_value(found),
        )  # fmt: skip

    return Content(_struct(tree, names), body, plain=False)


def _plant(tree: dict[str, Any], steps: list[str], kind: Any) -> bool:
    """Put a field into a tree of objects, unless its place is taken."""
    *above, last = steps
    place: Any = tree
    for step in above:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            return False
    if last in place:
        return False
    place[last] = kind
    return True


def _absent(nothing: Any, _: Any) -> Any:
    return nothing


def _text(name: str | int | None) -> str | None:
    return str(name) if isinstance(name, int) else name


def _struct(tree: Mapping[str, Any], names: list[str]) -> type[msgspec.Struct]:
    """Return a type with these fields; an object that is not there is as one without fields."""
    fields: list[tuple[str, Any, Any]] = []
    for name, kind in tree.items():
        attribute = f"f{names.index(name)}"
        if isinstance(kind, dict):
            inner = _struct(kind, names)
            default = msgspec.field(default_factory=inner, name=name)
            fields.append((attribute, inner, default))
        else:
            nothing = UNSET if UnsetType in get_args(kind) else None
            fields.append((attribute, kind, msgspec.field(default=nothing, name=name)))
    return msgspec.defstruct("Object", fields)
