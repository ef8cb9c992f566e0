"""Verdicts from importance weights alone, of guides whose faults are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from pyro_vae.diagnostics import judge, weights_baseline
from pyro_vae.errors import OptionError
from pyro_vae.posterior import build
from tests.diagnostics.draws import guide, mean_field

N = 10_000


def normal(mean: float, sd: float, n: int = N, seed: int = 0) -> xr.DataTree:
    """A guide N(mean, sd^2) of the posterior N(0, 1)."""
    x = mean + sd * np.random.default_rng(seed).normal(size=n)
    return guide(norm.logpdf(x), norm.logpdf(x, mean, sd), x=x)


def bimodal(locs: tuple[float, ...], sd: float, seed: int = 0) -> xr.DataTree:
    """A guide of normals at ``locs`` for an even mixture of N(-4, 1) and N(4, 1)."""
    rng = np.random.default_rng(seed)
    x = rng.choice(locs, N) + sd * rng.normal(size=N)
    log_q = np.logaddexp.reduce([norm.logpdf(x, loc, sd) for loc in locs]) - np.log(len(locs))
    return guide(np.logaddexp(norm.logpdf(x, -4), norm.logpdf(x, 4)) - np.log(2), log_q, x=x)


def verdict_of(name: str, guides: dict[str, xr.DataTree]):
    return judge(name, guides[name], weights_baseline(guides)).verdict


@pytest.mark.parametrize(
    ("mean", "sd", "level"),
    [
        (0.0, 1.0, "trusted"),
        (0.1, 1.05, "trusted"),
        (0.6, 1.0, "reweight"),
        (0.0, 1.5, "reweight"),
        (0.0, 0.25, "untrusted"),
    ],
)
def test_the_level_of_a_gaussian(mean: float, sd: float, level: str) -> None:
    """A guide of sd .25 has k = 1 - 1/16 = .94; the others a k of 0, or light tails."""
    verdict = verdict_of("one", {"one": normal(mean, sd)})
    assert verdict.level == level, verdict.reason
    assert verdict.evidence == "importance weights alone"


def test_nothing_is_trusted_where_khat_may_be_too_large_by_chance() -> None:
    """sd .65: k = .58, so at 1000 draws its upper limit is above .7; and off by more than 1.3, so never trusted."""
    for seed in range(20):
        assert verdict_of("one", {"one": normal(0.0, 0.65, n=1000, seed=seed)}).level != "trusted"


def test_a_guide_to_be_reweighted_is_doubted_where_khat_may_be_too_large() -> None:
    """sd .4 has k = .84, and 1e4 draws say .65: reweighted draws are too narrow, and nothing but the doubt shows it."""
    verdict = verdict_of("one", {"one": normal(0.0, 0.4)})
    assert verdict.level == "reweight"
    assert "take more draws to be sure of them" in verdict.reason


def test_mean_field_is_judged_on_the_better_guides_draws_and_told_where_it_is_wrong() -> None:
    z = np.random.default_rng(1).multivariate_normal([0, 0], [[1, 0.95], [0.95, 1]], N)
    log_p = mean_field_log_p(z, 0.95)
    guides = {"mean-field": mean_field(0.95, N, seed=0), "full-rank": guide(log_p, log_p, x=z)}
    verdict = verdict_of("mean-field", guides)
    assert verdict.level == "untrusted"
    assert "its sd is too small by a factor 3." in verdict.reason
    assert verdict_of("full-rank", guides).level == "trusted"
    alone = verdict_of("mean-field", {"mean-field": guides["mean-field"]})
    assert alone.level == "untrusted"
    assert "can neither say in which nor mend it" in alone.reason


def mean_field_log_p(z: np.ndarray, rho: float) -> np.ndarray:
    precision = np.array([[1, -rho], [-rho, 1]]) / (1 - rho**2)
    return -0.5 * np.einsum("ni,ij,nj->n", z, precision, z) - np.log(2 * np.pi * np.sqrt(1 - rho**2))


def test_a_missed_mode_is_not_seen_and_it_is_said_so() -> None:
    verdict = verdict_of("one mode", {"one mode": bimodal((4.0,), 1.0)})
    assert verdict.level == "trusted"
    assert "a mode where no guide has draws cannot be seen" in verdict.reason


def test_a_guide_that_finds_more_evidence_shows_what_another_missed() -> None:
    """The one that covers both modes has the larger k-hat, and is the ruler all the same."""
    guides = {"one mode": bimodal((4.0,), 1.0), "both": bimodal((-4.0, 4.0), 1.3)}
    assert weights_baseline(guides).attrs["guide"] == "both"
    verdict = verdict_of("one mode", guides)
    assert verdict.level == "untrusted"
    assert "It misses a mode of x near -3.96" in verdict.reason


def test_bounds_that_settle_it_are_said() -> None:
    assert "The weights bound every mean's error at" in verdict_of("one", {"one": normal(0.02, 1.0)}).reason
    assert "bounds on the errors are wider" in verdict_of("one", {"one": normal(0.25, 1.1)}).reason.lower()


def test_too_few_draws_and_missing_densities_give_no_verdict() -> None:
    few = verdict_of("few", {"few": normal(0.3, 1.1, n=300)})
    assert few.level == "none"
    assert "Take more draws" in few.reason
    bare = {"bare": build({"posterior": {"x": np.random.default_rng(0).normal(size=(1, 1000))}})}
    found = verdict_of("bare", bare)
    assert (found.level, found.evidence) == ("none", "importance weights alone")
    assert "carry no densities" in found.reason


def test_without_a_guide_there_is_no_ruler() -> None:
    with pytest.raises(OptionError, match="at least one guide"):
        weights_baseline({})
