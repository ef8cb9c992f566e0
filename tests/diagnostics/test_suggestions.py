"""Findings and suggestions on posteriors and guides whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from pyro_vae.diagnostics import judge
from tests.diagnostics.draws import correlated, exact, guide, mean_field

N = 10_000


def funnel(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    v = rng.normal(size=n)
    return np.stack([v, np.exp(v) * rng.normal(size=n)], axis=1)


def independent(x: np.ndarray, seed: int, scale: float = 1.0) -> xr.DataTree:
    """Independent normals of the same means and ``scale`` times the sds, with weights that are beyond use."""
    z = x.mean(0) + scale * x.std(0) * np.random.default_rng(seed).normal(size=x.shape)
    return guide(3 * np.random.default_rng(seed).standard_cauchy(len(z)), np.zeros(len(z)), x=z)


def kinds(judgement) -> dict[str, tuple[float, float]]:
    return {finding.kind: (finding.baseline, finding.guide) for finding in judgement.findings}


def test_a_missed_correlation_is_found_and_a_full_rank_guide_suggested() -> None:
    judgement = judge("mean-field", mean_field(0.95, N, seed=0), exact(x=correlated(0.95, N, seed=1)))
    theirs, ours = kinds(judgement)["correlation"]
    assert theirs == pytest.approx(6 / np.pi * np.arcsin(0.95 / 2), abs=0.01)  # Spearman's, of a Gaussian
    assert abs(ours) < 0.05
    assert [suggestion.kind for suggestion in judgement.suggestions] == ["full-rank"]
    assert "correlation of 0.9" in judgement.suggestions[0].because


def test_a_funnel_is_found_and_the_non_centred_form_suggested() -> None:
    """From the lowest to the highest fifth of v its mean rises by 2.8, so x is some e^2.8 = 16 times as wide."""
    judgement = judge("mean-field", independent(funnel(N, 0), 1, 0.5), exact(x=funnel(N, 2)))
    theirs, ours = kinds(judgement)["widening"]
    assert 8 < theirs < 32
    assert 0.8 < ours < 1.25
    assert judgement.suggestions[0].kind == "parametrisation"
    assert "x[1] is" in judgement.suggestions[0].because


def test_skewness_is_found_and_a_flow_suggested_by_a_name_that_there_is() -> None:
    x = np.random.default_rng(0).gamma(1.0, size=(N, 1))
    for names, said in (
        ((), "a flow, which"),
        (("auto_iaf_normal", "auto_neural_spline"), "a flow (auto_neural_spline)"),
    ):
        judgement = judge("normal", independent(x, 1, 0.7), exact(x=x), guides=names)
        assert kinds(judgement)["skewness"][0] > 0.3
        assert judgement.suggestions[0].kind == "flow"
        assert said in judgement.suggestions[0].what


def test_a_missed_mode_calls_for_a_guide_that_covers() -> None:
    rng = np.random.default_rng(0)
    x = 4 + rng.normal(size=N)
    log_p = np.logaddexp(norm.logpdf(x, -4), norm.logpdf(x, 4)) - np.log(2)
    both = rng.choice([-4, 4], N) + rng.normal(size=N)
    judgement = judge("one", guide(log_p, norm.logpdf(x, 4), x=x), exact(x=both))
    assert judgement.suggestions[0].kind == "modes"
    assert "cubo" in judgement.suggestions[0].what


def test_an_unfinished_fit_is_to_be_fitted_longer_and_reweighting_comes_after() -> None:
    z = np.random.default_rng(0).normal(size=N)
    tree = guide(norm.logpdf(z, 0.5), norm.logpdf(z), x=z)
    rising = np.linspace(0, 50, 400)
    judgement = judge("shifted", tree, exact(x=0.5 + np.random.default_rng(1).normal(size=N)), history=rising)
    assert [suggestion.kind for suggestion in judgement.suggestions] == ["steps", "reweight"]
    assert "still rising" in judgement.suggestions[0].because


def test_a_trusted_guide_needs_no_suggestion() -> None:
    z = np.random.default_rng(0).normal(size=N)
    judgement = judge(
        "right", guide(norm.logpdf(z), norm.logpdf(z), x=z), exact(x=np.random.default_rng(1).normal(size=N))
    )
    assert (judgement.suggestions, judgement.findings) == ((), ())


def test_without_a_fault_that_has_a_remedy_the_draws_of_the_baseline_are_suggested() -> None:
    z = 0.7 * np.random.default_rng(0).normal(size=N)
    weights = np.random.default_rng(2).standard_cauchy(N)
    tree = guide(weights, np.zeros(N), x=z + 0.31)
    judgement = judge("off", tree, exact(x=0.75 * np.random.default_rng(1).normal(size=N)))
    assert judgement.verdict.level == "untrusted"
    assert judgement.suggestions[-1].kind in ("nuts", "flow")


def test_few_draws_are_not_searched() -> None:
    z = np.random.default_rng(0).normal(size=100)
    assert judge("few", guide(norm.logpdf(z), norm.logpdf(z), x=z), exact(x=3 * z)).findings == ()
