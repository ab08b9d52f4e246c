import doctest
import pickle

import numpy as np
import pytest

from tests.extras import require

require("sklearn", "pandas")

import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from oodl.bridges import sklearn as bridge
from oodl.bridges.sklearn import OnlineDictionaryTransformer
from oodl.contrast import Array
from oodl.distance import distance, orthogonality_defect
from oodl.learner import PUBLISHED
from oodl.synthetic import Planted, random_orthogonal

N = 6


def readings(rows: int = 200, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return Planted(random_orthogonal(N, rng), density=0.3, snr_db=20).draw(rows, rng)


def frame(rows: int = 200) -> pd.DataFrame:
    names = [f"sensor {channel}" for channel in range(N)]
    return pd.DataFrame(readings(rows), columns=names, index=range(100, 100 + rows))


# What scikit-learn asks of every estimator


@pytest.mark.parametrize(
    "case",
    [
        OnlineDictionaryTransformer(),
        OnlineDictionaryTransformer(random_state=1),
        OnlineDictionaryTransformer(PUBLISHED),
    ],
    ids=["default", "random start", "published"],
)
def test_every_check_passes_and_none_is_skipped(case: OnlineDictionaryTransformer) -> None:
    results = check_estimator(case, on_fail=None, on_skip=None)
    troubles = {
        result["check_name"]: (result["status"], result["exception"])
        for result in results
        if result["status"] != "passed"
    }
    assert results
    assert troubles == {}


def test_the_examples_of_the_docstrings_run() -> None:
    failed, attempted = doctest.testmod(bridge)
    assert attempted > 0
    assert failed == 0


# Learning


def test_it_finds_the_dictionary_behind_scaled_readings() -> None:
    # given readings far from zero, whatever their unit
    rng = np.random.default_rng(0)
    planted = Planted(random_orthogonal(N, rng), density=0.2, snr_db=26)
    X = 1000 + 7 * planted.draw(3000, rng)
    # when
    model = make_pipeline(StandardScaler(), OnlineDictionaryTransformer()).fit(X)
    # then
    assert distance(model[-1].components_.T, planted.dictionary) < 0.02


def test_fit_forgets_what_was_learned_before() -> None:
    fresh = OnlineDictionaryTransformer().fit(readings(seed=2))
    used = OnlineDictionaryTransformer().fit(readings(seed=1)).fit(readings(seed=2))
    np.testing.assert_array_equal(used.components_, fresh.components_)
    assert used.n_samples_seen_ == 200


def test_rows_may_be_cut_into_calls_anywhere() -> None:
    # given
    X = readings()
    at_once = OnlineDictionaryTransformer().fit(X)
    # when
    in_parts = OnlineDictionaryTransformer()
    for part in np.split(X, [1, 2, 50, 51, 170]):
        in_parts.partial_fit(part)
    # then
    np.testing.assert_array_equal(in_parts.components_, at_once.components_)
    assert in_parts.n_samples_seen_ == at_once.n_samples_seen_ == 200


def test_another_number_of_columns_goes_only_with_a_new_fit() -> None:
    model = OnlineDictionaryTransformer().fit(readings())
    with pytest.raises(ValueError, match="X has 2 features, but"):
        model.partial_fit(np.ones((9, 2)))
    assert model.fit(np.ones((9, 2))).components_.shape == (2, 2)


def test_the_learner_given_is_the_one_that_learns() -> None:
    # given that the published scheme makes a step a call
    X = readings()
    at_once = OnlineDictionaryTransformer(PUBLISHED).fit(X)
    in_parts = OnlineDictionaryTransformer(PUBLISHED).fit(X[:100]).partial_fit(X[100:])
    # then
    assert not np.allclose(at_once.components_, in_parts.components_)


@pytest.mark.parametrize("rows", [1, 2, 50])
@pytest.mark.parametrize("columns", [1, 2, 30])
def test_few_rows_or_columns_are_enough_for_a_dictionary(rows: int, columns: int) -> None:
    X = np.random.default_rng(0).standard_normal((rows, columns))
    model = OnlineDictionaryTransformer().fit(X)
    codes = model.transform(X)
    assert codes.shape == (rows, columns)
    assert orthogonality_defect(model.components_) < 1e-9
    np.testing.assert_allclose(model.inverse_transform(codes), X)


# Where it starts


def test_it_starts_from_the_identity_unless_told() -> None:
    start = OnlineDictionaryTransformer().fit(np.zeros((1, N)))
    np.testing.assert_array_equal(start.components_, np.eye(N))


def test_random_state_names_a_start() -> None:
    def start(random_state: int | np.random.RandomState) -> Array:
        model = OnlineDictionaryTransformer(random_state=random_state)
        return model.fit(np.zeros((1, N))).components_

    np.testing.assert_array_equal(start(1), start(1))
    np.testing.assert_array_equal(start(1), start(np.random.RandomState(1)))
    assert not np.allclose(start(1), start(2))


# Codes


def test_a_code_is_the_product_with_its_component() -> None:
    X = readings()
    model = OnlineDictionaryTransformer().fit(X)
    np.testing.assert_allclose(model.transform(X), X @ model.components_.T)


def test_leaving_codes_out_leaves_their_components_out() -> None:
    # given
    X = readings()
    model = OnlineDictionaryTransformer().fit(X)
    codes = model.transform(X)
    # when
    codes[:, 1:] = 0
    # then
    np.testing.assert_allclose(
        model.inverse_transform(codes), np.outer(codes[:, 0], model.components_[0])
    )


@pytest.mark.parametrize(
    ("given", "kept"), [("float32", "float32"), ("float64", "float64"), ("int32", "float64")]
)
def test_the_first_call_tells_the_type(given: str, kept: str) -> None:
    model = OnlineDictionaryTransformer().fit((9 * readings()).astype(given))
    codes = model.transform(readings())
    assert model.components_.dtype == codes.dtype == model.inverse_transform(codes).dtype == kept


def test_codes_have_names_and_rows_keep_theirs_in_pandas() -> None:
    # given
    X = frame()
    model = make_pipeline(StandardScaler(), OnlineDictionaryTransformer())
    # when
    codes = model.set_output(transform="pandas").fit_transform(X)
    # then
    names = [f"onlinedictionarytransformer{code}" for code in range(N)]
    assert list(codes.columns) == list(model[-1].get_feature_names_out()) == names
    assert codes.index.equals(X.index)
    assert list(model[-1].feature_names_in_) == list(X.columns)


def test_columns_by_other_names_are_refused() -> None:
    model = OnlineDictionaryTransformer().fit(frame())
    swapped = frame()[frame().columns[::-1]]
    for refuse in (model.partial_fit, model.transform):
        with pytest.raises(ValueError, match="feature names should match"):
            refuse(swapped)


# Copies


def test_a_pickled_model_goes_on_as_the_original_would() -> None:
    # given rows that wait for a full chunk
    X = readings()
    model = OnlineDictionaryTransformer().fit(X[:101])
    # when
    copy = pickle.loads(pickle.dumps(model))
    # then
    np.testing.assert_array_equal(
        copy.partial_fit(X[101:]).components_, model.partial_fit(X[101:]).components_
    )


def test_a_clone_has_the_choices_and_nothing_learned() -> None:
    copy = clone(OnlineDictionaryTransformer(PUBLISHED, random_state=3).fit(readings()))
    assert copy.get_params() == {"learner": PUBLISHED, "random_state": 3}
    with pytest.raises(NotFittedError):
        copy.transform(readings())


# What it refuses


def test_numbers_too_large_for_the_type_are_refused_with_a_remedy() -> None:
    X = readings()
    X[3, 2] = 1e200
    with pytest.raises(ValueError, match=r"in row 3; leave the row out .* scale large readings"):
        OnlineDictionaryTransformer().fit(X)
