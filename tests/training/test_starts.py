"""Restarts, initial values and automatic guides that need a last step."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal, init_to_sample

from pyro_vae import fit
from pyro_vae.errors import ModelError, OptionError
from pyro_vae.training.initial import move_start
from tests.training.programs import Y, exact, guide, model

QUICK = {"steps": 60, "stop": None, "seed": 0}


def two_hills():
    """Weights .1 at -4 and .9 at 4."""
    z = pyro.sample("z", dist.Normal(0.0, 10.0).mask(False))
    low, high = dist.Normal(-4.0, 1.0).log_prob(z) + torch.tensor(0.1).log(), dist.Normal(4.0, 1.0).log_prob(z)
    pyro.factor("hills", torch.logaddexp(low, high + torch.tensor(0.9).log()))


@pytest.mark.slow
def test_the_best_of_several_starts_wins():
    # From -2 a fit stays at -4, with bound log .1. Starts move by a standard normal; of 8 more starts at least one
    # crosses to the right with probability 1 - .977^8 = .17 from -2, and 1 - .84^8 = .75 from -1.
    one = fit(two_hills, "auto_normal", init={"z": -1.0}, steps=200, stop=None, seed=4)
    many = fit(two_hills, "auto_normal", init={"z": -1.0}, steps=200, stop=None, seed=4, restarts=9)
    assert one.bound == pytest.approx(torch.tensor(0.1).log().item(), abs=0.05)
    assert many.bound == pytest.approx(torch.tensor(0.9).log().item(), abs=0.05)
    assert pyro.param("AutoNormal.locs.z").item() == pytest.approx(4.0, abs=0.1)


def test_the_first_of_several_starts_is_the_fit_without_restarts():
    one = fit(model, guide, Y, **QUICK)
    pyro.clear_param_store()
    two = fit(model, guide, Y, restarts=2, **QUICK)
    best_is_first = (two.history.bound == one.history.bound).all()
    assert best_is_first or two.bound > one.bound


def test_starts_move_locations_leave_scales_and_renew_layers():
    net = torch.nn.Linear(2, 2)
    module = pyro.nn.PyroModule("m")
    module.net = net
    params = {"loc": torch.zeros(100, requires_grad=True), "weight": net.weight, "bias": net.bias}
    params["scale"] = torch.zeros(3, requires_grad=True)
    before = {name: leaf.detach().clone() for name, leaf in params.items()}
    move_start(module, guide, params, {"scale": dist.constraints.positive})
    assert 0.7 < params["loc"].std().item() < 1.3
    assert torch.equal(params["scale"], before["scale"])
    assert not torch.equal(params["weight"], before["weight"])
    assert params["weight"].abs().max().item() <= 2**-0.5  # the layer's own initialisation


@pytest.mark.parametrize("name", ["auto_normal", "auto_diagonal_normal", "auto_multivariate_normal", "auto_delta"])
def test_initial_values_by_site(name):
    result = fit(model, name, Y, init={"z": 3.0}, learning_rate=1e-6, **QUICK)
    assert result.guide.median()["z"].item() == pytest.approx(3.0, abs=1e-3)


def test_initial_values_by_strategy():
    fit(model, "auto_normal", Y, init=init_to_sample, **QUICK)


def test_initial_values_of_a_guides_parameters():
    result = fit(model, guide, Y, init={"loc": 2.0, "scale": 3.0}, learning_rate=1e-6, **QUICK)
    assert result.params["loc"].item() == pytest.approx(2.0, abs=1e-3)
    assert result.params["scale"].item() == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize(
    ("its_guide", "init", "message"),
    [
        (guide, {"lok": 1.0}, "no parameter 'lok'. Nearest: loc"),
        (guide, {"scale": -1.0}, "expected values in"),
        (guide, {"loc": [1.0, 2.0]}, "broadcasts to"),
        (guide, init_to_sample, "needs an automatic guide"),
        (AutoNormal(model), {"z": 1.0}, "init_loc_fn"),
        ("auto_normal", {"z": [1.0, 2.0]}, "site 'z'"),
    ],
)
def test_initial_values_that_cannot_be_are_said(its_guide, init, message):
    with pytest.raises(OptionError, match=message):
        fit(model, its_guide, Y, init=init, **QUICK)


def test_laplace_ends_with_the_gaussian_at_the_mode():
    # The posterior is Gaussian: its Laplace approximation is exact.
    mean, sd, evidence = exact()
    result = fit(model, "auto_laplace", Y, seed=0)
    posterior = result.guide.get_posterior()
    assert posterior.mean.item() == pytest.approx(mean, abs=1e-3)
    assert posterior.stddev.item() == pytest.approx(sd, rel=1e-4)
    assert result.bound == pytest.approx(evidence, abs=1e-4)


def test_laplace_without_a_proper_mode_is_said():
    def ridge(y):
        a, b = (pyro.sample(name, dist.Normal(0.0, 1.0).mask(False)) for name in "ab")
        pyro.sample("y", dist.Normal(a + b, 1.0), obs=y[0])

    with pytest.raises(ModelError, match="Hessian"):
        fit(ridge, "auto_laplace", Y, **QUICK)
