import numpy as np

from benchmarks.polar import Adapted, Eigh, NewtonSchulz
from benchmarks.recovery import Setting
from benchmarks.steps import Outcome, verdict
from oodl.oracle import Svd


def well_conditioned() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rng = np.random.default_rng(0)
    return np.eye(16) + 0.1 * rng.standard_normal((16, 16))


def test_eigh_agrees_with_svd() -> None:
    G = well_conditioned()
    np.testing.assert_allclose(Eigh()(G), Svd()(G), atol=1e-10)


def test_coefficients_fitted_to_a_dimension_serve_it_better() -> None:
    G = np.random.default_rng(1).standard_normal((16, 16))
    exact = Svd()(G)
    fitted, usual = (np.linalg.norm(way(G) - exact) for way in (Adapted(), NewtonSchulz()))
    assert fitted < usual


def test_a_verdict_says_how_much_worse() -> None:
    setting = Setting(16, 0.1, 16)
    reference = Outcome("as it is", setting, (1e-2, 1e-3, 1e-4), 10.0)
    worse = Outcome("other", setting, (1e-2, 1e-3, 3e-4), 5.0)
    cheaper = Outcome("other", setting, (1e-2, 1e-3, 1e-4), 5.0)
    slow = Outcome("other", setting, (3e-2, 1e-3, 1e-4), 10.0)
    diverged = Outcome("other", setting, (1e-2, 1e-3, np.inf), 5.0)
    assert verdict(worse, reference) == "no: 3 times the error"
    assert verdict(cheaper, reference) == "as near, cheaper: 0.50 of the CPU time"
    assert verdict(slow, reference).startswith("slow, 3 times the error at first, then as near")
    assert verdict(diverged, reference) == "no: inf times the error"
