"""Every kind of guide that Pyro users write gives the bound that Pyro's own objective gives from the same draws."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pyro.infer.autoguide as autoguide
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from pyro.infer.reparam import LocScaleReparam
from pyro.nn import PyroModule, PyroParam, PyroSample
from torch.distributions import constraints

from pyro_vae.particles import draw
from pyro_vae.particles.plan import plan_pair
from tests.pairs import X5, hierarchy


def with_coin(x):
    coin = pyro.sample("coin", dist.Bernoulli(0.3))
    loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(loc + coin, 1.0), obs=x)


def composite():
    guide = autoguide.AutoGuideList(with_coin)
    guide.append(autoguide.AutoNormal(poutine.block(with_coin, hide=["coin"])))
    guide.append(autoguide.AutoDiscreteParallel(poutine.block(with_coin, expose=["coin"])))
    return with_coin, guide


class _Regression(PyroModule):
    def __init__(self) -> None:
        super().__init__()
        self.linear = PyroModule[torch.nn.Linear](1, 1)
        self.linear.weight = PyroSample(dist.Normal(0.0, 1.0).expand([1, 1]).to_event(2))
        self.linear.bias = PyroSample(dist.Normal(0.0, 1.0).expand([1]).to_event(1))
        self.scale = PyroParam(torch.tensor(1.0), constraints.positive)

    def forward(self, x):
        mean = self.linear(x[:, None]).squeeze(-1)
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(mean, self.scale), obs=2 * x)


class _OwnGuide(PyroModule):
    def __init__(self) -> None:
        super().__init__()
        self.loc = PyroParam(torch.tensor([0.1, 0.2]))
        self.scale = PyroParam(torch.tensor([0.5, 0.4]), constraints.positive)

    def forward(self, x):
        mu = pyro.sample("mu", dist.Normal(self.loc[0], self.scale[0]))
        pyro.sample("tau", dist.LogNormal(self.loc[1], self.scale[1]))
        with pyro.plate("data", len(x)):
            pyro.sample("theta", dist.Normal(mu, 1.0))


def regression(kind):
    model = _Regression()
    return model, kind(model)


AUTO = [
    autoguide.AutoNormal,
    autoguide.AutoDiagonalNormal,
    autoguide.AutoMultivariateNormal,
    autoguide.AutoLowRankMultivariateNormal,
    autoguide.AutoIAFNormal,
    autoguide.AutoDelta,
    autoguide.AutoLaplaceApproximation,
    autoguide.AutoStructured,
    autoguide.AutoGaussian,
    autoguide.AutoNormalMessenger,
    autoguide.AutoHierarchicalNormalMessenger,
    autoguide.AutoRegressiveMessenger,
]
GUIDES = {kind.__name__: (lambda kind=kind: (hierarchy, kind(hierarchy))) for kind in AUTO}
GUIDES["AutoGuideList with a discrete part"] = composite
GUIDES["PyroModule guide"] = lambda: (hierarchy, _OwnGuide())
# every linear layer with sampled weights needs its own batch dims, so particles of a PyroSample network are looped
GUIDES["PyroSample network"] = lambda: regression(autoguide.AutoNormal)


@pytest.mark.parametrize("name", GUIDES)
@pytest.mark.filterwarnings("ignore:Particles are run one at a time:UserWarning")
@pytest.mark.filterwarnings("ignore:(?s).*If you want to enumerate sites:UserWarning")
def test_one_draw_gives_pyros_bound(name):
    pyro.set_rng_seed(0)
    model, guide = GUIDES[name]()
    draw(model, guide, (X5,), num_particles=2)  # sets lazy guides up, and must work
    pyro.set_rng_seed(1)
    ours = draw(model, guide, (X5,)).log_w()
    pyro.set_rng_seed(1)
    objective = TraceEnum_ELBO(max_plate_nesting=1) if "discrete" in name else Trace_ELBO()
    theirs = -objective.loss(model, guide, X5)
    assert ours.shape == (1,)
    assert ours.item() == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("kind", AUTO, ids=lambda kind: kind.__name__)
def test_many_draws_give_pyros_vectorised_bound(kind):
    pyro.set_rng_seed(0)
    guide = kind(hierarchy)
    plan = plan_pair(hierarchy, guide, (X5,))
    assert plan.vectorize, plan.why_looped
    pyro.set_rng_seed(1)
    ours = draw(hierarchy, guide, (X5,), num_particles=6, plan=plan).log_w().mean()
    pyro.set_rng_seed(1)
    theirs = -Trace_ELBO(num_particles=6, vectorize_particles=True, max_plate_nesting=1).loss(hierarchy, guide, X5)
    assert ours.item() == pytest.approx(theirs, rel=1e-4)


def test_a_reparameterised_model_keeps_its_original_site():
    model = poutine.reparam(hierarchy, {"theta": LocScaleReparam(0.0)})
    particles = draw(model, autoguide.AutoNormal(model), (X5,), num_particles=4)
    assert particles.deterministic["theta"].shape == (4, 5)
    assert "theta_decentered" in particles.sites


def test_flat_priors_start_in_every_autoguide():
    def model(x):
        with pyro.plate("groups", 2):
            pyro.sample("loc", dist.ImproperUniform(constraints.real, (), ()))
        scale = pyro.sample("scale", dist.ImproperUniform(constraints.positive, (), ()))
        weights = pyro.sample("weights", dist.ImproperUniform(constraints.simplex, (), (3,)))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(weights[..., :1].sum(-1, keepdim=True), scale[..., None]), obs=x)

    for kind in (autoguide.AutoNormal, autoguide.AutoMultivariateNormal, autoguide.AutoDelta):
        particles = draw(model, kind(model), (X5,), num_particles=3, vectorize=False)
        assert particles["loc"].value.shape == (3, 2)
        assert particles["weights"].value.shape == (3, 3)
        assert torch.isfinite(particles.log_w()).all()


@pytest.mark.parametrize("kind", [autoguide.AutoNormal, autoguide.AutoIAFNormal, autoguide.AutoStructured])
def test_flat_priors_start_when_wrapped(kind):
    def model(x):
        flat = dist.ImproperUniform(constraints.real, (), ())
        loc = pyro.sample("loc", flat.expand([2]).to_event(1))
        masked = pyro.sample("masked", flat.mask(True))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(loc.sum(-1, keepdim=True) + masked[..., None], 1.0), obs=x)

    particles = draw(model, kind(model), (X5,), num_particles=3, vectorize=False)
    assert particles["loc"].value.shape == (3, 2)
    assert torch.isfinite(particles.log_w()).all()
