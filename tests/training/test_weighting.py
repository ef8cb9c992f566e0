"""Fits with beta, annealing and free bits: what the history is, what the bound is, and that they resume to the bit."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae import CyclicalAnnealing, LinearAnnealing, TraceELBO, fit, load_fit
from pyro_vae.errors import OptionError
from pyro_vae.estimators.annealing import Annealing
from pyro_vae.training.stopping import Flat
from tests.training.programs import Y, exact, guide, model
from tests.training.test_saved import OPTIONS, killed_and_resumed, same


def tempered(beta):
    """Mean and sd of the guide at ``beta``: the prior and the guide's entropy times beta, which is a likelihood to the
    power 1 / beta."""
    precision = 1 / 4 + len(Y) / beta
    return (Y.sum() / beta / precision).item(), precision**-0.5


def test_beta_fits_the_tempered_posterior_and_the_bound_is_honest():
    """With a closed-form KL, whose bound is evaluated through the objective itself."""
    result = fit(model, guide, Y, estimator="analytic-kl", beta=4.0, seed=0, steps=600, stop=None)
    loc, scale = tempered(4.0)
    assert result.params["loc"].item() == pytest.approx(loc, abs=0.05)
    assert result.params["scale"].item() == pytest.approx(scale, abs=0.05)
    mean, sd, evidence = exact()
    fitted = dist.Normal(result.params["loc"], result.params["scale"])
    honest = evidence - torch.distributions.kl_divergence(fitted, dist.Normal(mean, sd)).item()
    assert abs(result.bound - honest) < 4 * result.bound_se + 1e-3
    assert np.mean(result.history.bound[-50:]) < honest - 1  # the objective has 4 times the KL


@pytest.mark.usefixtures("cheap_bounds")
@pytest.mark.parametrize(
    "options",
    [
        {"annealing": LinearAnnealing(10)},
        {"annealing": CyclicalAnnealing(12, cycles=3), "beta": 2.0},
        {"annealing": LinearAnnealing(10, start=0.3), "free_bits": 0.2, "restarts": 2},
    ],
    ids=["linear", "cyclical", "with restarts"],
)
@pytest.mark.parametrize("at", [8, 20])
def test_an_annealed_fit_resumes_to_the_bit(options, at, tmp_path, monkeypatch):
    whole, resumed = killed_and_resumed(
        lambda: (model, guide, Y), tmp_path / "run.safetensors", monkeypatch, at=at, **{**OPTIONS, **options}
    )
    same(whole, resumed)
    assert resumed.objective.buffers()["weighting.step"].item() == 24


@pytest.mark.usefixtures("cheap_bounds")
def test_a_saved_fit_comes_back_with_its_weights(tmp_path):
    options = {"beta": 0.5, "annealing": LinearAnnealing(10), "free_bits": 0.1}
    result = fit(model, guide, Y, **options, **OPTIONS)
    again = load_fit(result.save(tmp_path / "fit.safetensors"), model, guide, Y)
    assert again.objective.weighting.tree() == result.objective.weighting.tree()
    assert again.objective.buffers()["weighting.step"].item() == 24
    assert again.bound == result.bound
    with pytest.raises(OptionError, match="weighting"):
        fit(model, guide, Y, resume=_checkpoint(tmp_path), beta=2.0, **OPTIONS)


def _checkpoint(folder):
    fit(model, guide, Y, checkpoint=folder / "run.safetensors", beta=3.0, **OPTIONS)
    return folder / "run.safetensors"


class _Own(Annealing):
    steps = 5

    def __call__(self, step):
        return torch.ones((), dtype=torch.float64)


@pytest.mark.usefixtures("cheap_bounds")
def test_a_schedule_of_ones_own_needs_the_objective_to_be_loaded(tmp_path):
    path = fit(model, guide, Y, annealing=_Own(), **OPTIONS).save(tmp_path / "fit.safetensors")
    with pytest.raises(OptionError, match="_Own"):
        load_fit(path, model, guide, Y)
    again = load_fit(path, model, guide, Y, estimator=TraceELBO(num_particles=4, annealing=_Own()))
    assert again.objective.buffers()["weighting.step"].item() == 24


@pytest.mark.usefixtures("cheap_bounds")
def test_the_stopping_rule_reads_nothing_of_the_annealing():
    seen = []

    def rule(bound):
        seen.append(len(bound))
        return False

    fit(model, guide, Y, annealing=LinearAnnealing(120), stop=rule, steps=400, seed=0, num_particles=4)
    assert seen[:2] == [30, 80]  # at steps 150 and 200


@pytest.mark.usefixtures("cheap_bounds")
def test_annealing_beyond_the_search_is_said():
    with pytest.warns(UserWarning, match="beta changes for 90 more steps"):
        fit(model, guide, Y, annealing=LinearAnnealing(90), steps=100, seed=0, num_particles=4, stop=Flat())


@pytest.mark.usefixtures("cheap_bounds")
def test_an_objective_brings_its_own_weights():
    elbo = TraceELBO(num_particles=4, beta=2.0)
    assert fit(model, guide, Y, estimator=elbo, steps=5, stop=None).objective.weighting.beta == 2.0
    for options in ({"beta": 3.0}, {"free_bits": 0.1}, {"annealing": LinearAnnealing(5)}):
        with pytest.raises(OptionError, match=next(iter(options))):
            fit(model, guide, Y, estimator=elbo, **options)
        with pytest.raises(OptionError, match=next(iter(options))):
            fit(model, guide, Y, estimator=pyro.infer.Trace_ELBO(), **options)
