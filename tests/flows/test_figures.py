import numpy as np
import pytest

from flows.tools.figures import Figures, LastQuarter
from flows.tools.fleet import Fleet, Source
from flows.tools.ledger import Ledger
from oodl.coding import Tolerance
from tests.flows import short_run


def figures_of(*sources: Source, readings: int = 400, known: bool = True) -> Figures:
    figures = Figures({source.group: source for source in sources if known}, Tolerance(0.1))
    for source in sources:
        figures.add(short_run.run(source, readings).enter(Ledger()))
    return figures


@pytest.fixture
def fleet() -> dict[str, Source]:
    return Fleet(seed=2).sources


def test_the_last_quarter_is_the_mean_of_the_last_quarter_of_any_values() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([0.1, 0.2, 0.7], 1003).tolist()
    quarter = LastQuarter()

    for count, value in enumerate(values, start=1):
        quarter.add(value)
        total, counted = quarter.total()
        kept = values[count * 3 // 4 : count]
        assert counted == len(kept)
        assert total == pytest.approx(sum(kept))


def test_a_group_s_line_follows_its_codes(fleet: dict[str, Source]) -> None:
    line = figures_of(fleet["press-1"]).groups["press-1"]

    assert line.readings == 400
    assert line.version >= 1
    assert 0 < line.error <= 0.1
    assert 0 < line.density < 1
    assert line.surprise is not None
    assert line.distance is not None


def test_what_is_not_of_the_fleet_has_no_distance_and_is_in_no_sum(
    fleet: dict[str, Source],
) -> None:
    figures = figures_of(fleet["press-1"], known=False)

    assert figures.groups["press-1"].distance is None
    assert figures.density is figures.density_of_identity is figures.planted_distance is None


def test_version_0_counts_alike_for_the_dictionary_and_the_identity(
    fleet: dict[str, Source],
) -> None:
    figures = figures_of(fleet["press-1"], readings=60)

    assert figures.groups["press-1"].version == 0
    assert figures.density == figures.density_of_identity == 1.0


def test_the_identity_needs_as_many_atoms_as_values_stand_out_of_the_tolerance(
    fleet: dict[str, Source],
) -> None:
    figures = figures_of(fleet["vibration-1"])

    assert figures.density is not None
    assert figures.density_of_identity is not None
    assert 0.5 < figures.density_of_identity <= 1.0
    assert figures.present == 400 * 32


def test_the_distance_falls_as_the_dictionary_is_found(fleet: dict[str, Source]) -> None:
    short, long = (figures_of(fleet["press-3"], readings=many) for many in (60, 4000))

    assert short.planted_distance is not None
    assert long.planted_distance is not None
    assert long.planted_distance < 0.2 < short.planted_distance


def test_the_mean_distance_weighs_every_reading_of_the_last_quarter_alike(
    fleet: dict[str, Source],
) -> None:
    one, other = (figures_of(fleet[name], readings=60) for name in ("press-1", "press-2"))
    both = Figures(fleet, Tolerance(0.1))
    both.add(short_run.run(Fleet(seed=2).sources["press-1"], 60).enter(Ledger()))
    both.add(short_run.run(Fleet(seed=2).sources["press-2"], 30).enter(Ledger()))

    assert one.planted_distance is not None
    assert other.planted_distance is not None
    assert both.planted_distance == pytest.approx(
        (15 * one.planted_distance + 8 * other.planted_distance) / 23
    )
