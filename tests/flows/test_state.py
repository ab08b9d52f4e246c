from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from flows.state import FORMAT, Packer, StateError, pack, unpack
from oodl.coding import Codes
from oodl.stream import Block, GroupCoder, GroupState
from tests.golden.record import FINGERPRINT, HERE, STATE


def block(first: int, last: int) -> Block:
    offsets = np.arange(first, last)
    rng = np.random.default_rng(7)
    values = rng.standard_normal((400, 3)) @ np.array([[1.0, 0.5, 0.0], [0, 1, 0], [0, 0, 9]])
    values[::17, 1] = np.nan
    return Block(
        channels=("a", "b", "é"), settled=True, values=values[first:last],
        times=offsets.astype(np.float64) * 60, offsets=offsets,
    )  # fmt: skip


def stepped(rows: int, window: int = 1) -> GroupState:
    coder = GroupCoder(window=window)
    state, _ = coder.step(coder.start(), block(0, rows))
    return state


def flat(value: Any) -> Any:
    """Every field of a state, arrays as plain values with their type."""
    if is_dataclass(value):
        return [flat(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    return [flat(part) for part in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(("rows", "window"), [(0, 1), (1, 1), (63, 1), (64, 1), (201, 1), (201, 4)])
def test_a_state_comes_back_to_the_last_bit(rows: int, window: int) -> None:
    # given a state before its first reading, in version 0, later on, and in the middle of a frame
    state = stepped(rows, window) if rows else GroupCoder().start()
    assert (state.unfinished is not None) == (window > 1)
    # when it is packed and unpacked
    again, fingerprint = unpack(pack(state, FINGERPRINT))
    # then nothing has changed
    assert flat(again) == flat(state)
    assert fingerprint == FINGERPRINT


@pytest.mark.parametrize("window", [1, 4])
def test_a_group_goes_on_from_a_snapshot_as_if_there_was_none(window: int) -> None:
    # given a state that was packed, and the same that was not
    state = stepped(201, window)
    again, _ = unpack(pack(state, FINGERPRINT))
    # when both go on
    coder = GroupCoder(window=window)
    states, outputs = zip(*(coder.step(start, block(201, 400)) for start in (state, again)),
                          strict=True)  # fmt: skip
    # then they do the same
    assert flat(states[0]) == flat(states[1])
    rows = [[list(codes.rows()) for codes in told if isinstance(codes, Codes)] for told in outputs]
    assert rows[0] == rows[1]


def test_what_was_worked_out_from_a_version_is_not_packed() -> None:
    # given two equal states, one whose version was asked for its id and its exact dictionary
    fresh, used = stepped(201), stepped(201)
    assert used.version is not None
    assert used.version.id
    assert used.version.exact.dtype == np.float64
    # then they pack alike
    assert pack(used, FINGERPRINT) == pack(fresh, FINGERPRINT)


def test_states_of_a_group_are_packed_alike_one_after_another_and_each_alone() -> None:
    """Also those after a full chunk, and of another group: what was packed before is theirs not."""
    packer = Packer()
    for rows in (0, 1, 64, 65, 66, 201, 1):
        state = stepped(rows) if rows else GroupCoder().start()
        assert packer(state, FINGERPRINT) == pack(state, FINGERPRINT)
    coder, state = GroupCoder(), stepped(100)
    for row in range(100, 140):
        state, _ = coder.step(state, block(row, row + 1))
        assert packer(state, FINGERPRINT) == pack(state, FINGERPRINT)


def test_an_unpacked_state_cannot_be_written_to() -> None:
    again, _ = unpack(pack(stepped(201), FINGERPRINT))
    assert again.version is not None
    with pytest.raises(ValueError, match="read-only"):
        again.version.dictionary[0, 0] = 1


def test_the_golden_state_still_unpacks() -> None:
    state, fingerprint = unpack(STATE.read_bytes())
    assert fingerprint == FINGERPRINT
    assert state.frames == 101
    assert state.version is not None
    assert (state.version.channels, state.version.window) == (("a", "b"), 2)
    assert state.unfinished is not None
    assert state.unfinished.offsets.tolist() == [202]
    assert pack(state, fingerprint) == STATE.read_bytes()


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x00",
        b"\xff" + pack(stepped(64), FINGERPRINT)[1:],
        pack(stepped(64), FINGERPRINT)[:-1],
        pack(stepped(64), FINGERPRINT)[:10],
        pack(stepped(64), FINGERPRINT) + b"x",
        bytes([FORMAT]) + FINGERPRINT.encode() + b"\x90",
        bytes([FORMAT]) + b"\xff" * 40,
        (HERE / "state-1.bin").read_bytes(),
        pack(stepped(64), FINGERPRINT).replace(b"<f4", b"<?4"),
        pack(stepped(64), FINGERPRINT).replace(b"<f4", b"|O4"),
    ],
    ids=range(11),
)
def test_what_is_no_state_of_this_release_is_refused_with_the_remedy(packed: bytes) -> None:
    with pytest.raises(StateError, match="start this release with an empty recovery folder"):
        unpack(packed)
