"""Versions, rules and codes."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from oodl.coding import Atoms, Tolerance
from oodl.encoding import encode
from oodl.errors import ValueFault
from tests.checks.encoding import version


def test_parts_of_codes_are_the_codes_of_the_parts() -> None:
    readings = 10 + 2 * np.random.default_rng(5).standard_normal((9, 8))
    readings[4, 2] = np.nan
    (codes,) = encode(version(8), Tolerance(0.1), readings, np.arange(9), np.zeros(9))
    assert [*codes.part(0, 4).rows(), *codes.part(4, 9).rows()] == list(codes.rows())


def test_the_id_is_that_of_the_documented_bytes() -> None:
    chosen = version(2)
    head = json.dumps([["c0", "c1"], 1, 1, 0.5], separators=(",", ":")).encode()
    arrays = [chosen.mean.astype("<f8"), chosen.scale.astype("<f8")]
    body = b"".join(a.tobytes() for a in arrays) + chosen.dictionary.astype("<f4").tobytes()
    assert chosen.id == hashlib.sha256(head + body).hexdigest()[:16]


def test_the_id_tells_content_apart_and_ignores_the_number() -> None:
    chosen = version(2)
    assert chosen.id == replace(chosen, number=9, restart=True).id
    others = [replace(chosen, limit=0.6), replace(chosen, mean=chosen.mean + 1), version(2, 1)]
    assert len({chosen.id, *(other.id for other in others)}) == 4


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 5e-324, 1e155])
def test_a_tolerance_that_makes_no_sense_is_refused(value: float) -> None:
    with pytest.raises(ValueFault, match="tolerance: expected a finite number above 0"):
        Tolerance(value)


def test_no_atoms_are_refused() -> None:
    with pytest.raises(ValueFault, match="atoms: expected at least 1, got 0"):
        Atoms(0)
