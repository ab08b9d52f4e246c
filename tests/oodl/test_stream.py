"""The group step: a function of the group's readings in order."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oodl.coding import Atoms, Codes, Tolerance, Version
from oodl.stream import PIECES, Block, GroupCoder, GroupState, Noticed, Output, Published

Floats = npt.NDArray[np.float64]
N = 6
NAMES = tuple(f"c{i}" for i in range(N))


def planted(rows: int, seed: int = 0, n: int = N, noise: float = 0.05) -> Floats:
    rng = np.random.default_rng(seed)
    dictionary = np.linalg.qr(np.random.default_rng(99).standard_normal((n, n)))[0]
    codes = rng.standard_normal((rows, n)) * (rng.random((rows, n)) < 0.2)
    sensed = codes @ dictionary.T + noise * rng.standard_normal((rows, n))
    readings: Floats = 20 + sensed * np.arange(1, n + 1)
    return readings


def block(values: Floats, first: int = 0, *, settled: bool = True, period: float = 1.0) -> Block:
    offsets = first + np.arange(len(values))
    names = tuple(f"c{i}" for i in range(values.shape[1]))
    return Block(names, settled, values, (offsets * period).astype(np.float64), offsets)


def run(
    coder: GroupCoder, values: Floats, cuts: Iterable[int] = (), *, period: float = 1.0
) -> tuple[GroupState, list[Output]]:
    state, outputs = coder.start(), []
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(values)}), len(values)]
    for first, last in pairwise(edges):
        state, more = coder.step(state, block(values[first:last], first, period=period))
        outputs += more
    return state, outputs


def codes_of(outputs: list[Output]) -> list[Codes]:
    return [output for output in outputs if isinstance(output, Codes)]


@dataclass(frozen=True)
class Row:
    """A reading's code, with the version that it names."""

    version: Version
    offset: int
    atoms: list[int]
    values: list[float]
    missing: tuple[int, ...]

    def decoded(self) -> npt.NDArray[np.float64]:
        return self.version.decode(self.atoms, self.values, self.missing)


def rows_of(outputs: list[Output]) -> list[Row]:
    return [
        Row(codes.version, offset, atoms, values, missing)
        for codes in codes_of(outputs)
        for offset, _, atoms, values, missing, _, _ in codes.rows()
    ]


def versions_of(outputs: list[Output]) -> list[Published]:
    return [output for output in outputs if isinstance(output, Published)]


def kinds_of(outputs: list[Output]) -> list[str]:
    return [output.kind for output in outputs if isinstance(output, Noticed)]


def flat(value: object) -> object:
    """Every field of a state, arrays as bytes."""
    if is_dataclass(value):
        return [flat(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return [flat(part) for part in value] if isinstance(value, tuple) else value


VALUES = planted(400)
VALUES[50:300:7, 1] = np.nan
WHOLE = run(GroupCoder(), VALUES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 399), max_size=30))
def test_codes_do_not_depend_on_how_readings_are_cut(cuts: list[int]) -> None:
    """Up to float32 rounding, and a coefficient within 1e-5 of the cut."""
    _, outputs = run(GroupCoder(), VALUES, cuts)
    ours, theirs = rows_of(outputs), rows_of(WHOLE[1])
    assert [p.offset for p in versions_of(outputs)] == [p.offset for p in versions_of(WHOLE[1])]
    assert [(row.version.number, row.offset) for row in ours] == [
        (row.version.number, row.offset) for row in theirs
    ]
    for one, other in zip(ours, theirs, strict=True):
        far = np.abs(one.decoded() - other.decoded()) / other.version.scale
        assert np.nanmax(far) < 0.2
    same = [one.atoms == other.atoms for one, other in zip(ours, theirs, strict=True)]
    assert np.mean(same) > 0.98


def test_one_row_at_a_time_gives_the_same_versions() -> None:
    _, outputs = run(GroupCoder(), VALUES, range(400))
    for one, other in zip(versions_of(outputs), versions_of(WHOLE[1]), strict=True):
        assert np.allclose(one.version.dictionary, other.version.dictionary, atol=1e-4)
        assert np.allclose(one.version.mean, other.version.mean, rtol=1e-6)


def test_versions_have_the_same_names_however_readings_are_cut_and_laid_out_in_memory() -> None:
    names = [one.version.id for one in versions_of(WHOLE[1])]
    for values, cuts in ((VALUES, range(400)), (np.asfortranarray(VALUES), range(0, 400, 50))):
        outputs = run(GroupCoder(), values, cuts)[1]
        assert [one.version.id for one in versions_of(outputs)] == names


def test_every_reading_is_coded_once_in_its_order_within_the_tolerance() -> None:
    rows = rows_of(WHOLE[1])
    assert [row.offset for row in rows] == list(range(400))
    for row in rows:
        left = (row.decoded() - VALUES[row.offset]) / row.version.scale
        assert np.sqrt(np.nanmean(left**2)) <= 0.1


def test_a_dictionary_stands_before_the_first_code_that_names_it() -> None:
    known: set[str] = set()
    for output in WHOLE[1]:
        if isinstance(output, Published):
            known.add(output.version.id)
        elif isinstance(output, Codes):
            assert output.version.id in known


def test_version_0_is_published_first_and_version_1_whether_it_pays_or_not() -> None:
    noise = np.random.default_rng(1).standard_normal((80, 4))
    published = versions_of(run(GroupCoder(), noise)[1])
    assert [(p.version.number, p.version.restart) for p in published] == [(0, False), (1, True)]
    assert published[1].offset == 63
    assert published[1].version.limit is not None


def test_pure_noise_seldom_pays_for_a_further_version() -> None:
    further = 0
    for seed in range(5):
        noise = np.random.default_rng(seed).standard_normal((3000, 8))
        further += len(versions_of(run(GroupCoder(), noise)[1])) - 3
    assert further <= 2


def test_structure_pays_and_takes_fewer_atoms() -> None:
    values = planted(3000)
    _, outputs = run(GroupCoder(), values)
    assert len(versions_of(outputs)) > 3
    per_reading = [len(codes.atoms) / len(codes) for codes in codes_of(outputs)]
    assert per_reading[-1] < 0.7 * per_reading[1]


def test_the_state_given_stays_as_it_was() -> None:
    coder = GroupCoder()
    state, _ = coder.step(coder.start(), block(VALUES[:200]))
    one = coder.step(state, block(VALUES[200:], 200))[1]
    two = coder.step(state, block(VALUES[200:], 200))[1]
    assert [list(c.rows()) for c in codes_of(one)] == [list(c.rows()) for c in codes_of(two)]


def test_a_state_can_be_kept_at_any_reading_and_gone_on_from() -> None:
    coder, states = GroupCoder(), [GroupCoder().start()]
    for row in range(200):
        states.append(coder.step(states[-1], block(VALUES[row : row + 1], row))[0])
    for kept in (0, 63, 64, 150, 199):
        again, _ = coder.step(states[kept], block(VALUES[kept : kept + 1], kept))
        assert flat(again) == flat(states[kept + 1])


def test_rows_that_wait_are_held_in_few_pieces() -> None:
    values = planted(69, n=140)
    state, _ = run(GroupCoder(), values, range(69))
    assert state.waiting == sum(map(len, state.pending)) == 69
    assert np.array_equal(np.concatenate(state.pending), values)
    assert len(state.pending) <= PIECES


def test_readings_of_unsettled_channels_are_coded_exactly_and_teach_nothing() -> None:
    coder = GroupCoder()
    state, outputs = coder.step(coder.start(), block(VALUES[:5], settled=False))
    assert state.learned is None
    assert [type(output) for output in outputs] == [Published, Codes]
    state, outputs = coder.step(state, block(VALUES[5:9], 5, settled=False))
    assert [type(output) for output in outputs] == [Codes]


def test_other_channels_start_the_group_anew() -> None:
    coder = GroupCoder()
    state, _ = run(coder, VALUES)
    state, outputs = coder.step(state, block(VALUES[:, :3], 400))
    assert kinds_of(outputs) == ["restart"]
    assert (state.frames, codes_of(outputs)[0].version.number) == (400, 0)


@pytest.mark.parametrize(
    ("n", "frames", "rows"),
    [
        (2, 0, 1),
        (2, 3000, 46),
        (2, 10**6, 192),
        (16, 10**6, 192),
        (32, 10**6, 96),
        (64, 10**6, 128),
    ],
)
def test_chunks_grow_with_the_frames(n: int, frames: int, rows: int) -> None:
    state, _ = GroupCoder().step(GroupCoder().start(), block(planted(1, n=n)))
    assert state.learned is not None
    assert replace(state.learned, frames=frames).chunk == rows


def test_a_group_whose_sensors_stop_moving_together_is_surprised_and_publishes_nothing() -> None:
    values = planted(2400, seed=3, n=12)
    values[2000:] = np.random.default_rng(4).permuted(values[2000:], axis=0)
    state, outputs = run(GroupCoder(), values)
    assert kinds_of(outputs)[-2:] == ["surprised", "jump"]
    assert state.surprised
    assert versions_of(outputs)[-1].offset < 2050


def test_one_wild_reading_alone_surprises_no_group() -> None:
    values = planted(2100, seed=5)
    values[2050] = 1e9
    _, outputs = run(GroupCoder(), values)
    assert "surprised" not in kinds_of(outputs)
    surprises = np.concatenate([codes.surprises for codes in codes_of(outputs)])
    assert surprises[2050] > 100 > np.nanmax(surprises[64:2050])


def test_what_lasts_longer_than_accept_after_is_taken_as_the_groups_own() -> None:
    values = planted(4000, seed=3, n=12)
    values[2000:] = np.random.default_rng(4).permuted(values[2000:], axis=0)
    patient = run(GroupCoder(accept_after=1e9), values)[1]
    quick, outputs = run(GroupCoder(accept_after=500.0), values)
    assert "accepted" not in kinds_of(patient)
    assert "accepted" in kinds_of(outputs)
    assert versions_of(outputs)[-1].offset > 2400
    assert not quick.surprised


def test_a_stamp_of_1970_does_not_end_a_surprise_that_it_tips() -> None:
    values = planted(2400, seed=3, n=12)
    values[2000:] = np.random.default_rng(4).permuted(values[2000:], axis=0)
    coder = GroupCoder(accept_after=3600.0)
    state, _ = coder.step(coder.start(), block(values[:2000]))
    row, before = 2000, state
    while not state.surprised:
        before, state = state, coder.step(state, block(values[row : row + 1], row))[0]
        row += 1
    tipping = block(values[row - 1 : row], row - 1)
    tipping.times[:] = 0.0
    state, _ = coder.step(before, tipping)
    assert state.mood.since == before.clock.now


def test_what_lasts_longer_than_all_before_is_taken_as_the_groups_own() -> None:
    values = planted(2400, seed=3, n=12)
    values[1000:] = np.random.default_rng(4).permuted(values[1000:], axis=0)
    outputs = run(GroupCoder(accept_after=1e9), values)[1]
    assert "accepted" in kinds_of(outputs)
    assert versions_of(outputs)[-1].offset > 2000


def test_a_stamp_far_ahead_is_noticed_and_moves_no_clock() -> None:
    coder = GroupCoder()
    ahead = block(VALUES[:10])
    ahead.times[4] = 4.07e9
    ahead.times[6] = -1e6
    state, outputs = coder.step(coder.start(), ahead)
    assert sorted(kinds_of(outputs)) == ["clock_ahead", "late"]
    assert state.clock.now == 9.0


@pytest.mark.parametrize("rule", [Tolerance(0.3), Atoms(2)], ids=repr)
def test_either_rule_learns_and_publishes(rule: Tolerance | Atoms) -> None:
    _, outputs = run(GroupCoder(rule), planted(3000))
    assert versions_of(outputs)[-1].version.number > 1


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_channels_work(n: int) -> None:
    values = planted(500, n=n)
    state, outputs = run(GroupCoder(), values, range(0, 500, 9))
    assert sum(map(len, codes_of(outputs))) == 500
    assert state.version is not None
    assert state.version.number >= 1


def test_a_group_of_which_only_the_version_is_left_goes_on_with_it_and_learns_anew() -> None:
    before, _ = run(GroupCoder(), planted(2000))
    version = before.version
    assert version is not None
    assert version.number > 1

    state = GroupCoder().go_on(version)
    state, outputs = GroupCoder().step(state, block(planted(50, seed=1), 2000))
    _, later = GroupCoder().step(state, block(planted(3000, seed=2) * 3, 2050))

    assert {row.version.id for row in rows_of(outputs)} == {version.id}
    assert not versions_of(outputs)
    assert kinds_of(later)[0] == "surprised"
    numbers = [published.version.number for published in versions_of(later)]
    assert numbers == list(range(version.number + 1, version.number + 1 + len(numbers)))
