"""Atoms of a dictionary: how much they are used, and which channels move together in them."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from flows.wire import CodeMessage
from oodl.coding import Version

__all__ = ["Atom", "Part", "Ranked", "atoms_of"]

Ranked = Literal["used", "energy"]
Floats = npt.NDArray[np.float64]

WAVEFORM = 16  # numbered channels from which on an atom is shown as a curve
STRONGEST = 4  # channels of an atom that are told
WEAK = 0.1  # share of an atom's square below which a channel has no part in it


class Part(msgspec.Struct):
    """What a channel does in an atom.

    Attributes
    ----------
    weight : float
        In channel standard deviations a unit of the atom; with windows the root of its square over
        the window, and without a sign.
    shape : list of float
        With windows what it does over them; else empty.
    """

    channel: str
    weight: float
    shape: list[float]


class Atom(msgspec.Struct):
    """An atom.

    Attributes
    ----------
    atom : int
        Its column.
    used, energy : float or None
        Share of the codes that have it, and its share of their energy; None without codes.
    channels : list of Part
        The strongest.
    curve : list of float
        The whole atom, where channels have no names of their own: samples of a waveform.
    """

    atom: int
    used: float | None
    energy: float | None
    channels: list[Part]
    curve: list[float]


def atoms_of(version: Version, codes: Sequence[CodeMessage], ranked: Ranked) -> list[Atom]:
    """Return the atoms of a version, those first that its codes use most, or give most energy.

    Parameters
    ----------
    version : Version
    codes : sequence of CodeMessage
        Those of other versions are left out.
    ranked : str
    """
    own = [code for code in codes if code.id == version.id]
    counts, energies = np.zeros((2, len(version.dictionary)))
    for code in own:
        counts[list(code.atoms)] += 1
        energies[list(code.atoms)] += np.square(code.values)
    used = counts / max(1, len(own))
    energy = energies / max(energies.sum(), np.finfo(float).tiny)
    key = used if ranked == "used" else energy
    order = np.lexsort((-energy, -key))
    return [
        Atom(
            int(place),
            float(used[place]) if own else None,
            float(energy[place]) if own else None,
            _strongest(version, version.exact[:, place]),
            version.exact[:, place].tolist() if _nameless(version) else [],
        )
        for place in order.tolist()
    ]


def _nameless(version: Version) -> bool:
    """Whether channels are only numbered, and as many as the samples of a waveform."""
    n = len(version.channels)
    return n >= WAVEFORM and version.channels == tuple(map(str, range(n)))


def _strongest(version: Version, atom: Floats) -> list[Part]:
    shapes = atom.reshape(version.window, len(version.channels)).T
    squares = np.square(shapes).sum(axis=1)
    found: list[Part] = []
    for place in np.argsort(-squares, kind="stable").tolist()[:STRONGEST]:
        if found and squares[place] < WEAK * squares.max():
            break
        single = version.window == 1
        weight = shapes[place, 0] if single else np.sqrt(squares[place])
        shape = [] if single else shapes[place].tolist()
        found.append(Part(version.channels[place], float(weight), shape))
    return found
