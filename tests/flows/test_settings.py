import os
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from flows.settings import Settings, SettingsError, load
from oodl.coding import Atoms, Tolerance


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("OODL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "oodl.toml"


def problems(path: Path | None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path)
    return str(caught.value).splitlines()


def sections(model: type[BaseModel] = Settings) -> dict[str, type[BaseModel]]:
    annotated = {name: field.annotation for name, field in model.model_fields.items()}
    return {
        name: kind
        for name, kind in annotated.items()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    }


def test_without_a_file_everything_has_the_default_that_the_guide_names() -> None:
    settings = load()
    assert settings.kafka.bootstrap == "127.0.0.1:9092"
    assert settings.topics.dead_letters == "sensors.dead-letters"
    assert settings.coding.rule == Tolerance(0.1)
    assert settings.channels.names == ()
    assert settings.codes.layout == "reading"
    assert settings.recovery.folder == Path("recovery")
    assert (settings.metrics.port, settings.metrics.groups) == (9464, 1000)


def test_every_key_says_what_it_means_and_what_a_change_does() -> None:
    for section, model in sections().items():
        assert model.__doc__
        for key, field in model.model_fields.items():
            assert field.description, f"{section}.{key}"
            assert field.json_schema_extra in ({"mark": "live"}, {"mark": "learned"}), key


def test_a_file_is_read_with_all_its_sections(file: Path) -> None:
    # given
    file.write_text("""
        [kafka]
        bootstrap = "kafka-1:9092,kafka-2:9092"
        [kafka.security]
        security.protocol = "SASL_SSL"
        "sasl.username" = "oodl"
        enable.ssl.certificate.verification = true
        socket.timeout.ms = 6000
        [coding]
        atoms = 8
        [channels]
        names = ["temperature", "vibration"]
        [codes]
        layout = "block"
        [time]
        max_ahead = 60
    """)
    # when
    settings = load(file)
    # then, options of librdkafka under their own names
    assert settings.kafka.security == {
        "security.protocol": "SASL_SSL",
        "sasl.username": "oodl",
        "enable.ssl.certificate.verification": "true",
        "socket.timeout.ms": "6000",
    }
    assert settings.coding.rule == Atoms(8)
    assert settings.channels.names == ("temperature", "vibration")
    assert settings.codes.layout == "block"
    assert settings.time.max_ahead == 60.0


def test_every_problem_is_named_at_once_with_path_got_and_remedy(file: Path) -> None:
    # given a file in which nearly everything is wrong
    file.write_text("""
        [kafka]
        bootstrap = ""
        grup = "x"
        [kafka.security]
        "sasl.password" = ["hunter2"]
        [topics]
        readings = "a b"
        dictionaries = "sensors.dead-letters"
        [topic]
        [coding]
        tolerance = -1
        window = 257
        [channels]
        names = ["a", 3]
        [codes]
        layout = "blok"
        [recovery]
        delivery = "once"
        [metrics]
        port = 99999
        tolerance = 3
        [time]
        max_ahead = nan
        [groups."press-*".coding]
        tolerance = 0.2
        atoms = 3
        atms = 4
    """)
    # when it is loaded, then each problem has a line
    told = problems(file)
    expected = [
        "oodl.toml: kafka.bootstrap: expected at least 1 character, got ''; brokers to start from",
        "oodl.toml: kafka.grup: unknown key; did you mean kafka.group?",
        'oodl.toml: kafka.security."sasl.password": expected a valid string, got a value that '
        "may be secret; options of librdkafka by their own names; secrets also by <name>.file",
        "oodl.toml: topics.readings: expected pattern '^[a-zA-Z0-9._-]{1,249}$', got 'a b'; "
        "topic that readings come from",
        "oodl.toml: topics.dead_letters: expected four different topics, got "
        "sensors.dead-letters twice; rename one",
        "oodl.toml: topic: unknown key; did you mean topics?",
        "oodl.toml: coding.tolerance: expected greater than 0, got -1; "
        "largest error of a reading, in channel standard deviations",
        "oodl.toml: coding.window: expected less than or equal to 256, got 257; "
        "readings that are coded together, as a frame",
        "oodl.toml: channels.names[1]: expected a valid string, got 3; "
        "channels of a reading, in order; empty: as the readings have them",
        "oodl.toml: codes.layout: expected 'reading' or 'block', got 'blok'; "
        "a message a reading, or one for all that were coded together",
        "oodl.toml: recovery.delivery: expected 'at-least-once' or 'exactly-once', got 'once'; "
        "what is promised about each output",
        "oodl.toml: metrics.port: expected less than or equal to 65535, got 99999; "
        "port to listen at; 0: any free one",
        "oodl.toml: metrics.tolerance: unknown key; did you mean coding.tolerance?",
        "oodl.toml: time.max_ahead: expected a finite number, got nan; "
        "seconds a reading may be ahead before a second must confirm it",
        'oodl.toml: groups."press-*".coding.tolerance: expected tolerance or atoms, got both; '
        "leave one out",
        'oodl.toml: groups."press-*".coding.atms: unknown key; '
        'did you mean groups."press-*".coding.atoms?',
    ]
    assert sorted(told) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kafka = 3", "oodl.toml: kafka: expected a valid dictionary or instance of KafkaSettings"),
        ("[kafka]\nfrobnicate = 3", "oodl.toml: kafka.frobnicate: unknown key; take one of boot"),
        ("[kafka", "oodl.toml: expected TOML in UTF-8, got Expected ']'"),
        (
            "[groups.a.codin]",
            "oodl.toml: groups.a.codin: unknown key; did you mean groups.a.coding?",
        ),
        ("[groups.a]\nkafka = 3", "oodl.toml: groups.a.kafka: unknown key; take one of coding"),
        ("[coding]\ntolerance = 1e400", "oodl.toml: coding.tolerance: expected "),
        ("[channels]\nnames = ['a', 'a']", "oodl.toml: channels.names: expected names that differ"),
        ("[channels]\nnames = ['']", "oodl.toml: channels.names: expected names that differ"),
        ("[channels]\nmax_frame = 257", "oodl.toml: channels.max_frame: expected less than or eq"),
        (
            "[coding]\nwindow = 128\n[channels]\nnames = ['a', 'b', 'c']",
            "oodl.toml: channels: expected at most max_frame = 256 numbers a frame, got 3 channels "
            "x coding.window = 128; lower the window, or leave channels out",
        ),
        (
            "[coding]\nwindow = 9\n[channels]\nmax_frame = 8",
            "oodl.toml: channels: expected at most",
        ),
        (
            "[coding]\nwindow = 128\n[groups.'a*'.channels]\nnames = ['a', 'b', 'c']",
            'oodl.toml: groups."a*".channels: expected at most max_frame = 256 numbers',
        ),
    ],
)
def test_a_single_problem_is_named(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    (told,) = problems(file)
    assert told.replace(f"{file.parent}/", "").startswith(problem)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (told,) = problems(tmp_path / "none.toml")
    assert told.endswith("none.toml: expected a settings file, got No such file or directory; "
                         "name one that is there")  # fmt: skip


def test_a_file_that_is_not_utf8_is_named(file: Path) -> None:
    file.write_bytes(b"[kafka]\nbootstrap = '\xff'")
    (told,) = problems(file)
    assert "expected TOML in UTF-8" in told


@pytest.mark.parametrize("names", [[f"c{i}" for i in range(257)], [f"c{i}" for i in range(3)]])
def test_a_frame_larger_than_its_bound_is_refused_at_start(file: Path, names: list[str]) -> None:
    most = min(len(names) - 1, 256)
    file.write_text(f"[channels]\nnames = {names}\nmax_frame = {most}")
    (told,) = problems(file)
    assert f"expected at most max_frame = {most} channels, got {len(names)}" in told


def test_sections_that_are_wrong_only_together_are_told_where_they_meet(file: Path) -> None:
    # given names that fit on their own, and a bound for all groups that is smaller
    file.write_text("""
        [channels]
        max_frame = 1
        [groups."press-*".channels]
        names = ["a", "b"]
        [groups."oven".channels]
        names = ["a", "b", "c"]
    """)
    # then both groups are told
    assert problems(file) == [
        f'oodl.toml: groups.{pattern}.channels.names: expected at most max_frame = 1 channels, '
        f"got {got}; leave some out"
        for pattern, got in (('"press-*"', 2), ("oven", 3))
    ]  # fmt: skip


def test_the_environment_outranks_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given both
    file.write_text('[kafka]\nbootstrap = "file:9092"\ngroup = "file"')
    monkeypatch.setenv("OODL_KAFKA__BOOTSTRAP", "environment:9092")
    monkeypatch.setenv("OODL_KAFKA__SECURITY__SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("OODL_CODING__TOLERANCE", "0.25")
    monkeypatch.setenv("OODL_CHANNELS__NAMES", "temperature, vibration")
    # when they are loaded
    settings = load(file)
    # then
    assert settings.kafka.bootstrap == "environment:9092"
    assert settings.kafka.group == "file"
    assert settings.kafka.security == {"sasl.password": "hunter2"}
    assert settings.coding.tolerance == 0.25
    assert settings.channels.names == ("temperature", "vibration")


def test_a_problem_of_the_environment_names_the_variable(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[metrics]\nprt = 3")
    monkeypatch.setenv("OODL_METRICS__PORT", "many")
    monkeypatch.setenv("OODL_METRICS__GRUPS", "3")
    monkeypatch.setenv("OODL_KAFAK__BOOTSTRAP", "x")
    monkeypatch.setenv("OODL_GROUPS", "x")
    assert {told.partition("; ")[0] for told in problems(file)} == {
        "environment: OODL_KAFAK__BOOTSTRAP: unknown variable",
        "environment: OODL_METRICS__PORT: metrics.port: expected a valid integer, unable to parse "
        "string as an integer, got 'many'",
        "environment: OODL_METRICS__GRUPS: metrics.grups: unknown key",
        "oodl.toml: metrics.prt: unknown key",
        "environment: OODL_GROUPS: groups: expected a valid dictionary or instance of "
        "GroupsSettings, got 'x'",
    }


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("OODL_KAFKA_BOOTSTRAP", "OODL_KAFKA__BOOTSTRAP"),
        ("OODL_DEAD_LETTERS", "OODL_TOPICS__DEAD_LETTERS"),
        ("OODL_KAFAK__BOOTSTRAP", "OODL_KAFKA__BOOTSTRAP"),
        ("oodl_metrics_port", "OODL_METRICS__PORT"),
    ],
)
def test_a_variable_that_would_be_ignored_is_told_with_the_nearest(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "3")
    assert problems(None) == [f"environment: {name}: unknown variable; did you mean {near}?"]


def test_a_variable_that_is_near_to_none_is_told_what_ours_are_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OODL_X", "3")
    assert problems(None) == [
        "environment: OODL_X: unknown variable; unset it; ours are like OODL_KAFKA__BOOTSTRAP"
    ]


@pytest.mark.parametrize(
    ("file_says", "variable", "rule"),
    [
        ("tolerance = 0.2", "OODL_CODING__ATOMS", Atoms(3)),
        ("atoms = 8", "OODL_CODING__TOLERANCE", Tolerance(3)),
        ("atoms = 8", "OODL_CODING__ATOMS", Atoms(3)),
    ],
)
def test_a_rule_of_the_environment_takes_the_place_of_that_of_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, file_says: str, variable: str, rule: object
) -> None:
    file.write_text(f"[coding]\n{file_says}\n[groups.oven.coding]\n{file_says}")
    monkeypatch.setenv(variable, "3")
    monkeypatch.setenv(variable.replace("OODL_", "OODL_GROUPS__OVEN__"), "3")
    settings = load(file)
    assert settings.coding.rule == settings.for_group("oven").coding.rule == rule


def test_both_rules_in_the_environment_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODL_CODING__ATOMS", "3")
    monkeypatch.setenv("OODL_CODING__TOLERANCE", "0.2")
    (told,) = problems(None)
    assert "expected tolerance or atoms, got both" in told


def test_a_secret_is_not_shown_with_the_settings() -> None:
    settings = Settings.model_validate({"kafka": {"security": {"sasl.password": "hunter2"}}})
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        "kafka = 'hunter2'",
        "[kafka]\nsecurity = 'hunter2'",
        "[kafka]\nsecurity = ['hunter2']",
        "[kafka.security]\nsasl.password = ['hunter2']",
        "[kafka.security]\nsasl.password.file = 'hunter2'",
        "[kafka.security]\nsasl.password = 'hunter2'\nsasl_password.file = 'hunter2'",
        "[kafka.security]\nsasl.password = hunter2",
        "[kafka.security]\nsasl.password = 'hunter2",
        "[kafka.security]\nsasl.password = 'hunter2'\nsasl.password = 'hunter2'",
        "[kafka]\nsasl.password = 'hunter2'",
        "[sasl]\npassword = 'hunter2'",
    ],
)
def test_no_problem_repeats_a_secret(file: Path, text: str) -> None:
    file.write_text(text)
    assert problems(file)
    assert not any("hunter2" in told for told in problems(file))


@pytest.mark.parametrize(
    "name",
    [
        "OODL_KAFKA",
        "OODL_KAFKA__SECURITY",
        "OODL_KAFKA__SASL_PASSWORD",
        "OODL_KAFKA_SECURITY_SASL_PASSWORD",
        "OODL_KAFKA__SECURITY__SASL_PASSWORD_FILE",
    ],
)
def test_no_problem_of_the_environment_repeats_a_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, '{"security": {"sasl.password": "hunter2"}}')
    assert problems(None)
    assert not any("hunter2" in told for told in problems(None))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_may_stand_in_a_file_of_its_own(
    file: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    own = file.with_name("password")
    own.write_text(f" hunter 2 {end}")
    file.write_text(f"[kafka.security]\nsasl.password.file = '{own}'")
    assert load(file).kafka.security == {"sasl.password": " hunter 2 "}

    file.write_text("")
    monkeypatch.setenv("OODL_KAFKA__SECURITY__SASL_PASSWORD_FILE", str(own))
    assert load(file).kafka.security == {"sasl.password": " hunter 2 "}


@pytest.mark.parametrize(
    ("content", "got"), [(None, "No such file or directory"), (b"\n", "an empty one"),
                         (b"\xff", "other bytes")],
)  # fmt: skip
def test_a_file_that_has_no_secret_is_told(file: Path, content: bytes | None, got: str) -> None:
    own = file.with_name("password")
    if content is not None:
        own.write_bytes(content)
    file.write_text(f"[kafka.security]\nssl.key.password.file = '{own}'")
    assert problems(file) == [
        "oodl.toml: kafka.security: ssl.key.password.file: expected a file of UTF-8, "
        f"got {got}; name another"
    ]


def test_the_first_pattern_that_matches_decides(file: Path) -> None:
    # given patterns that overlap
    file.write_text("""
        [coding]
        tolerance = 0.5
        [channels]
        grow = 7
        [groups."press-?".coding]
        atoms = 3
        [groups."press-*".coding]
        tolerance = 0.2
        [groups."press-*".channels]
        names = ["a"]
        [groups."Oven".time]
        accept_after = 60
    """)
    settings = load(file)
    # then the first one counts, with the rest as for all
    assert settings.for_group("press-7").coding.rule == Atoms(3)
    assert settings.for_group("press-7").channels.names == ()
    assert settings.for_group("press-77").coding.rule == Tolerance(0.2)
    assert settings.for_group("press-77").channels.names == ("a",)
    assert settings.for_group("press-77").channels.grow == 7
    assert settings.for_group("Oven").coding.rule == Tolerance(0.5)
    assert settings.for_group("Oven").time.accept_after == 60.0
    assert settings.for_group("oven").time.accept_after == 86400.0


def test_a_pattern_may_take_back_the_rule_for_all() -> None:
    settings = Settings.model_validate(
        {"coding": {"atoms": 8}, "groups": {"a": {"coding": {"tolerance": 0.3}}}}
    )
    assert settings.for_group("a").coding.rule == Tolerance(0.3)
    assert settings.for_group("b").coding.rule == Atoms(8)


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(ValidationError):
        load().kafka.bootstrap = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [{"coding": {"tolerance": 0.2}}, {"coding": {"atoms": 3}}, {"channels": {"grow": 5}},
     {"time": {"max_ahead": 5}}, {"metrics": {"port": 0}}],
    ids=str,
)  # fmt: skip
def test_what_is_live_leaves_the_fingerprint(change: dict[str, object]) -> None:
    assert Settings.model_validate(change).fingerprint("a") == load().fingerprint("a")


@pytest.mark.parametrize(
    "change", [{"channels": {"names": ["a"]}}, {"channels": {"max_frame": 9}}], ids=str
)
def test_what_is_learned_changes_the_fingerprint(change: dict[str, object]) -> None:
    changed = Settings.model_validate({"groups": {"press-*": change}})
    assert changed.fingerprint("press-7") != load().fingerprint("press-7")
    assert changed.fingerprint("oven") == load().fingerprint("oven")
    assert len(changed.fingerprint("oven")) == 16


def test_workers_share_the_partitions_each_with_a_folder_of_its_own() -> None:
    three = [Settings(workers={"index": index, "count": 3}) for index in range(3)]

    assert [[*each.workers.own(5)] for each in three] == [[0, 3], [1, 4], [2]]
    assert [each.folder.name for each in three] == ["worker-00000", "worker-00001", "worker-00002"]
    assert (Settings().folder, [*Settings().workers.own(3)]) == (Path("recovery"), [0, 1, 2])


def test_a_worker_counts_from_0(file: Path) -> None:
    file.write_text("[workers]\nindex = 2\ncount = 2\n")
    with pytest.raises(SettingsError, match=r"workers.index: expected less than workers.count = 2"):
        load(file)
