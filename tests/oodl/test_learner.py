from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodl.adaptive import Adaptive
from oodl.contrast import L3, L4, Array, Contrast, HardThreshold
from oodl.dictionary import OnlineDictionary
from oodl.distance import distance, orthogonality_defect
from oodl.errors import ShapeError, ValueFault
from oodl.learner import (
    PUBLISHED,
    AsGiven,
    Chunks,
    Growing,
    Learner,
    Scheme,
    chunk_size,
)
from oodl.oracle import Svd
from oodl.schedule import WHOLE, Constant, RowMemory
from oodl.synthetic import Planted, random_orthogonal
from tests.checks import learner as suite
from tests.checks.contrast import blocks, finite_differences

DEFAULT = Adaptive()
CASES: list[Scheme[Any]] = [
    DEFAULT,
    Learner(),
    PUBLISHED,
    Learner(contrast=L4()),
    Learner(contrast=HardThreshold(level=0.3), stepping=Constant(0.5)),
]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=["default", "l3", "published", "l4", "hard-threshold"])
def test_contract(case: Scheme[Any], check: Callable[[Scheme[Any]], None]) -> None:
    check(case)


@pytest.mark.parametrize("check", suite.ONE_CONTRAST, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if isinstance(case, Learner)],
    ids=["l3", "published", "l4", "hard-threshold"],
)
def test_contract_of_one_contrast(case: Learner, check: Callable[[Learner], None]) -> None:
    check(case)


# What it finds


def published_error(steps: list[int], seed: int) -> list[float]:
    """The authors' setting: N = 10, density .3, ten rows a step, no noise."""
    rng = np.random.default_rng(seed)
    planted = Planted(random_orthogonal(10, rng), density=0.3)
    model = OnlineDictionary.published(10, seed=rng)
    errors = []
    for step in range(1, max(steps) + 1):
        model.partial_fit(planted.draw(10, rng))
        if step in steps:
            errors.append(distance(model.dictionary_, planted.dictionary))
    return errors


def test_the_published_algorithm_reproduces_the_authors_errors() -> None:
    errors = np.array([published_error([300, 1000], seed) for seed in range(20)])
    after_300, after_1000 = errors.mean(axis=0)
    assert after_300 <= 0.0035
    assert after_1000 <= 0.0015


@pytest.mark.parametrize(("n", "rows", "limit"), [(16, 187 * 16, 0.02), (32, 94 * 32, 0.03)])
def test_the_default_finds_a_planted_dictionary(n: int, rows: int, limit: float) -> None:
    for seed in range(5):
        # given
        rng = np.random.default_rng(seed)
        planted = Planted(random_orthogonal(n, rng), density=0.2, snr_db=26)
        # when
        model = OnlineDictionary(n).partial_fit(planted.draw(rows, rng))
        # then
        assert distance(model.dictionary_, planted.dictionary) < limit


# What it computes


def straight_line(blocks: list[Array], A: Array) -> Array:
    """Algorithm 1 as printed: readings in columns, A = D.T, steps clipped to 1."""
    G = np.zeros_like(A)
    for t, Y in enumerate(blocks):
        rho, gamma = min(1, 4 / np.sqrt(t + 1)), min(1, 2 / (t + 2) ** 0.75)
        X = A @ Y
        G = (1 - rho) * G + rho * (np.abs(X) * X) @ Y.T / Y.shape[1]
        U, _, Vt = np.linalg.svd(G)
        A = (1 - gamma) * A + gamma * U @ Vt
        U, _, Vt = np.linalg.svd(A)
        A = U @ Vt
    return A


@pytest.mark.parametrize("n", [1, 2, 10])
def test_published_is_the_algorithm_box(n: int) -> None:
    # given
    rng = np.random.default_rng(n)
    start, planted = random_orthogonal(n, rng), Planted(random_orthogonal(n, rng), 0.5, snr_db=30)
    stream = [planted.draw(6 * n, rng) for _ in range(60)]
    # when
    model = OnlineDictionary(n, dtype="float64", initial=start, learner=PUBLISHED)
    for Y in stream:
        model.partial_fit(Y)
    # then
    expected = straight_line([Y.T for Y in stream], start.T).T
    np.testing.assert_allclose(model.dictionary_, expected, atol=1e-8)


@pytest.mark.parametrize("contrast", [L3(), L4(), HardThreshold(level=0.5)], ids=repr)
def test_a_whole_step_goes_where_the_objective_rises_most(contrast: Contrast) -> None:
    # given the objective as a function of the dictionary alone, no code next to the level
    rng = np.random.default_rng(1)
    Y, D = rng.standard_normal((40, 4)), random_orthogonal(4, rng)
    slopes = finite_differences(lambda at: contrast.value(Y @ at), D)
    energies, V = np.linalg.eigh(slopes.T @ slopes)
    # when
    learner = Learner(contrast, tracking=WHOLE, ridge=0.0)
    state = learner.step(learner.start(4, dtype="float64", initial=D), Y)
    # then it is slopes (slopes' slopes)^(-1/2)
    expected = slopes @ (V / np.sqrt(energies)) @ V.T
    np.testing.assert_allclose(state.dictionary, expected, atol=1e-5)


def test_a_memory_of_exponent_one_tracks_the_gradient_of_all_rows() -> None:
    # given a dictionary that stays
    learner = Learner(tracking=RowMemory(1.0), stepping=Constant(0.0))
    Y = np.random.default_rng(0).standard_normal((60, 5))
    state = learner.start(5, dtype="float64")
    # when the rows come in uneven blocks
    for part in np.split(Y, [1, 3, 20, 21, 50]):
        state = learner.step(state, part)
    # then
    all_rows = sum(np.outer(y, np.abs(y) * y) for y in Y) / len(Y)
    np.testing.assert_allclose(state.gradient, all_rows, rtol=1e-10)
    assert (state.steps, state.seen) == (6, 60)


def test_atoms_that_no_reading_used_stay_where_they_are() -> None:
    # given a reading made of the first two atoms
    D = random_orthogonal(8, np.random.default_rng(0))
    y = 3 * D[:, 0] - D[:, 1]
    # when
    learner = Learner()
    state = learner.step(learner.start(8, dtype="float64", initial=D), y[None, :])
    # then
    np.testing.assert_allclose(state.dictionary[:, 2:], D[:, 2:], atol=1e-12)
    assert not np.allclose(state.dictionary[:, :2], D[:, :2], atol=1e-3)


@dataclass(frozen=True, slots=True)
class CountingSvd:
    """The oracle, with a list of what it was asked."""

    asked: list[Array] = field(default_factory=list)

    def __call__(self, G: Array) -> Array:
        self.asked.append(G)
        return Svd()(G)


@pytest.mark.parametrize(("gamma", "questions"), [(1.0, 1), (0.5, 2)])
def test_only_a_partial_step_needs_a_way_back_to_orthogonal(gamma: float, questions: int) -> None:
    oracle = CountingSvd()
    learner = Learner(oracle=oracle, stepping=Constant(gamma))
    learner.step(learner.start(3), np.ones((2, 3)))
    assert len(oracle.asked) == questions


def test_a_schedule_of_numpy_numbers_does_not_turn_float32_into_float64() -> None:
    def half(t: int, seen: int, rows: int) -> Any:  # noqa: ARG001
        return np.float64(0.5)

    learner = Learner(tracking=half, stepping=half)
    state = learner.step(learner.start(3), np.ones((2, 3), np.float32))
    assert state.dictionary.dtype == state.gradient.dtype == np.float32


@pytest.mark.parametrize("case", [DEFAULT, PUBLISHED], ids=["default", "published"])
def test_float32_stays_orthogonal_over_twenty_thousand_steps(case: Learner) -> None:
    # given
    rng = np.random.default_rng(0)
    stream = rng.standard_normal((1000, 8)).astype(np.float32)
    state = case.start(8)
    # when
    for step in range(20_000):
        row = step % 999
        state = case.step(state, stream[row : row + 2])
        if step % 1000 == 999:
            # then
            assert orthogonality_defect(state.dictionary) <= 1e-5


@given(st.lists(blocks(columns=2), max_size=8), st.sampled_from([DEFAULT, PUBLISHED]))
def test_any_finite_stream_leaves_a_pair_of_atoms_orthogonal(
    stream: list[Array], learner: Learner
) -> None:
    model = OnlineDictionary(2, learner=learner)
    for Y in stream:
        model.partial_fit(Y)
    assert model.dictionary_.dtype == np.float32
    assert orthogonality_defect(model.dictionary_) <= 1e-5


@given(st.lists(blocks(columns=1), max_size=8), st.sampled_from([DEFAULT, PUBLISHED]))
def test_a_single_channel_keeps_its_atom(stream: list[Array], learner: Learner) -> None:
    model = OnlineDictionary(1, learner=learner)
    for Y in stream:
        model.partial_fit(Y)
    assert model.dictionary_.tolist() == [[1.0]]


# How rows are cut


@given(st.data(), st.sampled_from([1, 2, 5]), st.sampled_from(["float32", "float64"]))
def test_calls_may_be_cut_anywhere(data: st.DataObject, n: int, dtype: str) -> None:
    # given a stream, and any way to cut it
    Y = np.random.default_rng(n).standard_normal((150, n))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(Y)), max_size=12)))
    at_once = OnlineDictionary(n, dtype=dtype).partial_fit(Y)
    # when
    in_parts = OnlineDictionary(n, dtype=dtype)
    for part in np.split(Y, cuts):
        in_parts.partial_fit(part)
    # then
    np.testing.assert_array_equal(in_parts.dictionary_, at_once.dictionary_)
    assert in_parts.n_seen_ == at_once.n_seen_ == 150


def test_row_by_row_is_the_same_to_the_bit_at_a_size_that_blas_cuts_up() -> None:
    rng = np.random.default_rng(0)
    Y = Planted(random_orthogonal(48, rng), 0.1, snr_db=20).draw(1500, rng)
    at_once = OnlineDictionary(48).partial_fit(Y)
    by_row = OnlineDictionary(48)
    for y in Y:
        by_row.partial_fit(y[None, :])
    np.testing.assert_array_equal(by_row.dictionary_, at_once.dictionary_)


def test_rows_wait_for_a_full_chunk() -> None:
    model = OnlineDictionary(16)
    readings = np.random.default_rng(0).standard_normal((8, 16))

    model.partial_fit(readings[:7])
    np.testing.assert_array_equal(model.dictionary_, np.eye(16))
    assert model.n_seen_ == 7

    model.partial_fit(readings[7:])
    assert not np.allclose(model.dictionary_, np.eye(16))


def test_every_call_of_the_published_algorithm_is_one_step() -> None:
    # given
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((30, 3))
    # when
    one, two = (OnlineDictionary.published(3) for _ in range(2))
    one.partial_fit(Y)
    two.partial_fit(Y[:10]).partial_fit(Y[10:])
    # then
    assert not np.allclose(one.dictionary_, two.dictionary_)


@pytest.mark.parametrize(
    ("n", "seen", "expected"),
    [(1, 0, 1), (1, 10**9, 2), (2, 0, 1), (64, 0, 32), (64, 6400, 100), (64, 10**9, 128)],
)
def test_chunks_grow_with_the_stream(n: int, seen: int, expected: int) -> None:
    assert chunk_size(n, seen) == expected


@given(st.integers(1, 512), st.integers(0, 10**9), st.integers(0, 2000))
def test_a_chunk_is_never_larger_than_what_waits(n: int, seen: int, waiting: int) -> None:
    for chunks in (Growing(), AsGiven()):
        assert 0 <= chunks(n, seen, waiting) <= waiting


def test_another_way_to_cut_is_a_part_like_any_other() -> None:
    @dataclass(frozen=True)
    class Pairs:
        def __call__(self, n: int, seen: int, waiting: int) -> int:  # noqa: ARG002
            return 2 if waiting >= 2 else 0

    pairs: Chunks = Pairs()
    Y = np.random.default_rng(0).standard_normal((5, 3))
    # given the same learner led by hand
    learner = replace(DEFAULT, chunks=pairs)
    state = learner.step(learner.step(learner.start(3), Y[:2]), Y[2:4])
    # when
    model = OnlineDictionary(3, learner=learner).partial_fit(Y)
    # then the fifth row waits
    np.testing.assert_array_equal(model.dictionary_, state.dictionary)
    assert (state.seen, model.n_seen_) == (4, 5)


# Where it starts, and what it gives back


def test_without_a_seed_it_starts_from_the_identity() -> None:
    np.testing.assert_array_equal(OnlineDictionary(3).dictionary_, np.eye(3))
    assert OnlineDictionary(3).n_restarts_ == 0


def test_a_seed_names_a_random_start() -> None:
    one, same, other = (OnlineDictionary(5, seed=seed).dictionary_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert orthogonality_defect(one) < 1e-5


def test_the_start_is_a_copy_in_the_asked_type() -> None:
    initial = random_orthogonal(3, np.random.default_rng(0))
    model = OnlineDictionary(3, dtype="float64", initial=initial)
    before = initial.copy()
    initial[0, 0] = 9.0
    np.testing.assert_array_equal(model.dictionary_, before)
    assert OnlineDictionary(3, initial=before).dictionary_.dtype == np.float32


def test_codes_and_readings_are_each_other_s_inverse() -> None:
    # given
    rng = np.random.default_rng(0)
    model, Y = OnlineDictionary(6, dtype="float64", seed=3), rng.standard_normal((9, 6))
    # when
    X = model.transform(Y)
    # then a code is the scalar product with its atom
    np.testing.assert_allclose(X[4, 2], Y[4] @ model.dictionary_[:, 2])
    np.testing.assert_allclose(model.inverse_transform(X), Y)


def test_what_it_gives_back_is_of_its_own_type() -> None:
    model = OnlineDictionary(2)
    assert model.transform([[1, 2]]).dtype == np.float32
    assert model.inverse_transform(np.ones((1, 2))).dtype == np.float32


def test_a_row_with_a_hole_spoils_no_other_row() -> None:
    X = OnlineDictionary(3, seed=0).transform([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]])
    assert np.isfinite(X[0]).all()
    assert np.isnan(X[1]).all()


def test_nobody_writes_into_the_dictionary_from_outside() -> None:
    model = OnlineDictionary(2)
    with pytest.raises(ValueError, match="read-only"):
        model.dictionary_[0, 0] = 5.0
    with pytest.raises(FrozenInstanceError):
        Learner().start(2).steps = 3  # type: ignore[misc]


# What it refuses


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, 1e10])
def test_a_row_that_cannot_be_learned_is_named_with_a_remedy(bad: float) -> None:
    Y = np.ones((4, 3))
    Y[2, 1] = bad
    with pytest.raises(ValueFault, match=r"got \S+ in row 2; leave the row out or fill"):
        OnlineDictionary(3).partial_fit(Y)


def test_the_largest_readings_of_float32_are_learned_without_overflow() -> None:
    for contrast in (L3(), L4(), HardThreshold(level=1.0)):
        model = OnlineDictionary(2, learner=Learner(contrast)).partial_fit(
            np.array([[3e9, 1e9], [-1e9, 2e9]])
        )
        assert orthogonality_defect(model.dictionary_) <= 1e-5


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3), (0,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    model = OnlineDictionary(3)
    for refuse in (model.partial_fit, model.transform, model.inverse_transform):
        with pytest.raises(ShapeError, match=r"expected shape \(rows, 3\), got .*y\[None, :\]"):
            refuse(np.ones(shape))


def test_what_is_no_real_number_is_refused() -> None:
    nothings: list[Any] = [[["a", "b"]], [[None, 1.0]], [[1j, 2j]]]
    for bad in nothings:
        with pytest.raises(ValueFault, match="block: expected real numbers"):
            OnlineDictionary(2).partial_fit(bad)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: OnlineDictionary(0), "n_features: expected at least 1, got 0"),
        (lambda: OnlineDictionary(2, dtype="float16"), "dtype: expected float32 or float64"),
        (lambda: OnlineDictionary(2, dtype="int64"), "dtype: expected float32 or float64"),
        (lambda: OnlineDictionary(2, initial=np.eye(3)), r"initial: expected shape \(2, 2\)"),
        (lambda: OnlineDictionary(2, initial=np.ones((2, 2))), "pass its polar factor"),
        (lambda: OnlineDictionary(2, initial=np.full((2, 2), np.nan)), "pass its polar factor"),
        (lambda: OnlineDictionary(2, seed=1, initial=np.eye(2)), "drop one of them"),
        (lambda: Learner(ridge=-1.0), "ridge: expected a number >= 0"),
        (lambda: Learner(ridge=np.nan), "ridge: expected a number >= 0"),
    ],
)
def test_a_choice_that_cannot_work_is_refused_at_once(
    refused: Callable[[], object], message: str
) -> None:
    with pytest.raises((ShapeError, ValueFault), match=message):
        refused()
