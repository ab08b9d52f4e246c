import itertools

import numpy as np
import numpy.typing as npt
import pytest

from flows.tools.fleet import DENSITY, Fleet, Source
from oodl.coding import Tolerance, Version
from oodl.encoding import encode


def taken(source: Source, rows: int) -> npt.NDArray[np.float64]:
    readings = [source.draw() for _ in range(rows)]
    return np.array([list(one.values()) if isinstance(one, dict) else one for one in readings])


@pytest.fixture(params=["press-1", "vibration-1"])
def source(request: pytest.FixtureRequest) -> Source:
    return Fleet(seed=3).sources[request.param]


def test_the_fleet_is_four_machines_of_sixteen_channels_and_two_sensors_of_32_samples() -> None:
    readings = dict(Fleet().readings())

    assert {group: len(values) for group, values in readings.items()} == {
        **{f"press-{number}": 16 for number in range(1, 5)},
        **{f"vibration-{number}": 32 for number in range(1, 3)},
    }
    assert isinstance(readings["press-1"], dict)
    assert isinstance(readings["vibration-1"], list)


def test_the_same_seed_gives_the_same_readings_and_another_one_others() -> None:
    first, again, other = (
        list(itertools.chain.from_iterable(fleet.readings() for _ in range(3)))
        for fleet in (Fleet(seed=7), Fleet(seed=7), Fleet(seed=8))
    )

    assert first == again
    assert all(one != another for one, another in zip(first, other, strict=True))


def test_another_machine_leaves_the_others_as_they_were() -> None:
    few, many = dict(Fleet(machines=2).readings()), dict(Fleet(machines=9).readings())

    assert few.keys() < many.keys()
    assert all(many[group] == values for group, values in few.items())


def test_every_source_has_a_dictionary_and_units_of_its_own() -> None:
    sources = Fleet().sources.values()

    for one, another in itertools.combinations(sources, 2):
        if one.channels == another.channels:
            assert not np.allclose(one.dictionary(one.channels), another.dictionary(one.channels))
            assert not np.allclose(one.sensors.mean, another.sensors.mean)


def test_standardising_takes_offset_and_gain_away_and_leaves_the_planted_geometry(
    source: Source,
) -> None:
    readings = taken(source, 4000)

    deviations = (readings - readings.mean(axis=0)) / readings.std(axis=0)
    in_planted = np.abs(deviations @ source.dictionary(source.channels))

    # A deviation has power 1, so the codes that are there have power 1 / density.
    there = in_planted > 0.1 / np.sqrt(DENSITY)
    assert there.mean() == pytest.approx(DENSITY, abs=0.03)
    assert np.mean(np.abs(deviations) > 0.1 / np.sqrt(DENSITY)) > 3 * there.mean()


def test_the_planted_dictionary_holds_readings_within_the_tolerance_with_few_atoms(
    source: Source,
) -> None:
    readings = taken(source, 500)
    planted = Version(
        number=1,
        channels=source.channels or tuple(map(str, range(readings.shape[1]))),
        window=1,
        mean=readings.mean(axis=0),
        scale=readings.std(axis=0),
        dictionary=source.dictionary(source.channels).astype(np.float32),
        usual=3,
        limit=1.0,
        restart=False,
    )

    (codes,) = encode(planted, Tolerance(0.1), readings, np.arange(500), np.zeros(500))

    assert codes.errors.max() <= 0.1
    assert len(codes.atoms) / readings.size == pytest.approx(DENSITY, abs=0.03)


def test_the_dictionary_s_rows_follow_the_order_of_the_channels_asked_for() -> None:
    source = Fleet().sources["press-1"]

    backwards = source.dictionary(source.channels[::-1])

    assert np.array_equal(backwards, source.dictionary(source.channels)[::-1])
