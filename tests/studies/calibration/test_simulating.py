"""Data sets come from the model and nothing else; a model of which they cannot be drawn is refused, naming the site."""

from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch
from scipy import stats

from pyro_vae.catalogue import load_program
from pyro_vae.errors import ModelError
from pyro_vae.studies.calibration.simulating import Simulator
from tests.studies.calibration import models
from tests.studies.calibration.models import Y


def test_parameters_and_data_have_the_joint_distribution_of_the_model() -> None:
    simulator = Simulator(models.conjugate, Y)
    drawn = [simulator.draw(seed) for seed in range(400)]
    z = np.array([one.truth["z"].item() for one in drawn])
    noise = np.stack([one.data.numpy() for one in drawn]) - z[:, None]
    # Two tests, each of which fails by chance once in 1000.
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert drawn[0].log_likelihood == pytest.approx(stats.norm.logpdf(noise[0]).sum(), rel=1e-5)


@pytest.mark.parametrize("name", ["eight_schools", "eight_schools_noncentered", "linear_regression", "funnel"])
def test_programs_need_no_word_about_what_is_observed(name: str) -> None:
    program = load_program(name)
    simulator = Simulator(program.model, program.data)
    assert [slot.argument for slot in simulator.slots] == (["'y'"] if program.data else [])
    new = simulator.draw(1).data or {}
    assert {key for key in program.data if not torch.equal(program.data[key], new[key])} == ({"y"} & {*program.data})


def test_steps_that_follow_one_another_are_simulated_so() -> None:
    simulator = Simulator(models.chain, {"y": Y})
    drawn = simulator.draw(2)
    assert drawn.data["y"][0] == Y[0]  # where the series starts is not observed
    assert (drawn.data["y"][1:] != Y[1:]).all()


REFUSED = {
    "flat": ("Site 'scale' has a flat prior", models.flat),
    "factor": ("Site 'penalty' is a factor", models.factor),
    "minibatch": ("Site 'y' is weighted by 10", models.minibatch),
    "computed": ("Site 'y': its observed value is neither", models.computed),
    "autoregression": ("Site 'y': with simulated data as argument number 1.*predictors", models.autoregression),
    "empirical prior": ("Site 'z': with simulated data as argument number 1.*in a prior", models.empirical_prior),
}


@pytest.mark.parametrize(("said", "model"), REFUSED.values(), ids=REFUSED)
def test_a_model_that_cannot_be_simulated_is_refused_naming_the_site(said: str, model) -> None:
    with pytest.raises(ModelError, match=said):
        Simulator(model, Y)


def test_a_function_can_simulate_what_one_run_does_not() -> None:
    def simulate(sites, y):
        new = y.clone()
        for t in range(1, len(y)):
            new[t] = sites["phi"] * new[t - 1] + torch.randn(())
        return new

    simulator = Simulator(models.autoregression, Y, simulate)
    drawn = [simulator.draw(seed) for seed in range(300)]
    phi = np.array([one.truth["phi"].item() for one in drawn])
    noise = np.array([float(one.data[1] - one.truth["phi"].item() * Y[0]) for one in drawn])
    assert torch.equal(simulator.draw(5).data, drawn[5].data)
    # Its noise is not the noise that the parameters were made of: a chance of 1 in 10 000.
    assert stats.pearsonr(phi, noise).pvalue > 1e-4


def test_nothing_outside_can_tell() -> None:
    pyro.get_param_store()["kept"] = torch.tensor(1.0)
    random, data = torch.get_rng_state(), Y.clone()
    first = Simulator(models.conjugate, Y).draw(3)
    assert torch.equal(torch.get_rng_state(), random)
    assert list(pyro.get_param_store().keys()) == ["kept"]
    assert torch.equal(Y, data)
    assert torch.equal(Simulator(models.conjugate, Y).draw(3).data, first.data)
