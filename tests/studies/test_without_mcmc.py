"""Comparisons without MCMC, the log evidence of programs, and suggestions that are followed."""

from __future__ import annotations

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

import pyro_vae as pv
from pyro_vae.guides import autoguide
from pyro_vae.posterior import build

DATA = {"x": torch.tensor([0.3, 1.1, 0.8])}
QUICK = {"seed": 0, "progress": False, "compile": False}


def model(x: torch.Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def log_z() -> float:
    """x ~ N(0, I + 11')."""
    x = DATA["x"].double()
    return dist.MultivariateNormal(torch.zeros(3), torch.eye(3) + 1).log_prob(x.float()).item()


def chains(apart: float, draws: int = 1000):
    """Chains of the posterior N(sum x / 4, 1/4), the second one moved."""
    noise = np.random.default_rng(0).normal(size=(4, draws))
    z = float(DATA["x"].sum()) / 4 + 0.5 * noise
    z[1] += apart
    return build({"posterior": {"z": z}})


def test_a_comparison_without_mcmc_says_what_it_rests_on() -> None:
    found = pv.compare(model, DATA, guides=["auto_normal"], baseline="importance", steps=400, **QUICK)
    assert found.evidence == "importance weights alone"
    assert found.verdicts["auto_normal"].level == "trusted"
    assert found.verdicts["auto_normal"].evidence == "importance weights alone"
    assert "no MCMC" in found.how
    assert found.set_aside is None


def test_weights_judge_where_nuts_does_not_count(tmp_path) -> None:
    """A function stands for NUTS here; chains that somebody gave as they are would not be replaced."""
    found = pv.compare(model, DATA, guides=["auto_normal"], baseline=lambda: chains(5.0), steps=400, **QUICK)
    assert found.verdicts["auto_normal"].level == "trusted"
    assert found.evidence == "importance weights alone"
    assert found.set_aside is not None
    assert "NUTS does not count (R-hat" in found.how
    assert (found.save(tmp_path / "report") / "draws" / "set_aside.nc").is_file()
    assert "importance weights alone" in (tmp_path / "report" / "report.html").read_text()


def test_the_log_evidence_of_a_conjugate_model_by_every_method() -> None:
    """Each within four of its standard errors (a chance of 6e-5 each), which have to be small."""
    fit = pv.fit(model, "auto_normal", DATA, steps=400, **QUICK)
    nuts = chains(0.0)
    found = {
        "psis": pv.log_evidence(fit),
        "bridge": pv.log_evidence(nuts, model, DATA),
        "bridge by guide": pv.log_evidence(nuts, proposal=fit),
    }
    for name, evidence in found.items():
        assert abs(evidence.value - log_z()) < max(4 * evidence.se, 1e-4), name
        assert evidence.se < 0.01, name
        assert evidence.reliable, name
    bound = pv.log_evidence(fit, method="iwae", num_particles=8)
    assert bound.is_bound
    assert bound.value < log_z() + 4 * bound.se


def test_errors_of_the_log_evidence_name_what_is_wrong() -> None:
    with pytest.raises(pv.OptionError, match="method"):
        pv.log_evidence(chains(0.0), method="harmonic")
    with pytest.raises(pv.OptionError, match="give the model"):
        pv.log_evidence(chains(0.0))
    with pytest.raises(pv.OptionError, match="proposal"):
        pv.log_evidence(chains(0.0), model, DATA, proposal="student")
    with pytest.raises(pv.DataError, match="log_p and log_q"):
        pv.log_evidence(chains(0.0), method="psis")
    with pytest.raises(pv.OptionError, match="lack the model's site 'z'"):
        pv.log_evidence(build({"posterior": {"y": np.zeros((4, 100))}}), model, DATA)


def test_corrected_draws_of_a_fit_are_the_posteriors() -> None:
    """A fit that was cut short: its own mean is far off, the corrected one within five standard errors."""
    fit = pv.fit(model, "auto_normal", DATA, steps=30, stop=None, **QUICK)
    own, corrected = fit.posterior(4000), fit.corrected(4000)
    mean = float(DATA["x"].sum()) / 4
    error = 0.5 / math.sqrt(corrected.attrs["ess"])
    assert abs(float(corrected["posterior"]["z"].mean()) - mean) < 5 * error
    assert corrected["posterior"]["z"].shape == (1, 4000)
    assert abs(float(own["posterior"]["z"].std()) - 0.5) > abs(float(corrected["posterior"]["z"].std()) - 0.5)


@pytest.mark.slow
def test_the_log_evidence_of_linear_regression_is_covered() -> None:
    """40 sets of exact draws; the normalised errors have an sd between .7 and 1.3 (three of its standard errors)."""
    program = pv.load_program("linear_regression")
    exact = program.reference["log_evidence"]["value"]
    errors = []
    for seed in range(40):
        beta = program.exact_draws(1000, seed)["beta"].reshape(4, 250, 5)
        found = pv.log_evidence(build({"posterior": {"beta": beta}}), program, seed=seed)
        errors.append((found.value - exact) / found.se)
    assert max(map(abs, errors)) < 4
    assert 0.7 < np.std(errors) < 1.3


def _from_the_prior(model):
    """A guide that has its way before it: those by name start near the posterior."""
    return {"full-rank": autoguide("auto_multivariate_normal", model, init="prior")}


def _compared(name, guides, **options):
    program = pv.load_program(name)
    return pv.compare(program, guides=guides(program.model) if callable(guides) else guides, **options, **QUICK)


LINE = {"trusted": 0, "reweight": 1, "none": 2, "untrusted": 3}
FOLLOWED = [
    ("linear_regression", {"guides": ["auto_normal"]}, "full-rank", {"guides": ["auto_multivariate_normal"]}),
    ("bimodal", {"guides": ["auto_normal"]}, "modes", {"estimator": pv.CUBO(), "num_particles": 64, "steps": 2000}),
    (
        "linear_regression",
        {"guides": _from_the_prior, "steps": 150, "stop": None},
        "steps",
        {"guides": _from_the_prior, "steps": 3000, "stop": "auto"},
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("program", "before", "kind", "change"), FOLLOWED, ids=["full-rank", "modes", "steps"])
def test_a_suggestion_that_is_followed_improves_the_verdict(program, before, kind, change) -> None:
    first = _compared(program, **before)
    (judgement,) = first.judgements.values()
    assert kind in [suggestion.kind for suggestion in judgement.suggestions]
    second = _compared(program, **{**before, **change})
    (after,) = second.verdicts.values()
    assert LINE[after.level] < LINE[judgement.verdict.level]


@pytest.mark.slow
def test_the_funnel_written_non_centred_is_trusted() -> None:
    program = pv.load_program("funnel")
    (judgement,) = pv.compare(program, guides=["auto_normal"], **QUICK).judgements.values()
    assert judgement.verdict.level == "untrusted"
    assert judgement.suggestions[0].kind == "parametrisation"
    fit = pv.fit(program.baseline_model, "auto_normal", program.data, **QUICK)
    exact = program.exact_draws(4000, 0)
    # v alone: the sd of exp(v / 2) times noise is not settled by 4000 draws, exact or not
    baseline = build({"posterior": {"v": exact["v"][None]}}, attrs={"exact": True})
    from pyro_vae.diagnostics import judge

    assert judge("non-centred", fit.posterior(10_000), baseline).verdict.level == "trusted"


@pytest.mark.slow
def test_eight_schools_non_centred_are_mended_by_their_weights() -> None:
    """Centred, mean-field is untrusted by weights alone; non-centred it is to be reweighted, and then trusted."""
    (centred,) = pv.compare("eight_schools", guides=["auto_normal"], baseline="importance", **QUICK).verdicts.values()
    assert centred.level == "untrusted"
    found = pv.compare("eight_schools_noncentered", guides=["auto_normal"], baseline="importance", **QUICK)
    (judgement,) = found.judgements.values()
    assert judgement.verdict.level == "reweight"
    assert judgement.suggestions[0].kind == "reweight"
