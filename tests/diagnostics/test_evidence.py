"""The log evidence where it is known, and whether the stated errors are the errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pyro_vae.diagnostics import bridge_sampling, evidence_from_weights, iwae_bound
from pyro_vae.errors import DataError, OptionError
from tests.diagnostics.draws import autoregressive

LOG_Z = -3.0


def log_ratio(z: np.ndarray, mean: float, sd: float) -> np.ndarray:
    """log of e^LOG_Z N(z; mean, sd^2) over the proposal N(0, 1)."""
    return LOG_Z + norm.logpdf(z, mean, sd) - norm.logpdf(z)


def coverage(runs: list) -> tuple[float, float]:
    """Of 95 % intervals, and the sd of the errors in units of the mean stated one."""
    errors = np.array([run.value - LOG_Z for run in runs])
    stated = np.array([run.se for run in runs])
    return float(np.mean(np.abs(errors) < 1.96 * stated)), float(np.std(errors) / np.mean(stated))


@pytest.mark.parametrize("rho", [0.0, 0.95], ids=["independent", "autocorrelated"])
def test_bridge_sampling_is_right_and_its_errors_are_honest(rho: float) -> None:
    """200 runs with four chains of 500 draws. Bands: coverage .90 to .99 (3 sds are .046), ratio of sds .8 to 1.25."""
    runs = []
    for seed in range(200):
        posterior = 0.8 + 0.7 * autoregressive(rho, (4, 500), seed)
        proposed = np.random.default_rng([seed, 1]).normal(size=1000)
        runs.append(bridge_sampling(log_ratio(posterior, 0.8, 0.7), log_ratio(proposed, 0.8, 0.7)))
    covered, ratio = coverage(runs)
    assert 0.90 <= covered <= 0.99, (covered, ratio)
    assert 0.8 <= ratio <= 1.25, (covered, ratio)
    assert all(run.reliable for run in runs)


def test_bridge_sampling_needs_less_of_its_proposal_than_weights() -> None:
    """N(0, 2^2) from N(0, 1): k = 3/4, so weights fail; the bridge's terms are bounded."""
    rng = np.random.default_rng(0)
    found = bridge_sampling(log_ratio(2 * rng.normal(size=(4, 1000)), 0, 2), log_ratio(rng.normal(size=4000), 0, 2))
    assert abs(found.value - LOG_Z) < 4 * found.se < 0.2


def test_weights_find_the_evidence_and_their_errors_are_honest() -> None:
    """200 runs of 1000 draws, k near 0; bands as for bridge sampling."""
    rng = np.random.default_rng(0)
    runs = [evidence_from_weights(log_ratio(rng.normal(size=1000), 0.6, 0.9)) for _ in range(200)]
    covered, ratio = coverage(runs)
    assert 0.90 <= covered <= 0.99, (covered, ratio)
    assert 0.8 <= ratio <= 1.25, (covered, ratio)


def test_constant_weights_know_the_evidence() -> None:
    found = evidence_from_weights(np.full(1000, LOG_Z))
    assert found.value == pytest.approx(LOG_Z)
    assert found.se == pytest.approx(0, abs=1e-9)
    assert found.reliable


def test_a_heavy_tail_is_said() -> None:
    rng = np.random.default_rng(0)
    found = evidence_from_weights(log_ratio(rng.normal(size=10_000), 0, 4.0))  # k = .94
    assert not found.reliable
    assert "not below 0.7" in str(found)
    middling = evidence_from_weights(log_ratio(rng.normal(size=100_000), 0, 1.6))  # k = .61
    assert not middling.reliable
    assert "too low by more" in middling.statement
    assert np.isnan(evidence_from_weights(np.full(100, np.nan)).value)


def test_the_iwae_bound_rises_with_k_and_stays_below() -> None:
    """K(log Z - L_K) tends to chi^2 / 2 of N(.6, .9^2) from N(0, 1), .20: the bands are four standard errors."""
    log_w = log_ratio(np.random.default_rng(0).normal(size=400_000), 0.6, 0.9)
    bounds = [iwae_bound(log_w, K) for K in (1, 4, 16, 64)]
    values = [bound.value for bound in bounds]
    assert values == sorted(values)
    assert all(bound.value < LOG_Z + 4 * bound.se for bound in bounds)
    chi2 = np.exp(0.36 / (2 - 0.81)) / (0.9 * np.sqrt(2 - 0.81)) - 1
    assert abs(64 * (LOG_Z - values[-1]) - chi2 / 2) < 4 * 64 * bounds[-1].se
    assert "psis" not in str(bounds[0])


def test_what_cannot_be_estimated_is_refused() -> None:
    with pytest.raises(OptionError, match="at least two"):
        iwae_bound(np.zeros(100), 60)
    with pytest.raises(DataError, match="4 draws"):
        bridge_sampling(np.zeros((4, 3)), np.zeros(100))
    with pytest.raises(DataError, match="some draws of the posterior"):
        bridge_sampling(np.full((4, 30), -np.inf), np.zeros(100))
    with pytest.raises(DataError, match="any draw of the proposal"):
        bridge_sampling(np.zeros((4, 30)), np.full(100, -np.inf))


def test_a_proposal_that_is_partly_outside_the_support_is_no_error() -> None:
    """The posterior is uniform on (0, 1) with e^LOG_Z, the proposal uniform on (-1, 1): half of it has no density."""
    rng = np.random.default_rng(0)
    outside = np.where(rng.uniform(size=4000) < 0.5, -np.inf, LOG_Z + np.log(2))
    found = bridge_sampling(np.full((4, 1000), LOG_Z + np.log(2)), outside)
    assert abs(found.value - LOG_Z) < 4 * found.se < 0.1
