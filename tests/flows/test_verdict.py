import msgspec
import pytest

from flows.tools.verdict import Verdict

FIELDS = [
    "seconds", "first_code_seconds", "groups", "readings", "codes", "dead_letters", "decoded",
    "lost", "largest_error", "tolerance", "versions", "share_version_0", "fleet_density",
    "fleet_density_identity", "fleet_planted_distance", "recomputed_error_difference",
]  # fmt: skip

GOOD = Verdict(
    seconds=60.0,
    first_code_seconds=1.5,
    groups=10,
    readings=20_000,
    codes=20_000,
    dead_letters=0,
    decoded=20_000,
    lost=0,
    largest_error=0.1,
    tolerance=0.1,
    versions=30,
    share_version_0=0.5,
    fleet_density=0.3,
    fleet_density_identity=0.5,
    fleet_planted_distance=0.05,
    recomputed_error_difference=1e-4,
)


def test_a_run_at_the_very_limits_keeps_every_rule() -> None:
    assert list(GOOD.failures()) == []


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("lost", 1),
        ("largest_error", 0.1001),
        ("share_version_0", 0.51),
        ("fleet_density", 0.301),
        ("recomputed_error_difference", 1.1e-4),
        ("fleet_planted_distance", 0.051),
        ("largest_error", float("nan")),
    ],
)
def test_a_rule_that_is_not_kept_is_named_with_what_was_expected(name: str, figure: float) -> None:
    (failure,) = msgspec.structs.replace(GOOD, **{name: figure}).failures()

    assert failure.startswith(f"{name}: expected at most ")
    assert failure.endswith(f"got {figure:.6g}")


def test_every_rule_that_is_not_kept_is_named() -> None:
    bad = msgspec.structs.replace(GOOD, lost=3, fleet_planted_distance=0.4)

    assert [failure.partition(":")[0] for failure in bad.failures()] == [
        "lost",
        "fleet_planted_distance",
    ]


def test_a_run_too_short_to_tell_keeps_the_rules_it_can_be_asked_about() -> None:
    unknown = dict.fromkeys(
        ("first_code_seconds", "share_version_0", "fleet_density", "fleet_density_identity",
         "fleet_planted_distance")
    )  # fmt: skip

    assert list(msgspec.structs.replace(GOOD, **unknown).failures()) == []


def test_the_verdict_is_one_json_object_with_these_fields() -> None:
    assert list(msgspec.json.decode(msgspec.json.encode(GOOD))) == FIELDS
