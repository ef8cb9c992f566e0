"""Whole judgements, of guides whose faults are known exactly.

Margins are stated in standard deviations over seeds where a test draws random numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pyro_vae.diagnostics import check_baseline, judge
from pyro_vae.errors import DataError
from pyro_vae.posterior import build
from tests.diagnostics.draws import autoregressive, correlated, exact, guide, mean_field, quantile_grid

N = 10_000
GRID = quantile_grid(N)


def test_the_posterior_itself_is_trusted() -> None:
    log_p = norm.logpdf(GRID)
    judgement = judge("perfect", guide(log_p, log_p, x=GRID), exact(x=quantile_grid(N, seed=1)))
    assert judgement.verdict.level == "trusted"
    assert judgement.weights is not None
    assert judgement.weights.constant
    assert judgement.corrected is not None
    assert judgement.missing == ()
    assert judgement.convergence is None
    assert judgement.name == "perfect"


@pytest.mark.parametrize(("rho", "level"), [(0.3, "trusted"), (0.95, "untrusted")])
def test_mean_field_on_a_correlated_gaussian_is_too_narrow_by_exactly(rho: float, level: str) -> None:
    """The sd ratio is sqrt(1 - rho^2): its error from 1e5 draws is .3 %, and the band is 1.5 %. k-hat is |rho|."""
    judgement = judge("mean-field", mean_field(rho, 100_000, seed=0), exact(x=correlated(rho, 100_000, seed=1)))
    np.testing.assert_allclose(judgement.table["sd_ratio"], np.sqrt(1 - rho**2), rtol=0.015)
    np.testing.assert_allclose(judgement.table["delta_mean"], 0, atol=0.02)
    assert judgement.verdict.level == level
    if level == "untrusted":
        assert f"its sd is too small by a factor {1 / np.sqrt(1 - rho**2):.1f}" in judgement.verdict.reason


def test_a_shifted_gaussian_is_to_be_reweighted() -> None:
    x = 0.5 + GRID
    judgement = judge("shifted", guide(norm.logpdf(x), norm.logpdf(x, 0.5), x=x), exact(x=GRID))
    assert judgement.verdict.level == "reweight"
    assert judgement.corrected is not None
    assert abs(judgement.corrected.loc["x", "delta_mean"]) < 0.05


@pytest.mark.parametrize("misfit", [(0.0, 1.0), (-0.01, 0.99), (0.02, 0.98)], ids=["perfect", "narrow", "shifted"])
def test_one_of_two_modes_is_untrusted_although_khat_looks_good(misfit: tuple[float, float]) -> None:
    """N(4, 1), as a fit finds it, for an even mixture of N(-4, 1) and N(4, 1), which has mean 0 and sd sqrt(17)."""
    loc, scale = 4 + misfit[0], misfit[1]
    x = loc + scale * GRID[:4000]
    log_p = np.logaddexp(norm.logpdf(x, -4), norm.logpdf(x, 4)) + np.log(0.5)
    both = np.concatenate([quantile_grid(2000) - 4, quantile_grid(2000) + 4])
    judgement = judge("one mode", guide(log_p, norm.logpdf(x, loc, scale), x=x), exact(x=both))
    assert judgement.weights is not None
    assert judgement.weights.khat < 0.5
    assert judgement.verdict.level == "untrusted"
    assert "its mean is 0.9" in judgement.verdict.reason
    assert "It misses a mode of x near -4 that holds 50 % of the posterior." in judgement.verdict.reason
    assert "looks good, but weights know only where the guide has draws" in judgement.verdict.reason


def test_chains_that_did_not_converge_give_no_verdict() -> None:
    chains = build({"posterior": {"x": GRID[:4000].reshape(4, 1000) + np.arange(4)[:, None]}})
    judgement = judge("any", guide(x=GRID), chains)
    assert judgement.verdict.level == "none"
    assert not judgement.health.counts
    assert len(judgement.table) == 1


def test_chains_that_converged_count() -> None:
    chains = build({"posterior": {"x": autoregressive(0.3, (4, 1000), seed=0)}})
    assert judge("any", guide(x=GRID), chains).verdict.level == "trusted"


def test_exact_draws_in_one_chain_count_if_it_is_said_that_they_are_exact() -> None:
    one_chain = build({"posterior": {"x": GRID[None]}}, attrs={"engine": "none"})
    assert judge("any", guide(x=GRID), one_chain).verdict.level == "none"
    assert judge("any", guide(x=GRID), one_chain, exact_baseline=True).verdict.level == "trusted"
    assert one_chain.attrs == {"engine": "none"}


def test_too_few_draws_give_no_verdict_and_the_reason_says_so() -> None:
    judgement = judge("few", guide(x=GRID[:80]), exact(x=GRID))
    assert judgement.verdict.level == "none"
    assert "Monte-Carlo error of the mean of x is 0.1" in judgement.verdict.reason
    with pytest.raises(DataError, match="got 20"):
        judge("very few", guide(x=GRID[:20]), exact(x=GRID))


def test_draws_without_densities_are_judged_as_they_are() -> None:
    plain = build({"posterior": {"x": 2 * GRID[None]}})
    judgement = judge("plain", plain, exact(x=GRID))
    assert judgement.weights is None
    assert judgement.corrected is None
    assert "no importance weights" in judgement.verdict.reason


def test_unusable_weights_are_a_reason_and_no_error() -> None:
    log_p = norm.logpdf(2 * GRID)
    log_p[5] = np.nan
    judgement = judge("broken", guide(log_p, norm.logpdf(GRID), x=2 * GRID), exact(x=GRID))
    assert judgement.verdict.level == "untrusted"
    assert judgement.corrected is None
    assert "1 of 10000 importance weights is NaN" in judgement.verdict.reason


def test_a_fit_that_was_still_moving_is_named_as_a_likely_cause() -> None:
    rising, flat = np.linspace(-50, -30, 2000), np.full(2000, -30.0)
    off, right = guide(x=2 * GRID), guide(x=GRID)
    assert (
        "may not have been finished: the bound was still rising"
        in judge("off", off, exact(x=GRID), rising).verdict.reason
    )
    assert "finished" not in judge("off", off, exact(x=GRID), flat).verdict.reason
    still_moving = judge("right", right, exact(x=GRID), rising)
    assert still_moving.convergence is not None
    assert not still_moving.convergence.converged
    assert still_moving.verdict.level == "trusted"
    assert "finished" not in still_moving.verdict.reason


def test_what_was_not_compared_is_kept() -> None:
    judgement = judge("any", guide(x=GRID, extra=GRID), exact(x=GRID))
    assert judgement.not_compared == ("extra is not in the baseline",)
    assert list(judgement.table.index) == ["x"]


def test_health_that_is_known_is_not_computed_again() -> None:
    base = exact(x=GRID)
    health = check_baseline(base)
    assert judge("any", guide(x=GRID), base, health=health).health is health
