import doctest
import pickle
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pytest

from tests.extras import require

require("river", "pandas", "sklearn")

import pandas as pd
from river import checks, preprocessing

from oodl.bridges import river as bridge
from oodl.bridges.river import OnlineDictionaryTransformer
from oodl.contrast import Array
from oodl.distance import distance
from oodl.errors import ValueFault
from oodl.synthetic import Planted, random_orthogonal

N = 8
CASES = [OnlineDictionaryTransformer(), OnlineDictionaryTransformer(max_features=2)]

Reading = dict[Hashable, Any]


def names(count: int = N) -> list[str]:
    return [f"sensor {place}" for place in range(count)]


def frame(Y: Array) -> pd.DataFrame:
    return pd.DataFrame(Y, columns=names(Y.shape[1]))


def planted(seed: int = 0) -> tuple[Planted, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return Planted(random_orthogonal(N, rng), density=0.2, snr_db=20), rng


def learned(max_features: int = 2 * N, rows: int = 2000) -> OnlineDictionaryTransformer:
    source, rng = planted()
    model = OnlineDictionaryTransformer(max_features)
    model.learn_many(frame(source.draw(rows, rng)))
    return model


# What river asks of every estimator


@pytest.mark.parametrize(
    ("case", "check"),
    [(case, check) for case in CASES for check in checks.yield_checks(case)],
    ids=lambda value: getattr(value, "__name__", None) or repr(value).replace("\n", ""),
)
def test_every_check_passes(
    case: OnlineDictionaryTransformer, check: Callable[[OnlineDictionaryTransformer], None]
) -> None:
    check(case.clone())


def test_no_check_is_skipped() -> None:
    assert OnlineDictionaryTransformer()._unit_test_skips() == set()


def test_the_examples_of_the_docstrings_run() -> None:
    failed, attempted = doctest.testmod(bridge)
    assert attempted > 0
    assert failed == 0


# Learning


def test_it_finds_the_dictionary_behind_scaled_readings() -> None:
    # given readings far from zero, one at a time
    source, rng = planted()
    model = preprocessing.StandardScaler() | OnlineDictionaryTransformer(N)
    # when
    for reading in frame(500 + 20 * source.draw(3000, rng)).to_dict("records"):
        model.learn_one(reading)
    # then
    found = model["OnlineDictionaryTransformer"].model.dictionary_
    assert distance(found, source.dictionary) < 0.02


def test_many_readings_are_the_same_as_one_at_a_time() -> None:
    # given
    source, rng = planted()
    X = frame(source.draw(300, rng))
    many, one = OnlineDictionaryTransformer(N), OnlineDictionaryTransformer(N)
    # when
    many.learn_many(X)
    for reading in X.to_dict("records"):
        one.learn_one(reading)
    # then
    np.testing.assert_array_equal(many.model.dictionary_, one.model.dictionary_)
    assert many.places == one.places


def test_the_order_inside_a_reading_does_not_matter() -> None:
    one, other = OnlineDictionaryTransformer(), OnlineDictionaryTransformer()
    one.learn_one({"b": 1.0, "a": 2.0, 3: 4.0})
    other.learn_one({3: 4.0, "a": 2.0, "b": 1.0})
    assert list(one.places) == list(other.places) == ["a", "b", 3]


# Features that appear


def test_a_new_feature_gets_an_atom_of_its_own_and_changes_no_other() -> None:
    # given
    model = learned()
    before = model.atoms
    # when
    model.learn_one({"late": 1.0})
    # then
    after = model.atoms
    assert list(after) == list(range(N + 1))
    assert after.pop(N) == pytest.approx(dict.fromkeys(names(), 0.0) | {"late": 1.0}, abs=1e-12)
    for code, atom in after.items():
        assert atom == pytest.approx(before[code] | {"late": 0.0}, abs=1e-12)


def test_what_was_learned_outlasts_a_new_feature() -> None:
    # given
    source, rng = planted()
    model = learned(rows=4000)
    # when a feature appears that has nothing to do with the others
    late = Planted(np.eye(1), density=0.2).draw(40 * N, rng)
    farthest = 0.0
    for Y in np.split(np.c_[source.draw(40 * N, rng), late], 40):
        model.learn_many(frame(Y))
        found = model.model.dictionary_[:N, :N]
        farthest = max(farthest, distance(found, source.dictionary))
    # then there is no moment of forgetting
    assert farthest < 0.01


def test_a_feature_that_appears_is_learned_like_the_others() -> None:
    # given a sensor that was absent for a long time
    source, rng = planted()
    model = OnlineDictionaryTransformer(2 * N)
    model.learn_many(frame(source.draw(500, rng)[:, : N - 1]))
    # when
    model.learn_many(frame(source.draw(6000, rng)))
    # then
    found = model.model.dictionary_[:N, :N]
    assert distance(found, source.dictionary) < 0.03


def test_features_beyond_the_last_place_are_left_out() -> None:
    # given
    model = OnlineDictionaryTransformer(max_features=2)
    model.learn_one({"a": 1.0, "b": 2.0})
    before = model.transform_one({"a": 1.0, "b": 2.0})
    # when
    model.learn_one({"c": 3.0})
    # then
    assert list(model.places) == ["a", "b"]
    assert model.transform_one({"a": 1.0, "b": 2.0, "c": 3.0}).keys() == before.keys()
    assert model.transform_one({"c": 3.0}) == {0: 0.0, 1: 0.0}


def test_any_number_of_new_names_fits_in_the_same_memory() -> None:
    # given
    model = OnlineDictionaryTransformer(max_features=4)
    model.learn_one({f"name {number}": 1.0 for number in range(4)})
    for _ in range(100):
        model.learn_one({"name 0": 1.0})
    before = len(pickle.dumps(model))
    # when
    for number in range(100):
        model.learn_one({f"other {number}": 1.0})
    # then
    waiting = 2 * 4 * 4 * 8
    assert len(pickle.dumps(model)) <= before + waiting


def test_coding_gives_no_places() -> None:
    model = learned()
    codes = model.transform_one({"sensor 0": 1.0})
    assert model.transform_one({"sensor 0": 1.0, "unheard of": 9.0}) == codes
    assert "unheard of" not in model.places


# Features that vanish


@pytest.mark.parametrize("missing", [None, np.nan, np.inf, -np.inf, 0, 0.0, False])
def test_what_is_missing_counts_as_zero(missing: float | None) -> None:
    # given
    model, same = learned(), learned()
    left: Reading = dict.fromkeys(names()[1:], 1.0)
    hole: Reading = {"sensor 0": missing}
    # when
    for _ in range(2 * N):
        model.learn_one(hole | left)
        same.learn_one(left)
    # then
    assert model.transform_one(hole | left) == same.transform_one(left)
    assert model.atoms == same.atoms


def test_holes_in_a_frame_count_as_zero() -> None:
    model = learned()
    X = pd.DataFrame({"sensor 0": [1.0, None], "sensor 1": pd.array([None, 2], dtype="Int64")})
    codes = model.transform_many(X)
    assert codes.iloc[0].to_dict() == pytest.approx(model.transform_one({"sensor 0": 1.0}))
    assert codes.iloc[1].to_dict() == pytest.approx(model.transform_one({"sensor 1": 2.0}))


# Codes


def test_codes_are_products_with_the_atoms() -> None:
    model = learned()
    reading: Reading = dict(zip(names(), np.random.default_rng(1).standard_normal(N), strict=True))
    for code, value in enumerate(model.transform_one(reading).values()):
        atom = model.atoms[code]
        assert value == pytest.approx(sum(atom[name] * reading[name] for name in names()))


def test_a_frame_of_codes_keeps_the_index() -> None:
    X = frame(np.ones((3, N))).set_index(pd.Index([7, 8, 9]))
    codes = learned().transform_many(X)
    assert list(codes.columns) == list(range(N))
    assert list(codes.index) == [7, 8, 9]


def test_before_it_has_learned_there_are_no_codes() -> None:
    model = OnlineDictionaryTransformer()
    assert model.transform_one({"a": 1.0}) == {}
    assert model.transform_many(frame(np.ones((3, 2)))).shape == (3, 0)


def test_a_clone_has_the_choices_and_nothing_learned() -> None:
    copy = learned(max_features=11).clone()
    assert copy.max_features == 11
    assert copy.places == {}
    np.testing.assert_array_equal(copy.model.dictionary_, np.eye(11))


# What it refuses


@pytest.mark.parametrize("bad", ["warm", [1.0], {}, 1j])
def test_what_is_no_number_is_refused_and_takes_no_place(bad: object) -> None:
    model = OnlineDictionaryTransformer()
    for refuse in (model.learn_one, model.transform_one):
        with pytest.raises(ValueFault, match=r"reading: expected numbers or None, got .*select"):
            refuse({"a": bad})
    assert model.places == {}


def test_a_number_too_large_to_learn_from_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueFault, match="scale large readings down"):
        OnlineDictionaryTransformer().learn_one({"a": 1e200})


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueFault, match="max_features: expected at least 1, got 0"):
        OnlineDictionaryTransformer(max_features=0)
