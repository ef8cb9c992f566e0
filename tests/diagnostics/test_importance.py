"""Pareto's k where it is known exactly, and weights that other implementations call bad or fail on."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
from pyro.infer.importance import psis_diagnostic
from scipy.stats import norm

from pyro_vae.diagnostics import pareto_khat
from pyro_vae.diagnostics.importance import log_importance_weights
from pyro_vae.errors import DataError
from pyro_vae.posterior import build
from tests.diagnostics.draws import guide, mean_field


@pytest.mark.parametrize("rho", [0.3, 0.5, -0.8])
def test_khat_of_mean_field_on_a_correlated_gaussian_is_the_correlation(rho: float) -> None:
    """The mean of ten runs at 1e5 draws is within .1 of |rho|.

    One run has sd .05 at most, and a bias of -.05 at |rho| = .8 (-.02 at .5); so the mean of ten has sd .016, and
    the band is at least 3 of them away: another seed fails in fewer than 3 of 1000 cases.
    """
    khats = [pareto_khat(weights_of(mean_field(rho, 100_000, seed))).khat for seed in range(10)]
    assert np.mean(khats) == pytest.approx(abs(rho), abs=0.1)


def weights_of(tree) -> np.ndarray:
    log_w = log_importance_weights(tree)
    assert log_w is not None
    return log_w


def test_khat_is_that_of_a_pareto_tail() -> None:
    """Weights u^(-k) have shape k exactly. At 1e5 draws one estimate has sd about .05: the band is 4 of them."""
    u = np.random.default_rng(0).uniform(size=100_000)
    for k in (0.2, 0.5, 0.9):
        assert pareto_khat(-k * np.log(u)).khat == pytest.approx(k, abs=0.2)


def test_a_guide_wider_than_the_posterior_has_bounded_weights_and_a_negative_khat() -> None:
    z = 2 * np.random.default_rng(0).normal(size=10_000)
    weights = pareto_khat(norm.logpdf(z) - norm.logpdf(z, scale=2))
    assert weights.khat < 0
    assert weights.reliable
    # E w^2 = s^2 / sqrt(2 s^2 - 1) for N(0, 1) under N(0, s^2): an ESS of sqrt(7)/4 of the draws.
    assert weights.ess == pytest.approx(10_000 * np.sqrt(7) / 4, rel=0.02)


def test_a_constant_factor_does_not_matter() -> None:
    log_w = np.random.default_rng(0).normal(size=2000)
    one, other = pareto_khat(log_w), pareto_khat(log_w - 12_345.0)
    assert other.khat == pytest.approx(one.khat, abs=1e-6)
    np.testing.assert_allclose(other.log_weights, one.log_weights, atol=1e-9)


def test_smoothed_weights_are_normalised_and_in_the_order_of_the_draws() -> None:
    log_w = np.random.default_rng(0).normal(size=4000)
    weights = pareto_khat(log_w)
    assert weights.n == 4000
    assert np.exp(weights.log_weights).sum() == pytest.approx(1)
    np.testing.assert_array_equal(np.argsort(weights.log_weights), np.argsort(log_w))
    assert weights.ess == pytest.approx(1 / np.square(np.exp(weights.log_weights)).sum())


@pytest.mark.parametrize("rounding", [0.0, 1e-6, 1e-3])
def test_constant_weights_are_the_best_case(rounding: float) -> None:
    noise = rounding * np.random.default_rng(0).normal(size=4000)
    weights = pareto_khat(-31.3 + noise.round(6))
    assert weights.constant
    assert weights.reliable
    assert weights.khat == 0
    assert weights.ess == 4000
    np.testing.assert_allclose(np.exp(weights.log_weights), 1 / 4000)


def test_pyro_calls_a_perfect_guide_infinitely_bad() -> None:
    def normal() -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))

    with pytest.warns(UserWarning, match="Not enough tail samples"):
        assert psis_diagnostic(normal, normal, num_particles=1000) == np.inf
    assert pareto_khat(np.zeros(1000)).khat == 0


def test_weights_that_do_vary_are_not_called_constant() -> None:
    assert not pareto_khat(0.05 * np.random.default_rng(0).normal(size=4000)).constant


def test_draws_without_density_have_weight_zero() -> None:
    rng = np.random.default_rng(0)
    log_w = rng.normal(size=4000)
    outside = rng.uniform(size=4000) < 0.3
    weights = pareto_khat(np.where(outside, -np.inf, log_w))
    assert weights.statement == f"the model has no density at {outside.sum()} of the guide's 4000 draws"
    assert weights.reliable
    assert (weights.log_weights[outside] == -np.inf).all()
    assert np.exp(weights.log_weights).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("bad", "count", "said"),
    [
        (np.nan, 1, "1 of 4000 importance weights is NaN"),
        (np.nan, 2, "2 of 4000 importance weights are NaN"),
        (np.inf, 1, "1 of 4000 importance weights is infinite"),
        (-np.inf, 4000, "the model has no density at 4000 of the guide's 4000 draws"),
        (-np.inf, 3900, "the model has no density at 3900 of the guide's 4000 draws"),
    ],
)
def test_weights_that_cannot_be_used_are_infinitely_bad_and_say_why(bad: float, count: int, said: str) -> None:
    log_w = np.random.default_rng(0).normal(size=4000)
    log_w[:count] = bad
    weights = pareto_khat(log_w)
    assert weights.khat == np.inf
    assert weights.ess == 0
    assert not weights.reliable
    assert weights.statement == said


@pytest.mark.parametrize("spread", [10, 300, 1000, 1e5])
def test_weights_of_any_spread_have_a_bad_khat_even_where_they_underflow(spread: float) -> None:
    weights = pareto_khat(spread * np.random.default_rng(0).normal(size=4000))
    assert weights.khat > 3
    assert not np.isnan(weights.ess)
    assert not weights.reliable


def test_one_draw_that_carries_all_the_weight_is_infinitely_bad() -> None:
    log_w = np.linspace(-5000, -4000, 4000)
    log_w[0] = 0.0
    weights = pareto_khat(log_w)
    assert weights.khat == np.inf
    assert "a few draws carry all the weight" in weights.statement


def test_weights_with_few_values_have_no_tail() -> None:
    """As with discrete latents: the largest weight is taken by many draws, and arviz-stats raises or gives NaN."""
    for share in (0.2, 0.02):
        heads = np.random.default_rng(0).uniform(size=4000) < share
        weights = pareto_khat(np.where(heads, 1.0, 0.0))
        assert weights.khat == 0
        assert weights.statement == "the largest weights are equal, so there is no tail to fit"
        assert np.exp(weights.log_weights).sum() == pytest.approx(1)


def test_too_few_draws_are_an_error_that_says_how_many_are_needed() -> None:
    with pytest.raises(DataError, match="at least 25 importance weights, got 24"):
        pareto_khat(np.arange(24.0))
    assert pareto_khat(np.arange(25.0)).n == 25


def test_weights_are_read_in_the_order_of_chains_and_draws() -> None:
    log_p = np.arange(12.0).reshape(2, 6)
    tree = build({"posterior": {"x": log_p}, "sample_stats": {"log_p": log_p, "log_q": np.ones((2, 6))}})
    np.testing.assert_array_equal(weights_of(tree), np.arange(12.0) - 1)
    assert log_importance_weights(build({"posterior": {"x": log_p}})) is None
    assert log_importance_weights(build({"posterior": {"x": log_p}, "sample_stats": {"lp": log_p}})) is None
    assert weights_of(guide(x=np.zeros(30))).shape == (30,)
