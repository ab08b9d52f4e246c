"""The configuration: one TOML file, each key also an environment variable.

``kafka.bootstrap`` is ``OODL_KAFKA__BOOTSTRAP`` in the environment, which outranks the file. Every
key says what it means and what a change of it does: ``live`` acts at the next start, ``learned``
starts the group anew, because what it has learned no longer fits.
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, LiteralString, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from oodl.coding import Atoms, Tolerance
from oodl.errors import OodlError
from oodl.windows import MAX_GAP

__all__ = [
    "ChannelSettings",
    "CodeSettings",
    "CodingSettings",
    "FieldSettings",
    "GroupSettings",
    "GroupsSettings",
    "KafkaSettings",
    "LogSettings",
    "MessageSettings",
    "MetricSettings",
    "RecoverySettings",
    "SensorSettings",
    "Settings",
    "SettingsError",
    "TimeSettings",
    "TopicSettings",
    "WorkerSettings",
    "load",
    "worker_folder",
]

PREFIX, DELIMITER = "OODL_", "__"
SECRETS = (
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
)
RIVALS = {"tolerance": "atoms", "atoms": "tolerance"}  # a coding rule, and the one it replaces
REMEMBERED = 100_000  # groups whose pattern is not looked for again
LARGEST_FRAME = 256  # numbers; a dictionary has the square of it

live = partial(Field, json_schema_extra={"mark": "live"})
learned = partial(Field, json_schema_extra={"mark": "learned"})


class SettingsError(OodlError, ValueError):
    """Settings that cannot be used; the message has a line for every problem."""


def _dotted(security: object) -> object:
    """Give options their names with dots: TOML nests them, an environment has underscores.

    A secret may stand in a file of its own, which the option with ".file" after its name leads to.
    """
    if not isinstance(security, dict):
        return security
    options = dict(_flat(security))
    for name in SECRETS:
        path = options.pop(f"{name}.file", None)
        if path is not None:
            if name in options:
                problem: LiteralString = "expected {name} or {name}.file, got both; leave one out"
                raise _unfit(problem, name=name)
            options[name] = _secret(name, str(path))
    return options


def _secret(name: str, path: str) -> str:
    """Read a secret; the line's end is none of it, and the path may be one that is misplaced."""
    try:
        found = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        got = "an empty one"
    except (OSError, ValueError) as missing:
        found, got = "", getattr(missing, "strerror", None) or "other bytes"
    if not found:
        problem: LiteralString = "{name}.file: expected a file of UTF-8, got {got}; name another"
        raise _unfit(problem, name=name, got=got)
    return found


def _flat(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in options.items():
        path = prefix + str(name).replace("_", ".")
        if isinstance(value, dict):
            yield from _flat(value, path + ".")
        else:
            yield path, str(value).lower() if isinstance(value, bool | int) else value


def _unfit(problem: LiteralString, **context: int | str) -> PydanticCustomError:
    """A problem in our own words; they name the remedy."""
    return PydanticCustomError("unfit", problem, context)


def _listed(names: object) -> object:
    """Take names with commas between, as an environment variable has them."""
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else names


def _paired(transforms: object) -> object:
    """Take pairs with commas between, as an environment variable has them."""
    if not isinstance(transforms, str):
        return transforms
    pairs = (pair.partition("=") for pair in transforms.split(",") if pair.strip())
    return {pattern.strip(): transform.strip() for pattern, _, transform in pairs}


FieldPath = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$")]
Format = Literal["json", "msgpack", "float32", "float64"]
Transform = Literal["rate"]
Topic = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KafkaSettings(_Section):
    """Where the brokers are and how to speak to them."""

    bootstrap: str = live("127.0.0.1:9092", min_length=1, description="brokers to start from")
    group: str = live("oodl", min_length=1, description="consumer group that offsets are kept for")
    max_message_bytes: int = live(
        1048576, ge=4096, description="bytes a message may have; larger ones are dead letters"
    )
    delivery_seconds: float = live(
        120.0, ge=1, le=300, description="seconds an output may take to be confirmed"
    )
    security: Annotated[dict[str, str], BeforeValidator(_dotted)] = live(
        default_factory=dict,
        repr=False,
        description="options of librdkafka by their own names; secrets also by <name>.file",
    )


class TopicSettings(_Section):
    """The topics; each has another name."""

    model_config = ConfigDict(validate_default=True)

    readings: Topic = live("sensors.readings", description="topic that readings come from")
    codes: Topic = live("sensors.codes", description="topic for codes")
    dictionaries: Topic = live(
        "sensors.dictionaries", description="topic for dictionaries, compacted"
    )
    dead_letters: Topic = live(
        "sensors.dead-letters", description="topic for what could not be read or written"
    )
    repartitioned: Topic | None = live(
        None, description="internal topic, keyed by group, that `oodl repartition` writes"
    )

    @property
    def source(self) -> str:
        """The topic that the pipeline reads: the internal one, where there is one."""
        return self.repartitioned or self.readings

    @property
    def of_pipeline(self) -> dict[str, str]:
        """What the pipeline reads and writes; without a right to others it does not see them."""
        known = self.model_dump()
        if self.repartitioned is not None:
            del known["readings"]
        return known

    @model_serializer(mode="wrap")
    def _there(self, whole: SerializerFunctionWrapHandler) -> dict[str, str]:
        """Leave out the topic that there is not."""
        return {role: name for role, name in whole(self).items() if name is not None}

    @field_validator("*")
    @classmethod
    def _differ(cls, name: str | None, others: ValidationInfo) -> str | None:
        if name is not None and name in others.data.values():
            problem: LiteralString = "expected four different topics, got {got} twice; rename one"
            raise _unfit(problem, got=name)
        return name


class CodingSettings(_Section):
    """How exactly a reading is rebuilt: within a tolerance, or with a number of atoms."""

    atoms: int | None = live(
        None, ge=1, le=LARGEST_FRAME, description="instead of tolerance: most atoms of a reading"
    )
    tolerance: float = live(
        0.1, gt=0, le=10, description="largest error of a reading, in channel standard deviations"
    )
    window: int = learned(
        1, ge=1, le=LARGEST_FRAME, description="readings that are coded together, as a frame"
    )

    @field_validator("tolerance")
    @classmethod
    def _either(cls, tolerance: float, before: ValidationInfo) -> float:
        if before.data.get("atoms") is not None:
            problem: LiteralString = "expected tolerance or atoms, got both; leave one out"
            raise _unfit(problem)
        return tolerance

    @property
    def rule(self) -> Tolerance | Atoms:
        """The coding rule that these keys ask for."""
        return Tolerance(self.tolerance) if self.atoms is None else Atoms(self.atoms)


class ChannelSettings(_Section):
    """What the numbers of a reading are; without names, what 20 readings agree on."""

    max_frame: int = learned(
        LARGEST_FRAME, ge=1, le=LARGEST_FRAME, description="most numbers that are coded together"
    )
    names: Annotated[tuple[str, ...], BeforeValidator(_listed)] = learned(
        (), description="channels of a reading, in order; empty: as the readings have them"
    )
    grow: int = live(
        0, ge=0, description="readings with an unknown channel that start a new dictionary; 0: none"
    )
    transform: Annotated[dict[str, Transform], BeforeValidator(_paired)] = learned(
        default_factory=dict,
        description='patterns of channels, each = "rate": a second, for counters',
    )

    def is_counter(self, name: str) -> bool:
        """Tell whether a channel is to be given as a rate."""
        return any(fnmatchcase(name, pattern) for pattern in self.transform)

    @field_validator("names")
    @classmethod
    def _fit(cls, names: tuple[str, ...], before: ValidationInfo) -> tuple[str, ...]:
        if len(set(names)) < len(names) or "" in names:
            problem: LiteralString = "expected names that differ, none empty; rename or leave out"
            raise _unfit(problem)
        most = before.data.get("max_frame", LARGEST_FRAME)
        if len(names) > most:
            problem = "expected at most max_frame = {most} channels, got {got}; leave some out"
            raise _unfit(problem, most=most, got=len(names))
        return names


class TimeSettings(_Section):
    """What the readings' own time decides."""

    max_ahead: float = live(
        3600.0, gt=0, description="seconds a reading may be ahead before a second must confirm it"
    )
    accept_after: float = live(
        86400.0, gt=0, description="seconds after which a group that stays surprised is relearned"
    )
    max_gap: float = live(
        MAX_GAP, gt=0, description="seconds between readings after which a frame is closed early"
    )


class SensorSettings(_Section):
    """How messages of one sensor each are put together to readings; change them after a clean end.

    What waits in a snapshot is closed with the first message after a start with others.
    """

    mode: Literal["bucket", "last"] = live(
        "bucket", description="a reading a stretch of time, or one a message with last values"
    )
    every: float = live(1.0, gt=0, description="seconds of event time that are one reading")
    wait: float = live(
        1.0, ge=0, description="seconds of event time that a reading waits for late samples"
    )
    hold: float = live(
        60.0, gt=0, description="mode last: seconds of event time for which a value holds"
    )
    max_open: int = live(
        10_000, ge=1, description="samples of a group that wait at most; then the first one closes"
    )


class FieldSettings(_Section):
    """Where an object in a message has the parts of a reading: names, or paths with dots."""

    model_config = ConfigDict(validate_default=True)

    group: FieldPath = live("group", description="the group, where the message has no key")
    time: FieldPath = live("ts", description="when it was: seconds, milliseconds or ISO 8601")
    values: FieldPath = live(
        "values", description="the numbers: a list, an object or float32 bytes"
    )
    sensor: FieldPath = live(
        "sensor", description="the sensor, where a message has one number of it"
    )
    value: FieldPath = live("value", description="that number")

    @field_validator("*")
    @classmethod
    def _differ(cls, path: str, others: ValidationInfo) -> str:
        for name, other in others.data.items():
            if other == path:
                problem: LiteralString = (
                    "expected another path than messages.fields.{name}, got '{got}' for both; "
                    "name another one, also where no message has this part"
                )
                raise _unfit(problem, name=name, got=path)
        return path


class MessageSettings(_Section):
    """How messages of readings are written."""

    format: Format = live(
        "json", description="format of messages whose content-type header names none"
    )
    fields: FieldSettings = live(
        FieldSettings(), description="where objects have the parts of a reading"
    )


class CodeSettings(_Section):
    """How codes are written."""

    layout: Literal["reading", "block"] = live(
        "reading", description="a message a reading, or one for all that were coded together"
    )


class RecoverySettings(_Section):
    """What outlives a restart, and what is promised about it."""

    folder: Path = live(Path("recovery"), description="folder of the snapshots, one a pipeline")
    epoch_seconds: float = live(1.0, gt=0, le=600, description="seconds between two snapshots")
    delivery: Literal["at-least-once", "exactly-once"] = live(
        "at-least-once", description="what is promised about each output"
    )
    expired: Literal["earliest", "stop"] = live(
        "earliest",
        description="what to do when retention has deleted the reading to go on with: "
        "go on with the earliest one that is left, or stop",
    )


class MetricSettings(_Section):
    """Where Prometheus finds the metrics, and an orchestrator how the flow does."""

    address: str = live("127.0.0.1", min_length=1, description="address to listen at")
    port: int = live(9464, ge=0, le=65535, description="port to listen at; 0: any free one")
    repartition_port: int = live(
        9463, ge=0, le=65535, description="port at which `oodl repartition` listens"
    )
    groups: int = live(1000, ge=0, description="most groups with a label of their own")
    restart_after: float = live(
        60.0, gt=0, description="seconds of standing still before /healthz asks for a restart"
    )


class LogSettings(_Section):
    """What the log says, and in which form; it goes to the standard error output."""

    format: Literal["auto", "text", "json"] = live(
        "auto", description="text for people, JSON a line; auto: text on a terminal, else JSON"
    )
    level: Literal["debug", "info", "warning", "error"] = live(
        "info", description="how grave a line is at least; debug tells of each block"
    )


class WorkerSettings(_Section):
    """Which of several pipelines that share the partitions this is, each with its own process."""

    count: int = live(1, ge=1, description="how many share the partitions; `oodl rebalance` first")
    index: int = live(0, ge=0, description="which of them this is, counted from 0")

    @field_validator("index")
    @classmethod
    def _below(cls, index: int, before: ValidationInfo) -> int:
        count = before.data.get("count", 1)
        if index >= count:
            problem: LiteralString = "expected less than workers.count = {count}, got {got}"
            raise _unfit(problem + "; count from 0", count=count, got=index)
        return index

    def own(self, partitions: int) -> range:
        """Which of so many partitions are this one's."""
        return range(self.index, partitions, self.count)


class GroupSettings(_Section):
    """What may be otherwise for groups whose name matches."""

    coding: CodingSettings = CodingSettings()
    channels: ChannelSettings = ChannelSettings()
    time: TimeSettings = TimeSettings()
    sensors: SensorSettings = SensorSettings()

    @field_validator("channels")
    @classmethod
    def _fit(cls, channels: ChannelSettings, before: ValidationInfo) -> ChannelSettings:
        window = before.data["coding"].window if "coding" in before.data else 1
        count = max(1, len(channels.names))
        if count * window > channels.max_frame:
            problem: LiteralString = (
                "expected at most max_frame = {most} numbers a frame, got {count} channels x "
                "coding.window = {window}; lower the window, or leave channels out"
            )
            raise _unfit(problem, most=channels.max_frame, count=count, window=window)
        return channels

    @property
    def most_channels(self) -> int:
        """The largest number of channels, so that a frame is no larger than it may be."""
        return self.channels.max_frame // self.coding.window


class GroupsSettings(_Section):
    """How many groups there may be, and for how long; and what is otherwise for some of them.

    Each further key is a pattern of groups' names, with what is otherwise for them.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, GroupSettings] = Field(init=False)

    max: int = live(
        20_000, ge=1, description="most groups of a partition; readings of others are dead letters"
    )
    max_waiting_bytes: int = live(
        268_435_456,
        ge=1,
        description="bytes of samples of a partition that wait at most; then the group with most "
        "of them is closed",
    )
    ttl: float = live(
        0.0, ge=0, description="seconds of silence after which a group is forgotten; 0: never"
    )

    @property
    def patterns(self) -> dict[str, GroupSettings]:
        """What is otherwise for groups whose name matches, in the file's order."""
        return self.__pydantic_extra__


class Settings(BaseSettings):
    """All settings, checked; sections and keys as in the file.

    Examples
    --------
    The first pattern that matches a group's name decides what is otherwise for it.

    >>> settings = Settings(groups={"press-*": {"coding": {"atoms": 8}}})
    >>> settings.for_group("press-7").coding.rule, settings.for_group("oven").coding.rule
    (Atoms(most=8), Tolerance(tolerance=0.1))
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        enable_decoding=False,
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    coding: CodingSettings = CodingSettings()
    channels: ChannelSettings = ChannelSettings()
    time: TimeSettings = TimeSettings()
    sensors: SensorSettings = SensorSettings()
    messages: MessageSettings = MessageSettings()
    codes: CodeSettings = CodeSettings()
    recovery: RecoverySettings = RecoverySettings()
    metrics: MetricSettings = MetricSettings()
    log: LogSettings = LogSettings()
    workers: WorkerSettings = WorkerSettings()
    groups: GroupsSettings = GroupsSettings()

    _of_pattern: dict[str, GroupSettings] = PrivateAttr(default_factory=dict)
    _of_group: dict[str, GroupSettings] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic passes it by name)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank the environment above what the file says."""
        given = _without_rivals(init_settings(), env_settings())
        return env_settings, InitSettingsSource(settings_cls, given)

    @model_validator(mode="after")
    def _merge(self) -> Self:
        """Work out what holds for each pattern; two sections may fail only together."""
        problems: list[InitErrorDetails] = []
        try:
            whole = GroupSettings(
                coding=self.coding, channels=self.channels, time=self.time, sensors=self.sensors
            )
        except ValidationError as problem:
            raise ValidationError.from_exception_data(
                type(self).__name__, _at((), problem)
            ) from None
        self._of_pattern[""] = whole
        for pattern, own in self.groups.patterns.items():
            try:
                self._of_pattern[pattern] = _merged(whole, own)
            except ValidationError as problem:
                problems += _at(("groups", pattern), problem)
        if problems:
            raise ValidationError.from_exception_data(type(self).__name__, problems)
        return self

    @property
    def folder(self) -> Path:
        """The recovery folder of this worker: of several, each has its own in the one named."""
        return worker_folder(self.recovery.folder, self.workers.index, self.workers.count)

    def for_group(self, name: str) -> GroupSettings:
        """What holds for a group: the first pattern in the file's order decides."""
        found = self._of_group.get(name)
        if found is None:
            if len(self._of_group) >= REMEMBERED:
                self._of_group.clear()
            matching = (pattern for pattern in self.groups.patterns if fnmatchcase(name, pattern))
            found = self._of_group[name] = self._of_pattern[next(matching, "")]
        return found

    def fingerprint(self, group: str) -> str:
        """Name the settings that a group's learned state depends on, 16 hex digits."""
        marked = dict(_learned(self.for_group(group)))
        return hashlib.sha256(json.dumps(marked, sort_keys=True).encode()).hexdigest()[:16]


def worker_folder(folder: Path, index: int, count: int) -> Path:
    """Name the recovery folder of a worker: a single one has the folder to itself.

    >>> worker_folder(Path("recovery"), 1, 3).name, worker_folder(Path("recovery"), 0, 1).name
    ('worker-00001', 'recovery')
    """
    return folder if count == 1 else folder / f"worker-{index:05d}"


def load(path: Path | None = None) -> Settings:
    """Read the file and the environment; without a file, the defaults and the environment.

    Raises
    ------
    SettingsError
        If anything is wrong, with a line for every problem: where, path, expected, got, remedy.
    """
    values = {} if path is None else _read(path)
    place = "settings" if path is None else path.name
    problems = [_unknown_variable(name) for name in _strangers()]
    try:
        settings = Settings(**values)
    except ValidationError as invalid:
        problems += [_told(place, problem) for problem in invalid.errors(include_url=False)]
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as missing:
        problem = (
            f"{path}: expected a settings file, got {missing.strerror}; name one that is there"
        )
    except (ValueError, RecursionError) as malformed:
        problem = f"{path}: expected TOML in UTF-8, got {malformed}; mend that place first"
    raise SettingsError(problem)


def _merged(whole: GroupSettings, own: GroupSettings) -> GroupSettings:
    """Lay a pattern's own keys over what holds for all."""
    sections = ("coding", "channels", "time", "sensors")
    laid = {name: _over(getattr(whole, name), getattr(own, name)) for name in sections}
    return GroupSettings.model_validate(laid)


def _over(whole: BaseModel, own: BaseModel) -> dict[str, Any]:
    above = own.model_dump(exclude_unset=True)
    return _without_rivals(whole.model_dump(exclude_unset=True), above) | above


def _without_rivals(values: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Leave out the coding rules, at any depth, that `above` has the rival of.

    >>> _without_rivals({"coding": {"tolerance": 0.2, "window": 1}}, {"coding": {"atoms": 3}})
    {'coding': {'window': 1}}
    """
    kept = {}
    for name, value in values.items():
        inner = above.get(name)
        if isinstance(value, dict):
            kept[name] = _without_rivals(value, inner) if isinstance(inner, dict) else value
        elif RIVALS.get(name) not in above:
            kept[name] = value
    return kept


def _learned(group: GroupSettings) -> Iterator[tuple[str, object]]:
    for section in (group.coding, group.channels, group.time):
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if field.json_schema_extra == {"mark": "learned"} and value != {}:  # says nothing
                yield f"{type(section).__name__}.{name}", value


def _at(place: tuple[str, ...], invalid: ValidationError) -> list[InitErrorDetails]:
    """Move problems to where in the settings they are."""
    return [
        InitErrorDetails(
            type=_unfit("{told}", told=problem["msg"]),
            loc=place + problem["loc"],
            input=problem["input"],
        )
        for problem in invalid.errors()
    ]


def _told(place: str, problem: ErrorDetails) -> str:
    """One line: where, path, expected, got, remedy."""
    loc = problem["loc"]
    where = f"{_variable(loc) or place}: {_path(loc)}: "
    if problem["type"] == "extra_forbidden":
        return where + f"unknown key; {_nearest(loc)}"
    if problem["type"] == "unfit":
        return where + problem["msg"]
    expected = re.sub(r"^\w+ should (be |have |match )?", "expected ", problem["msg"])
    section, keys = _section(loc)
    got = f"{problem['input']!r:.80}"
    if "security" in loc or loc == ("kafka",):  # that one may hold the other, as a text
        got = "a value that may be secret"
    remedy = section.model_fields[keys[0]].description if keys else "write it as a table"
    return where + f"{expected}, got {got}; {remedy}"


def _section(loc: tuple[int | str, ...]) -> tuple[type[BaseModel], list[str]]:
    """Follow a path to the innermost section; also the keys that are left of it."""
    section: type[BaseModel] = Settings
    keys = [str(key) for key in loc]
    if keys[:1] == ["groups"] and keys[1:] and keys[1] not in GroupsSettings.model_fields:
        section, keys = GroupSettings, keys[2:]
    while keys and keys[0] in section.model_fields:
        inner = section.model_fields[keys[0]].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        section, keys = inner, keys[1:]
    return section, keys


def _nearest(loc: tuple[int | str, ...]) -> str:
    section, keys = _section(loc)
    near = get_close_matches(keys[0], section.model_fields, n=1)
    if near:
        return f"did you mean {_path((*loc[:-1], near[0]))}?"
    elsewhere = [
        f"{name}.{key}"
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
        if key == keys[0]
    ]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return f"take one of {', '.join(section.model_fields)}"


def _path(loc: tuple[int | str, ...]) -> str:
    """Write a path as TOML does.

    >>> _path(("groups", "press-*", "coding", "atoms")), _path(("channels", "names", 1))
    ('groups."press-*".coding.atoms', 'channels.names[1]')
    """
    path = ""
    for key in loc:
        bare = isinstance(key, str) and key.replace("-", "").replace("_", "").isalnum()
        shown = f"[{key}]" if isinstance(key, int) else f".{key if bare else json.dumps(key)}"
        path += shown
    return path.lstrip(".")


def _variable(loc: tuple[int | str, ...]) -> str | None:
    """Name the environment variable that a value came from, if it did."""
    name = PREFIX + DELIMITER.join(str(key) for key in loc).upper()
    names = {given.upper() for given in os.environ}
    return f"environment: {name}" if name in names else None


def _strangers() -> list[str]:
    """Variables that look like ours and belong to no section."""
    return sorted(
        name
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and name[len(PREFIX) :].split(DELIMITER)[0].lower() not in Settings.model_fields
    )


def _unknown_variable(name: str) -> str:
    known = [
        PREFIX + DELIMITER.join((section, key)).upper()
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    ]
    near = get_close_matches(name.upper(), known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"unset it; ours are like {known[0]}"
    return f"environment: {name}: unknown variable; {remedy}"
