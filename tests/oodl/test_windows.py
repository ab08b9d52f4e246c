"""Frames: the same however readings are cut, and each reading in one of them."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodl.block import Block, Ragged
from oodl.clock import EventClock
from oodl.coding import Codes, Version
from oodl.stream import GroupCoder, GroupState, Noticed, Output, Published
from oodl.windows import close, frames

Floats = npt.NDArray[np.float64]
GAP = 10.0
STEPS = st.sampled_from([0.0, 1.0, 9.0, 10.5, -3.0, -40.0, 25.0, 8000.0, -8000.0])
TIMES = st.lists(STEPS, min_size=1, max_size=40).map(lambda steps: np.cumsum(steps) + 1e6)


def readings(times: Floats) -> Block:
    places = np.arange(len(times))
    return Block(
        ("a", "b"),
        settled=True,
        values=np.column_stack([places, -places]).astype(np.float64),
        times=times,
        offsets=places,
    )


def cut(block: Block, cuts: Iterable[int]) -> list[Block]:
    edges = sorted({0, len(block), *(c for c in cuts if 0 < c < len(block))})
    return [block.part(first, last) for first, last in pairwise(edges)]


def made(parts: list[Block], window: int) -> tuple[list[list[Any]], list[int]]:
    """Every frame as plain values, and the offsets of what waits."""
    found, waiting, clock = [], None, EventClock()
    for part in parts:
        now, ticks = clock.now, clock.advance(part.times.tolist(), max_ahead=3600)
        clock = ticks.clock
        out = frames(waiting, part, [now, *ticks.nows[:-1]], window=window, max_gap=GAP)
        waiting, rows = out.unfinished, out.block
        assert rows.offsets.tolist() == part.offsets[out.rows].tolist()
        if len(rows):
            assert rows.origins is not None
            assert rows.moments is not None
            firsts = [None] * len(rows) if rows.places is None else rows.places.tolist()
            columns = (rows.values.tolist(), rows.times.tolist(), rows.offsets.tolist(),
                       rows.origins.lists(), rows.moments.lists(), firsts)  # fmt: skip
            found += [list(row) for row in zip(*columns, strict=True)]
    return found, [] if waiting is None else waiting.offsets.tolist()


def by_definition(times: Floats, window: int) -> list[list[int]]:
    """Offsets of each frame, the unfinished one last, straight from the contract."""
    clock, frame, found = EventClock(), list[int](), []
    for row, time in enumerate(times.tolist()):
        latest = max(times[row - 1], -np.inf if clock.now is None else clock.now)
        if len(frame) == window or (frame and time - latest > GAP):
            found.append(frame)
            frame = []
        frame.append(row)
        clock = clock.advance([time], max_ahead=3600).clock
    return [*found, frame]


@given(TIMES, st.lists(st.integers(1, 39)), st.integers(1, 5))
def test_frames_do_not_depend_on_how_readings_are_cut(
    times: Floats, cuts: list[int], window: int
) -> None:
    whole = replace(readings(times), places=np.arange(len(times)) % 3 - 1)
    text, other = (repr(made(parts, window)) for parts in ([whole], cut(whole, cuts)))
    assert text == other


@given(TIMES, st.integers(1, 5))
def test_each_reading_is_in_one_frame_as_the_definition_has_it(times: Floats, window: int) -> None:
    found, waiting = made([readings(times)], window)
    members = [offsets for *_, offsets, _, _ in found]
    expected = by_definition(times, window)
    full = len(expected[-1]) == window
    assert [*members, waiting] == ([*expected, []] if full else expected)
    for values, time, closed, offsets, stamps, _ in found:
        present = np.isfinite(np.array(values)).reshape(window, 2)
        assert present[:, 0].tolist() == [i < len(offsets) for i in range(window)]
        assert np.array(values)[::2][present[:, 0]].tolist() == offsets
        assert stamps == times[offsets].tolist()
        assert time == stamps[-1]
        assert closed == offsets[-1] + (len(offsets) < window)


def test_a_wrong_stamp_closes_one_frame_and_a_late_one_none() -> None:
    for wrong, expected in ((9000.0, [[0, 1], [2, 3, 4]]), (-500.0, [[0, 1, 2], [3, 4, 5]])):
        times = np.array([0.0, 1.0, wrong, 3.0, 4.0, 5.0])
        found, _ = made([readings(times)], 3)
        assert [offsets for *_, offsets, _, _ in found] == expected


def test_readings_of_several_messages_keep_all_of_their_positions() -> None:
    rows = readings(np.arange(5.0))
    origins = Ragged(np.array([2, 3, 5, 6, 8]), np.array([0, 7, 1, 2, 8, 3, 4, 9]))
    block = replace(rows, origins=origins)
    for parts in ([block], cut(block, [1, 3])):
        waiting, found = None, []
        for part in parts:
            out = frames(waiting, part, [None] * len(part), window=2, max_gap=GAP)
            waiting = out.unfinished
            if out.block.origins is not None and len(out.block):
                found += out.block.origins.lists()
        assert found == [[0, 7, 1], [2, 8, 3]]
        assert waiting is not None
        assert waiting.origins is not None
        assert waiting.origins.lists() == [[4, 9]]


def test_what_waits_holds_no_larger_block_in_memory() -> None:
    out = frames(None, readings(np.arange(1000.0)), [None] * 1000, window=7, max_gap=GAP)
    assert out.unfinished is not None
    assert out.unfinished.values.base is None
    assert len(out.unfinished) == 1000 % 7


# Through the group step

N, W = 3, 4
ROWS = 1603


def planted(rows: int) -> Floats:
    """Channels that move together over time, with gaps."""
    rng = np.random.default_rng(1)
    frame = np.linalg.qr(np.random.default_rng(9).standard_normal((N * W, N * W)))[0]
    codes = rng.standard_normal((-(-rows // W), N * W)) * (rng.random((1, N * W)) < 0.4)
    values: Floats = 50 + (codes @ frame).reshape(-1, N)[:rows] * [1.0, 2.0, 5.0]
    values[::17, 1] = np.nan
    return values


VALUES = planted(ROWS)
STAMPS = np.cumsum(np.where(np.arange(ROWS) % 97 == 96, 9000.0, 1.0))
CODER = GroupCoder(window=W)


def block(values: Floats, first: int = 0, names: str = "abc") -> Block:
    places = np.arange(first, first + len(values))
    stamps = STAMPS[places % ROWS]
    return Block(tuple(names), settled=True, values=values, times=stamps, offsets=places)


def run(cuts: Iterable[int] = (), coder: GroupCoder = CODER) -> tuple[GroupState, list[Output]]:
    state, outputs = coder.start(), list[Output]()
    for part in cut(block(VALUES), cuts):
        state, more = coder.step(state, part)
        outputs += more
    state, more = coder.finish(state)
    return state, [*outputs, *more]


def rows_of(outputs: list[Output]) -> list[tuple[Version, int, list[int], list[float], Floats]]:
    """Version, position, offsets, times and the rebuilt readings of each code."""
    found = []
    for codes in outputs:
        if isinstance(codes, Codes):
            assert codes.origins is not None
            assert codes.moments is not None
            parts = zip(codes.rows(), codes.origins.lists(), codes.moments.lists(), strict=True)
            for (offset, _, atoms, values, missing, *_), origins, times in parts:
                rebuilt = codes.version.decode(atoms, values, missing).reshape(W, N)
                found.append((codes.version, offset, origins, times, rebuilt))
    return found


def test_every_reading_is_coded_once_and_its_frame_within_the_tolerance() -> None:
    _, outputs = run()
    rows = rows_of(outputs)
    assert [offset for _, _, origins, *_ in rows for offset in origins] == list(range(ROWS))
    assert {version.number for version, *_ in rows} >= {0, 1, 2}
    for version, _, origins, times, rebuilt in rows:
        assert times == STAMPS[origins].tolist()
        sent = np.full((W, N), np.nan)
        sent[: len(origins)] = VALUES[origins]
        assert np.array_equal(np.isfinite(sent), np.isfinite(rebuilt))
        off = (sent - rebuilt) / version.scale
        assert np.sqrt(np.nanmean(off**2)) <= 0.1
        if not version.number:
            assert np.array_equal(sent, rebuilt, equal_nan=True)


def test_a_frame_names_the_reading_that_closed_it() -> None:
    *rows, last = rows_of(run()[1])
    for _, offset, origins, *_ in rows:
        assert offset == origins[-1] + (len(origins) < W)
    assert last[1] == last[2][-1] == ROWS - 1
    gaps = [out.count for out in run()[1] if isinstance(out, Noticed) and out.kind == "gap"]
    assert sum(gaps) == sum(len(origins) < W for _, _, origins, *_ in rows) > 0


@pytest.mark.parametrize("cuts", [range(ROWS), range(0, ROWS, 7), [5, 98, 300]])
def test_codes_of_frames_do_not_depend_on_how_readings_are_cut(cuts: Iterable[int]) -> None:
    whole, other = run()[1], run(cuts)[1]
    names = [
        [(out.version.id, out.offset) for out in outputs if isinstance(out, Published)]
        for outputs in (whole, other)
    ]
    assert names[0] == names[1]
    for one, two in zip(rows_of(whole), rows_of(other), strict=True):
        assert (one[0].id, *one[1:4]) == (two[0].id, *two[1:4])
        assert np.allclose(one[4], two[4], atol=1e-4, equal_nan=True)


def test_a_dictionary_of_frames_has_a_mean_and_a_scale_a_channel() -> None:
    version = run()[0].version
    assert version is not None
    assert (version.window, version.channels) == (W, ("a", "b", "c"))
    assert version.mean.shape == version.scale.shape == (N,)
    assert version.dictionary.shape == (N * W, N * W)
    assert np.allclose(version.mean, np.nanmean(VALUES, axis=0), atol=0.5)
    assert np.allclose(version.scale, np.nanstd(VALUES, axis=0), rtol=0.3)


def test_frames_find_what_single_readings_cannot() -> None:
    """Of the planted causes most are never active, which shows over time alone."""
    atoms = []
    for coder in (replace(CODER, max_gap=1e9), GroupCoder()):
        coded = [out for out in run(range(0, ROWS, 16), coder)[1] if isinstance(out, Codes)]
        atoms.append(sum(len(each.atoms) for each in coded if each.offsets[0] > 0.75 * ROWS))
    assert atoms[0] < 0.7 * atoms[1]


def test_other_channels_close_the_frame_in_its_own_dictionary() -> None:
    state, _ = CODER.step(CODER.start(), block(VALUES[:402]))
    known = state.version
    assert known is not None
    state, outputs = CODER.step(state, block(VALUES[:8], first=402, names="xyz"))
    codes = [out for out in outputs if isinstance(out, Codes)]
    assert codes[0].version is known
    assert codes[0].offsets.tolist() == [402]
    assert codes[0].origins is not None
    (origins,) = codes[0].origins.lists()
    assert origins[-1] == 401
    assert len(origins) < W
    assert codes[1].version.id == Version.zero(("x", "y", "z"), W).id
    assert [out.kind for out in outputs if isinstance(out, Noticed)] == ["restart"]


def test_readings_without_settled_channels_are_coded_alone() -> None:
    unsettled = replace(block(VALUES[:3]), settled=False)
    state, outputs = CODER.step(CODER.start(), unsettled)
    codes = [out for out in outputs if isinstance(out, Codes)]
    assert [(len(each), each.version.window, each.origins) for each in codes] == [(3, 1, None)]
    assert state.unfinished is None


def test_values_that_no_float32_holds_are_coded_exactly_in_frames() -> None:
    state = run()[0]
    loud = VALUES[:8].copy()
    loud[2, 0] = 1e300
    _, outputs = CODER.step(state, block(loud, first=ROWS))
    (_, _, origins, _, rebuilt), *_ = rows_of(outputs)
    assert np.array_equal(rebuilt[: len(origins)], loud[: len(origins)], equal_nan=True)


def test_a_group_goes_on_with_its_last_dictionary_of_frames() -> None:
    version = run()[0].version
    assert version is not None
    state, outputs = CODER.step(CODER.go_on(version), block(VALUES[:200]))
    codes = [out for out in outputs if isinstance(out, Codes)]
    assert codes[0].version is version
    assert state.frames > 0


def test_a_frame_that_nothing_follows_is_closed_on_its_own_last_reading() -> None:
    waiting = block(VALUES[:2])
    assert close(waiting, W).offsets.tolist() == [1]
    assert close(waiting, W, offset=77).offsets.tolist() == [77]
    state, outputs = CODER.finish(CODER.start())
    assert (state.unfinished, outputs) == (None, [])
