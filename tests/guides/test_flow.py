"""Flow guides: densities that are densities, draws that agree with them, posteriors that no normal follows."""

from __future__ import annotations

import subprocess
import sys

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.distributions import Distribution

import pyro_vae as pv
from pyro_vae.errors import OptionError
from pyro_vae.guides import autoguide
from pyro_vae.guides.flow_library import zuko

FLOWS = ["auto_neural_spline", "auto_iaf"]
each_flow = pytest.mark.parametrize("name", FLOWS)


def banana():
    x = pyro.sample("x", dist.Normal(torch.tensor(0.0, dtype=torch.float64), 1.0))
    pyro.sample("y", dist.Normal(0.5 * x**2, 0.3))


def wide():
    """Two numbers with a correlation of -.9999 and scales 1000 apart."""
    a = pyro.sample("a", dist.Normal(torch.tensor(-60.0, dtype=torch.float64), 30.0))
    pyro.sample("b", dist.Normal(-a / 1000, 0.0004))


def disturbed(name: str, model, **options):
    """A guide whose flow is not the identity."""
    pyro.set_rng_seed(1)
    guide = autoguide(name, model, init="prior", **options)
    guide()
    with torch.no_grad():
        for leaf in guide.layers.parameters():
            leaf.add_(0.1 * torch.randn_like(leaf))
        guide.loc.unconstrained().add_(0.3)
    return guide


@each_flow
@pytest.mark.parametrize("model", [lambda: pyro.sample("x", dist.Normal(0.0, 1.0)), banana], ids=["1", "2"])
def test_the_density_of_a_bent_guide_integrates_to_one(name, model):
    guide = disturbed(name, model)
    size = guide.latent_dim
    posterior = guide.get_posterior()
    centre, scale = guide.loc.detach(), guide.scale_tril.detach().diagonal()
    # The midpoint rule over 9 scales each way: a spline's kinks cost about 1e-4 in one dimension, 1e-3 in two.
    steps = 4000 if size == 1 else 160
    grid = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps * 18 - 9
    points = torch.cartesian_prod(*[grid] * size).reshape(-1, size).to(centre) * scale + centre
    with torch.no_grad():
        total = posterior.log_prob(points).double().exp().sum() * (18 / steps) ** size * scale.double().prod()
    assert total.item() == pytest.approx(1.0, abs=5e-3)


@each_flow
def test_the_density_of_a_draw_is_that_of_its_value_alone(name):
    guide = disturbed(name, banana)
    posterior = guide.get_posterior()
    draws = posterior.rsample((50,))
    at_hand = posterior.log_prob(draws)
    torch.testing.assert_close(guide.get_posterior().log_prob(draws.clone()), at_hand, rtol=1e-5, atol=1e-5)


@each_flow
def test_a_flow_starts_as_the_normal_that_approximates_the_posterior(name):
    pyro.set_rng_seed(0)
    guide = autoguide(name, wide)
    guide()
    covariance = torch.tensor([[900.0, -0.9], [-0.9, 0.9e-3 + 1.6e-7]], dtype=torch.float64)
    torch.testing.assert_close(guide.scale_tril @ guide.scale_tril.mT, covariance, rtol=0.01, atol=0)
    noise = torch.randn(7, 2, dtype=torch.float64)
    torch.testing.assert_close(guide.get_transform()(noise), guide.loc + noise @ guide.scale_tril.mT)


def _moments(fit):
    posterior = fit.posterior(draws=20_000, seed=1, prior=0, predictive=False)["posterior"]
    return {name: (float(values.mean()), float(values.std())) for name, values in posterior.data_vars.items()}


@pytest.mark.slow
def test_a_spline_flow_follows_a_banana():
    fit = pv.fit(banana, "auto_neural_spline", seed=0, steps=700)
    assert fit.bound > -0.05  # the log evidence is 0
    y = _moments(fit)["y"]
    # y = x^2 / 2 + noise: mean .5, sd sqrt(.5 + .09) = .77, of which a part lies in a tail that the ELBO hardly sees.
    assert y == (pytest.approx(0.5, abs=0.08), pytest.approx(0.768, rel=0.22))


def test_a_flow_follows_a_correlation_of_nearly_minus_one():
    found = _moments(pv.fit(wide, "auto_iaf", seed=0, steps=450))
    assert found["a"] == (pytest.approx(-60, abs=1.5), pytest.approx(30, rel=0.05))
    assert found["b"] == (pytest.approx(0.06, abs=0.0015), pytest.approx(0.03, rel=0.05))


@pytest.mark.slow
def test_a_spline_flow_follows_a_funnel():
    def funnel():
        v = pyro.sample("v", dist.Normal(torch.tensor(0.0, dtype=torch.float64), 1.5))
        pyro.sample("x", dist.Normal(0.0, (v / 2).exp()))

    fit = pv.fit(funnel, "auto_neural_spline", seed=0)
    assert fit.bound > -0.03
    found = _moments(fit)
    assert found["v"] == (pytest.approx(0, abs=0.1), pytest.approx(1.5, rel=0.1))


@pytest.mark.slow
def test_a_compiled_step_of_a_flow_is_the_eager_one():
    bounds = []
    for compiled in (False, True):
        pyro.clear_param_store()
        guide = autoguide("auto_iaf", banana, init="prior", layers=1)
        fit = pv.fit(banana, guide, steps=60, num_particles=16, seed=0, compile=compiled)
        bounds.append(fit.history.bound)
    assert bounds[1] == pytest.approx(bounds[0], abs=1e-3)


@each_flow
def test_a_saved_flow_is_the_same_posterior(name, tmp_path):
    fit = pv.fit(banana, name, seed=0, steps=20, num_particles=4)
    pyro.clear_param_store()
    again = pv.load_fit(fit.save(tmp_path / "flow.safetensors"), banana, name)
    draws, same = (one.posterior(draws=100, seed=3, prior=0, predictive=False)["posterior"] for one in (fit, again))
    assert draws["x"].values.tolist() == same["x"].values.tolist()


@each_flow
def test_a_median_of_the_start_is_its_centre(name):
    guide = autoguide(name, wide, init="prior")
    guide()
    torch.testing.assert_close(guide.median()["a"], guide.loc[0].detach())
    low, high = guide.quantiles([0.1, 0.9])["b"]
    assert low < high


def test_fit_takes_a_familys_own_options_where_nobody_gave_any():
    fit = pv.fit(banana, "auto_iaf", seed=0, steps=2)
    assert (fit.num_particles, fit.history.learning_rate[0]) == (128, pytest.approx(0.01))
    fit = pv.fit(banana, "auto_iaf", seed=0, steps=2, learning_rate=0.02, num_particles=3)
    assert (fit.num_particles, fit.history.learning_rate[0]) == (3, pytest.approx(0.02))


@pytest.mark.parametrize("options", [{"layers": 0}, {"hidden": -1}, {"bins": 0}, {"knots": 3}])
def test_options_that_cannot_be_are_named(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        autoguide("auto_neural_spline", banana, **options)


def test_init_says_which_words_it_knows():
    with pytest.raises(OptionError, match="auto, pathfinder, laplace, prior"):
        autoguide("auto_iaf", banana, init="somewhere")
    with pytest.raises(OptionError, match="auto_delta does not start from an approximation"):
        autoguide("auto_delta", banana, init="laplace")


@pytest.mark.parametrize("validated", [True, False])
def test_the_flow_library_leaves_argument_validation_as_it_was(validated):
    code = (
        "from torch.distributions import Distribution as D\n"
        f"D.set_default_validate_args({validated})\n"
        "from pyro_vae.guides.flow_library import zuko\n"
        f"zuko(); assert D._validate_args is {validated}, D._validate_args"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_flow_library_is_imported_once():
    before = Distribution._validate_args
    assert zuko() is zuko()
    assert Distribution._validate_args == before
