"""Automatic guides by name: each starts where it should, on any support, and a wrong name brings the nearest."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.infer.autoguide.initialization import init_to_mean
from torch.distributions import constraints

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import ModelError, OptionError
from pyro_vae.guides import as_guide, autoguide, init_to_start, names

every_name = pytest.mark.parametrize("name", names())
with_median = pytest.mark.parametrize(
    "name", [name for name in names() if name not in ("auto_iaf_normal", "auto_laplace")]
)


def model():
    pyro.sample("real", dist.Normal(3.0, 1.0))
    pyro.sample("positive", dist.Gamma(8.0, 2.0))
    with pyro.plate("rows", 3):
        pyro.sample("unit", dist.Beta(2.0, 2.0))
    pyro.sample("simplex", dist.Dirichlet(torch.ones(3)))


@every_name
def test_every_guide_covers_the_model_and_gives_a_bound(name):
    guide = autoguide(name, model)
    assert set(guide()) == {"real", "positive", "unit", "simplex"}
    assert torch.isfinite(TraceELBO(num_particles=4).estimate(model, guide).bound)


@with_median
def test_starts_near_the_priors_median(name):
    guide = autoguide(name, model)
    guide()
    found = guide.median()
    # The median of 15 draws of N(3, 1) has sd .32, of Gamma(8, 2) (median 3.8) .45: 4 sds.
    assert found["real"].item() == pytest.approx(3.0, abs=1.3)
    assert found["positive"].item() == pytest.approx(3.8, abs=1.8)


@pytest.mark.parametrize("name", ["auto_normal", "auto_diagonal_normal", "auto_multivariate_normal"])
def test_initial_scale_is_a_tenth(name):
    guide = autoguide(name, lambda: pyro.sample("z", dist.Normal(0.0, 1.0)), init="prior")
    guide()
    low, high = guide.quantiles([0.158655, 0.841345])["z"].flatten().tolist()
    assert (high - low) / 2 == pytest.approx(0.1, rel=1e-3)


@with_median
def test_starts_at_given_values_in_the_models_own_parametrisation(name):
    guide = autoguide(name, model, init={"positive": 2.0, "unit": torch.tensor([0.2, 0.5, 0.9])})
    guide()
    found = guide.median()
    assert found["positive"].item() == pytest.approx(2.0, rel=1e-4)
    torch.testing.assert_close(found["unit"], torch.tensor([0.2, 0.5, 0.9]), rtol=1e-4, atol=1e-4)


def test_takes_pyros_strategies():
    guide = autoguide("auto_delta", model, init=init_to_mean)
    guide()
    assert guide.median()["real"].item() == 3.0


def _flat():
    with pyro.plate("rows", 2):
        z = pyro.sample("z", dist.ImproperUniform(constraints.positive, (), ()))
        pyro.sample("x", dist.Normal(z, 1.0), obs=torch.tensor([1.0, 2.0]))


@every_name
def test_flat_priors_work_where_pyros_own_guides_fail(name):
    with pytest.raises(NotImplementedError):
        AutoNormal(_flat)()
    guide = autoguide(name, _flat)
    assert (guide()["z"] > 0).all()
    assert torch.isfinite(TraceELBO(num_particles=4).estimate(_flat, guide).bound)


def test_the_start_of_a_flat_prior_is_zero_on_the_unconstrained_scale():
    site = {"name": "z", "fn": dist.ImproperUniform(constraints.interval(0.0, 4.0), (2,), ())}
    assert init_to_start(site).tolist() == [2.0, 2.0]
    assert init_to_start() is init_to_start


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("auto_norml", "auto_normal"), ("mean_field", ""), ("auto_lowrank", "auto_low_rank_multivariate_normal")],
)
def test_an_unknown_name_brings_the_nearest(name, nearest):
    with pytest.raises(OptionError, match=f"guide '{name}' is not known. Nearest: .*{nearest}"):
        autoguide(name, model)


@pytest.mark.parametrize("name", ["AutoNormal", "auto-normal", "Auto_Normal"])
def test_pyros_class_names_are_understood(name):
    assert isinstance(autoguide(name, model), AutoNormal)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: autoguide("auto_normal", 3), ModelError, "expected a model"),
        (lambda: autoguide("auto_normal", model, rank=2), OptionError, "rank"),
        (lambda: autoguide("auto_normal", model, init_scale=-1.0), OptionError, "init_scale"),
        (lambda: autoguide("auto_normal", model, init=3), OptionError, "init: expected"),
        (lambda: autoguide("auto_iaf_normal", model, init={"real": 1.0}), OptionError, "no start to give"),
        (lambda: autoguide("auto_normal", model, init={"positive": -1.0})(), OptionError, "site 'positive'.*support"),
        (lambda: autoguide("auto_normal", model, init={"real": [1.0, 2.0]})(), OptionError, "site 'real'.*broadcasts"),
        (lambda: as_guide(3, model), OptionError, "guide: expected"),
    ],
)
def test_what_cannot_be_is_said(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_callables_pass_through():
    assert as_guide(model, model) is model
    guide = AutoNormal(model)
    assert as_guide(guide, model) is guide


@every_name
def test_sites_that_the_model_sums_out_are_hidden_from_the_guide(name):
    def mixture():
        loc = pyro.sample("loc", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        with pyro.plate("rows", 3):
            z = pyro.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
            pyro.sample("x", dist.Normal(loc[..., 0] + 4 * z, 1.0), obs=torch.tensor([0.0, 1.0, 4.0]))

    guide = autoguide(name, mixture)
    assert set(guide()) == {"loc"}
    assert torch.isfinite(TraceELBO(num_particles=4).estimate(mixture, guide).bound)
