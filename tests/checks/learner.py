"""What every learner keeps, whatever its parts."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from oodl.contrast import Array
from oodl.dictionary import OnlineDictionary
from oodl.distance import orthogonality_defect
from oodl.errors import OodlError
from oodl.learner import Learner, Scheme, State
from oodl.schedule import WHOLE
from oodl.synthetic import Planted, random_orthogonal

N = 6


def calls(count: int = 12, rows: int = 13, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    planted = Planted(random_orthogonal(N, rng), density=0.4, snr_db=20)
    return [planted.draw(rows, rng) for _ in range(count)]


def after(model: OnlineDictionary, stream: list[Array]) -> OnlineDictionary:
    for Y in stream:
        model.partial_fit(Y)
    return model


def check_same_stream_gives_same_bits(learner: Scheme[Any]) -> None:
    one = after(OnlineDictionary(N, learner=learner), calls())
    two = after(OnlineDictionary(N, learner=learner), calls())
    np.testing.assert_array_equal(one.dictionary_, two.dictionary_)


def check_snapshot_and_restore_change_nothing(learner: Scheme[Any]) -> None:
    stream = calls()
    straight = after(OnlineDictionary(N, learner=learner), stream)

    stopped = after(OnlineDictionary(N, learner=learner), stream[:5])
    restored = after(pickle.loads(pickle.dumps(stopped)), stream[5:])

    np.testing.assert_array_equal(restored.dictionary_, straight.dictionary_)
    assert restored.n_seen_ == straight.n_seen_


def check_a_refused_block_leaves_the_state_as_it_was(learner: Scheme[Any]) -> None:
    stream = calls()
    straight = after(OnlineDictionary(N, learner=learner), stream)
    disturbed = after(OnlineDictionary(N, learner=learner), stream[:5])

    for bad in bad_blocks():
        with pytest.raises(OodlError):
            disturbed.partial_fit(bad)
    after(disturbed, stream[5:])

    np.testing.assert_array_equal(disturbed.dictionary_, straight.dictionary_)
    assert disturbed.n_seen_ == straight.n_seen_


def check_a_step_refuses_a_bad_block(learner: Scheme[Any]) -> None:
    state = learner.start(N)
    for bad in (np.ones((3, N + 1)), np.ones(N), np.full((3, N), "a")):
        with pytest.raises(OodlError):
            learner.step(state, bad)


def check_the_state_does_not_grow(learner: Scheme[Any]) -> None:
    model = OnlineDictionary(N, learner=learner)
    waiting = 2 * N * N * 4

    sizes = [len(pickle.dumps(model.partial_fit(Y))) for Y in calls(count=100)]

    assert max(sizes[50:]) <= max(sizes[:50]) + waiting + 64


def check_a_step_writes_nothing_into_its_arguments(learner: Scheme[Any]) -> None:
    state, Y = settled(learner), calls(count=1)[0]
    before = [array.copy() for array in (state.dictionary, state.gradient, Y)]

    learner.step(state, Y)

    for array, copy in zip((state.dictionary, state.gradient, Y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def check_no_rows_leave_the_state_as_it_was(learner: Scheme[Any]) -> None:
    state = settled(learner)
    assert learner.step(state, np.empty((0, N))) is state


def check_rows_of_zeros_say_nothing_about_atoms(learner: Scheme[Any]) -> None:
    state = learner.start(N, initial=random_orthogonal(N, np.random.default_rng(5)))
    start = state.dictionary

    for _ in range(3):
        state = learner.step(state, np.zeros((4, N)))

    np.testing.assert_allclose(state.dictionary, start, atol=1e-6)
    assert state.seen == 12


def check_type_is_kept_and_the_dictionary_orthogonal(learner: Scheme[Any]) -> None:
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
        state = learner.start(N, dtype=dtype)
        for Y in calls():
            state = learner.step(state, Y)
            assert state.dictionary.dtype == state.gradient.dtype == dtype
            assert orthogonality_defect(state.dictionary) <= tolerance


def check_turning_the_readings_turns_the_dictionary(learner: Scheme[Any]) -> None:
    Q = random_orthogonal(N, np.random.default_rng(6))
    plain = learner.start(N, dtype="float64")
    turned = learner.start(N, dtype="float64", initial=Q)

    for Y in calls(rows=8 * N):
        plain, turned = learner.step(plain, Y), learner.step(turned, Y @ Q.T)

    np.testing.assert_allclose(turned.dictionary, Q @ plain.dictionary, atol=1e-8)


def check_a_whole_step_never_lowers_the_contrast_of_its_block(learner: Learner) -> None:
    greedy = replace(learner, tracking=WHOLE, stepping=WHOLE)
    for Y in calls():
        state = greedy.start(N, dtype="float64")
        values = []
        for _ in range(5):
            values.append(learner.contrast.value(Y @ state.dictionary))
            state = greedy.step(state, Y)
        assert np.all(np.diff(values) >= -1e-12 * values[0])
        assert values[-1] > values[0]


def bad_blocks() -> list[Any]:
    good = np.ones((3, N))
    holes = []
    for bad in (np.nan, np.inf, -np.inf, 1e300):
        hole = good.copy()
        hole[1, 2] = bad
        holes.append(hole)
    return [*holes, np.ones((3, N + 1)), np.ones(N), np.full((1, N), "1.0"), [[None] * N]]


def settled(learner: Scheme[Any]) -> State:
    state: State = learner.start(N)
    for Y in calls():
        state = learner.step(state, Y)
    return state


CHECKS: list[Callable[[Scheme[Any]], None]] = [
    check_same_stream_gives_same_bits,
    check_snapshot_and_restore_change_nothing,
    check_a_refused_block_leaves_the_state_as_it_was,
    check_a_step_refuses_a_bad_block,
    check_the_state_does_not_grow,
    check_a_step_writes_nothing_into_its_arguments,
    check_no_rows_leave_the_state_as_it_was,
    check_rows_of_zeros_say_nothing_about_atoms,
    check_type_is_kept_and_the_dictionary_orthogonal,
    check_turning_the_readings_turns_the_dictionary,
]

ONE_CONTRAST: list[Callable[[Learner], None]] = [
    check_a_whole_step_never_lowers_the_contrast_of_its_block,
]
