"""Whatever data come: nothing raises, every code holds, and nothing but numbers is remembered."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oodl.coding import Atoms, Codes, Rule, Tolerance
from oodl.stream import Block, GroupCoder, GroupState, Output
from oodl.synthetic import Planted, random_orthogonal

Floats = npt.NDArray[np.float64]
Data = Callable[[np.random.Generator, int, int], npt.NDArray[np.float64 | np.int64]]

WILD = [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, 5e-324, 1e9, 1e30, -1e150]
WITHOUT_NUMBERS = {  # where a state holds NaN or infinity on purpose
    "pending",  # NaN: a missing value that waits
    "resolution",  # infinite: no step was seen yet
    "normal",  # NaN: peakedness not known yet
}


def noise(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return 20 + rng.standard_normal((rows, n)) * np.arange(1, n + 1)


def around_a_billion(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return 1e9 + rng.standard_normal((rows, n))


def tiny(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return 1e-200 * noise(rng, rows, n)


def of_very_different_size(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return noise(rng, rows, n) * 10.0 ** np.linspace(-30, 30, n)


def whole_numbers(rng: np.random.Generator, rows: int, n: int) -> npt.NDArray[np.int64]:
    return rng.integers(-5, 6, (rows, n))


def large_whole_numbers(rng: np.random.Generator, rows: int, n: int) -> npt.NDArray[np.int64]:
    return rng.integers(-(2**62), 2**62, (rows, n))


def constant(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return np.tile(rng.choice([0.0, 7.5, -1e12], n), (rows, 1))


def partly_constant(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = noise(rng, rows, n)
    values[:, :: max(2, n // 2)] = 40.0
    values[rows // 2 :, 0] = 40.5
    return values


def of_rank_one(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return rng.standard_normal((rows, 1)) * np.arange(1, n + 1)


def empty_rows(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = noise(rng, rows, n)
    values[rng.random(rows) < 0.3] = np.nan
    return values


def zero_rows(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = rng.standard_normal((rows, n))
    values[rng.random(rows) < 0.5] = 0.0
    return values


def with_gaps(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = noise(rng, rows, n)
    values[rng.random((rows, n)) < 0.3] = np.nan
    values[:, 0] = np.nan
    return values


def a_jump_and_back(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = noise(rng, rows, n)
    values[rows // 3 : 2 * rows // 3] *= 1000.0
    return values


def a_level_that_leaves(rng: np.random.Generator, rows: int, n: int) -> Floats:
    return noise(rng, rows, n) + 1e6 * np.linspace(0, 1, rows)[:, None] ** 4


def planted_with_spikes_and_gaps(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = Planted(random_orthogonal(n, rng), density=0.1, snr_db=30).draw(rows, rng)
    values[rng.random(rows) < 0.02] *= 100
    values[rng.random((rows, n)) < 0.02] = 1000
    values[rng.random((rows, n)) < 0.05] = np.nan
    return values.astype(np.float64)


def wild(rng: np.random.Generator, rows: int, n: int) -> Floats:
    values = noise(rng, rows, n)
    spots = rng.random(values.shape) < 0.05
    values[spots] = rng.choice(WILD, size=int(spots.sum()))
    return values


DATA: list[Data] = [
    noise, around_a_billion, tiny, of_very_different_size, whole_numbers, large_whole_numbers,
    constant, partly_constant, of_rank_one, empty_rows, zero_rows, with_gaps, a_jump_and_back,
    a_level_that_leaves, planted_with_spikes_and_gaps, wild,
]  # fmt: skip


def run(
    values: npt.NDArray[np.float64 | np.int64], rule: Rule, cuts: list[int]
) -> tuple[GroupState, list[Output]]:
    coder, outputs = GroupCoder(rule), list[Output]()
    state = coder.start()
    names = tuple(f"c{i}" for i in range(values.shape[1]))
    for part in np.split(
        np.arange(len(values)), sorted({cut for cut in cuts if cut < len(values)})
    ):
        if len(part):
            block = Block(names, True, values[part], part.astype(np.float64), part)  # type: ignore[arg-type]  # noqa: FBT003
            state, more = coder.step(state, block)
            outputs += more
    return state, outputs


def arrays(value: object, name: str = "state") -> Iterator[tuple[str, npt.NDArray[np.floating]]]:
    """Every array of numbers in a state that should hold nothing else, with its name."""
    if is_dataclass(value):
        for field in fields(value):
            if field.name not in WITHOUT_NUMBERS:
                yield from arrays(getattr(value, field.name), field.name)
    elif isinstance(value, tuple):
        for part in value:
            yield from arrays(part, name)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
        yield name, value
    elif isinstance(value, float):
        yield name, np.array(value)


def hold(outputs: list[Output], values: Floats, rule: Rule) -> None:
    """Each reading has one code, in its order: exact, or within the tolerance."""
    row = 0
    for codes in outputs:
        if not isinstance(codes, Codes):
            continue
        assert codes.values.dtype == np.float64
        for offset, _, atoms, kept, missing, error, surprise in codes.rows():
            assert offset == row
            present = np.isfinite(values[row])
            assert missing == tuple(np.flatnonzero(~present).tolist())
            rebuilt = codes.version.decode(atoms, kept)[present]
            if codes.version.number == 0:
                assert np.array_equal(rebuilt, values[row, present])
            elif present.any():
                off = (rebuilt - values[row, present]) / codes.version.scale[present]
                rms = float(np.sqrt(np.mean(off**2)))
                assert rms <= (rule.tolerance if isinstance(rule, Tolerance) else np.inf)
                assert error == pytest.approx(rms, rel=1e-5, abs=2e-5)
            assert surprise is None or surprise >= 0
            row += 1
    assert row == len(values)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.sampled_from([1, 2, 3, 8]),
    seed=st.integers(0, 2**32 - 1),
    rule=st.sampled_from([Tolerance(), Tolerance(0.5), Tolerance(1e-6), Atoms(2)]),
    cuts=st.lists(st.integers(1, 399), max_size=12),
)
@pytest.mark.parametrize("data", DATA, ids=lambda data: data.__name__)
def test_a_stream_raises_nothing_holds_its_codes_and_leaves_numbers(
    data: Data, n: int, seed: int, rule: Rule, cuts: list[int]
) -> None:
    # given 400 readings
    values = data(np.random.default_rng(seed), 400, n)
    # when they come in blocks of any size
    state, outputs = run(values, rule, cuts)
    # then every code holds
    hold(outputs, values.astype(np.float64), rule)
    # and nothing that is not a number was learned
    for name, array in arrays(state):
        assert np.isfinite(array).all(), name
    # and its versions can be coded with and judged by
    assert state.version is not None
    assert state.version.number > 0
    assert (state.version.scale > 0).all()


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    parts=st.lists(st.sampled_from(DATA), min_size=2, max_size=4),
)
def test_one_kind_of_data_may_follow_another(seed: int, parts: list[Data]) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([data(rng, 150, 4).astype(np.float64) for data in parts])
    state, outputs = run(values, Tolerance(), list(range(0, len(values), 37)))
    hold(outputs, values, Tolerance())
    for name, array in arrays(state):
        assert np.isfinite(array).all(), name


def test_a_scale_that_jumps_and_comes_back_is_coded_well_again() -> None:
    # given readings of which a third is a thousand times as large
    rng = np.random.default_rng(5)
    values = a_jump_and_back(rng, 3000, 4)
    _, outputs = run(values, Tolerance(), list(range(0, 3000, 50)))
    # then afterwards codes are as short as before
    kept = [len(row[2]) for codes in outputs if isinstance(codes, Codes) for row in codes.rows()]
    assert np.mean(kept[-300:]) < 1.1 * np.mean(kept[700:1000])
