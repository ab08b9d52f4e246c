import numpy as np
import pytest

from benchmarks.real import (
    BARS,
    DEFAULT,
    FARTHEST,
    SHARES,
    TO_BEAT,
    Entry,
    Pca,
    bars_of,
    blocks,
    largest,
    leading,
    measure,
    prequential,
    pursued,
    ratio,
    standardised,
)
from benchmarks.rivals import Ours
from benchmarks.sets import DATA, SETS
from oodl.synthetic import random_orthogonal


def correlated(rows: int, n: int = 6) -> np.ndarray:
    rng = np.random.default_rng(1)
    mixed = rng.standard_normal((rows, n)) * np.geomspace(3, 0.1, n)
    return (mixed @ random_orthogonal(n, rng).T).astype(np.float32)


def test_blocks_cover_all_rows_once_and_in_order() -> None:
    cut = blocks(1000, 8)
    assert [part.start for part in cut] == [0, *(part.stop for part in cut[:-1])]
    assert cut[-1].stop == 1000


def test_standardising_a_row_does_not_look_ahead() -> None:
    Y = correlated(400).astype(np.float64)
    changed = Y.copy()
    changed[300:] *= 7
    assert np.array_equal(standardised(Y)[:300], standardised(changed)[:300])


def test_missing_values_are_the_mean_and_far_ones_are_cut_off() -> None:
    Y = correlated(400).astype(np.float64)
    Y[200, 0], Y[201, 1] = np.nan, 1e9
    U = standardised(Y)
    assert (U[200, 0], U[201, 1]) == (0, FARTHEST)


def test_a_row_is_coded_before_it_is_learned_from() -> None:
    """A block of one direction: the identity leaves most of it, and is what it is coded with."""
    n = 8
    U = np.tile(np.full(n, 1.0, np.float32), (blocks(100, n)[0].stop, 1))
    assert prequential(Pca(), largest, U)[0] == pytest.approx(np.sqrt(1 - 1 / n))


def test_pca_leaves_what_the_trailing_eigenvalues_say() -> None:
    U = correlated(6000)
    variances = np.linalg.eigvalsh(np.cov(U.T))[::-1]
    expected = [np.sqrt(variances[k:].sum() / variances.sum()) for k in (1, 1, 2)]
    assert prequential(Pca(), leading, U) == pytest.approx(expected, rel=0.03)


def test_pursuit_over_orthogonal_atoms_takes_the_largest() -> None:
    Y, D = correlated(50), random_orthogonal(6, np.random.default_rng(2))
    assert np.allclose(pursued(Y, D, 4), largest(Y, D, 4), atol=1e-4)


def test_pursuit_fits_what_it_took_as_well_as_least_squares() -> None:
    rng = np.random.default_rng(3)
    atoms = rng.standard_normal((6, 6))
    atoms /= np.linalg.norm(atoms, axis=0)
    y = rng.standard_normal(6)
    first = int(np.abs(y @ atoms).argmax())
    rest = y - atoms[:, first] * (y @ atoms[:, first])
    second = int(np.abs(rest @ atoms).argmax())
    left = np.linalg.lstsq(atoms[:, [first, second]], y, rcond=None)[1]
    assert pursued(y[None, :], atoms, 2)[0, 1] == pytest.approx(left[0])


def test_the_best_setting_is_told_and_a_limit_on_groups_kept() -> None:
    groups = {"a": correlated(500), "b": correlated(500)}
    setting, errors = measure(Entry((Pca(1), Pca(500)), largest, 1), groups)
    assert (setting, list(errors)) == ("Pca(memory=1)", ["a"])


def test_bars_of_absent_sets_do_not_hold() -> None:
    errors = {"a": np.full(len(SHARES), 0.5)}
    bars = bars_of({"asd": {DEFAULT: ("", errors), TO_BEAT: ("", errors)}})
    assert len(bars) == sum(map(len, BARS.values()))
    assert [bar.measured for bar in bars if bar.measured is not None] == [1.0]


@pytest.mark.skipif(not (DATA / SETS["skab"].file).exists(), reason="the real sets are not here")
def test_on_a_fresh_experiment_the_default_beats_the_first_components() -> None:
    groups = SETS["skab"].read(DATA / SETS["skab"].file)
    U = {name: standardised(Y) for name, Y in list(groups.items())[:3]}
    _, ours = measure(Entry((Ours(),)), U)
    _, rival = measure(Entry((Pca(),), leading), U)
    assert (ratio(ours, rival) < 0.9).all()
