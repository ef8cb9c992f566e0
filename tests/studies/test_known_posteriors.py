"""Comparisons whose right answer is known: numbers and verdicts against closed forms and quadrature."""

from __future__ import annotations

import json

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr

import pyro_vae as pv
from pyro_vae.diagnostics import pareto_khat
from pyro_vae.posterior import build


def log_weights(fit: pv.Fit, draws: int, seed: int) -> np.ndarray:
    """Log importance weights of fresh draws, ``[draws]``; their mean is the bound."""
    tree = fit.posterior(draws=draws, seed=seed, predictive=False, log_likelihood=False, prior=0)
    return (tree["sample_stats"]["log_p"] - tree["sample_stats"]["log_q"]).values.ravel()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "khat", "spread"), [("eight_schools", 0.9, 0.25), ("eight_schools_noncentered", 0.55, 0.25)]
)
def test_eight_schools(name: str, khat: float, spread: float) -> None:
    """The bound of 1e5 draws has a standard error of .004 (centred): .05 is what the fit may fall short.

    k-hat of 1e4 draws has a standard deviation of .09. E tau within 3 standard errors is said of the baseline that
    counts: false in .3 % of seeds; this seed is one of the others.
    """
    program = pv.load_program(name)
    found = pv.compare(program, seed=0, progress=False)
    assert program.reference is not None
    for guide, best in program.reference["best_bound"].items():
        log_w = log_weights(found.fits[guide], 100_000, seed=11)
        error = log_w.std() / np.sqrt(len(log_w))
        assert best["value"] - 0.05 < log_w.mean() < best["value"] + 4 * error, guide
    assert found.judgements["auto_normal"].weights.khat == pytest.approx(khat, abs=spread)

    assert found.health is not None
    assert found.health.counts
    tau = found.baseline["posterior"]["tau"].values
    from arviz_stats.base import array_stats

    error = tau.std() / np.sqrt(float(np.asarray(array_stats.ess(tau, method="mean"))))
    assert abs(tau.mean() - program.reference["parameters"]["tau"]["mean"]) < 3 * error
    attempts = json.loads(found.baseline.attrs["attempts"])
    if name == "eight_schools":
        assert found.verdicts["auto_normal"].level == "untrusted"
        assert found.verdicts["auto_normal"].parameter == "tau"
        assert not attempts[0]["counts"]
        assert attempts[-1]["counts"]
        assert attempts[-1]["parametrisation"] == "baseline_model"
        assert "baseline_model" in found.how
        assert "divergences" in found.how


def correlated(rho: float) -> tuple[object, xr.DataTree]:
    """A model whose posterior is N(0, [[1, rho], [rho, 1]]), and exact draws of it."""
    covariance = torch.tensor([[1.0, rho], [rho, 1.0]])

    def model() -> None:
        pyro.sample("z", dist.MultivariateNormal(torch.zeros(2), covariance))

    draws = np.random.default_rng(0).multivariate_normal(np.zeros(2), covariance.numpy(), size=(1, 20_000))
    return model, build({"posterior": {"z": draws}}, attrs={"exact": True})


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "level"), [(0.5, "trusted"), (0.67, "reweight"), (0.9, "untrusted")])
def test_mean_field_on_a_correlated_gaussian(rho: float, level: str) -> None:
    """sds are sqrt(1 - rho^2) of the right ones and k is rho (Margossian and Saul 2024); full-rank is right.

    At .5 the sds are right within the verdict's factor of 1.3; at .67 they are not, and k is below .7. The fitted sd is
    known to about 1 %. The mean of ten k-hats of 1e5 draws has a standard error of .02 and is low by .03 to .05.
    """
    model, exact = correlated(rho)
    found = pv.compare(model, baseline=exact, guide_draws=100_000, seed=0, progress=False)  # pyright: ignore
    table = found.summary()
    ratios = table.loc["auto_normal", "sd_ratio"].to_numpy()
    np.testing.assert_allclose(ratios, np.sqrt(1 - rho**2), rtol=0.03)
    np.testing.assert_allclose(table.loc["auto_multivariate_normal", "sd_ratio"].to_numpy(), 1.0, rtol=0.03)
    khats = [pareto_khat(log_weights(found.fits["auto_normal"], 100_000, seed)).khat for seed in range(10)]
    assert np.mean(khats) == pytest.approx(rho, abs=0.1)
    assert found.verdicts["auto_normal"].level == level
    assert found.verdicts["auto_multivariate_normal"].level == "trusted"
    if level == "untrusted":
        assert "too small by a factor 2.3" in found.verdicts["auto_normal"].reason


@pytest.mark.slow
def test_the_full_rank_bound_is_the_log_evidence_where_the_posterior_is_gaussian() -> None:
    """With many particles the fit's KL to the posterior is about 2e-4 nats, less than the bound's standard error."""
    program = pv.load_program("linear_regression")
    assert program.reference is not None
    fit = pv.fit(program.model, "auto_multivariate_normal", program.data, num_particles=256, seed=0)
    assert fit.bound_se < 0.002
    assert abs(fit.bound - program.reference["log_evidence"]["value"]) < 2 * fit.bound_se


@pytest.mark.slow
def test_the_funnel_is_as_far_off_as_the_closed_form_says() -> None:
    """Mean-field gives v the variance 1 / (1/9 + 9/2) where 9 is right; on exact draws both guides are untrusted."""
    found = pv.compare("funnel", seed=0, progress=False)
    assert {verdict.level for verdict in found.verdicts.values()} == {"untrusted"}
    v = found.posteriors["auto_normal"]["posterior"]["v"].values
    assert v.var() == pytest.approx(1 / (1 / 9 + 9 / 2), rel=0.15)
