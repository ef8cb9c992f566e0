"""Where two estimators must be one: at K = 1, at the ends of alpha, without sites to score, looped or vectorised."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.elbo import TraceELBO
from pyro_vae.estimators import (
    ARM,
    IWAE,
    REBAR,
    RELAX,
    VIMCO,
    AnalyticKL,
    DisARM,
    DReG,
    Estimator,
    MeasureValued,
    Renyi,
    Reparameterized,
    ScoreFunction,
    StickingTheLanding,
)
from pyro_vae.particles import draw
from pyro_vae.particles.data import with_fields
from pyro_vae.particles.plan import plan_pair
from tests.estimators.problems import PROBLEMS
from tests.pairs import PAIRS, gradients


def _gradient(estimator: Estimator, particles, params) -> Tensor:
    loss = estimator(particles, estimator.init(particles)).loss()
    grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True, retain_graph=True)
    pairs = zip(params.values(), grads, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in pairs])


SAME = [
    (IWAE(), Reparameterized(), "Gaussian", 1),
    (DReG(), StickingTheLanding(), "Gaussian", 1),
    (IWAE(sticking_the_landing=True), StickingTheLanding(), "Gaussian", 1),
    (Renyi(0.0), IWAE(), "Gaussian", 5),
    (Renyi(1.0), Reparameterized(), "Gaussian", 5),
    (Renyi(0.0), VIMCO(pathwise=True), "three Bernoullis", 4),
    (IWAE(), VIMCO(), "three Bernoullis", 4),
    # nothing to score: what is left is the pathwise gradient
    *((e, Reparameterized(), "Gaussian", 3) for e in (ScoreFunction(pathwise=True), DisARM(), REBAR(), RELAX())),
    (MeasureValued(pathwise=True), Reparameterized(), "Gaussian", 3),
    # the relaxed cost with no weight is the plain score function
    (REBAR(scale=0.0), ScoreFunction(), "three Bernoullis", 3),
    (RELAX(relaxed=False), ScoreFunction(), "three Bernoullis", 3),  # its network starts at zero
]


@pytest.mark.parametrize(("one", "other", "name", "K"), SAME, ids=str)
def test_two_estimators_are_the_same_here(one, other, name, K):
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    torch.manual_seed(0)
    params = problem.params()
    particles = problem.draw(params, K, one.passes | other.passes)
    torch.testing.assert_close(_gradient(one, particles, params), _gradient(other, particles, params))


def _evenly(noise: Tensor | None) -> Tensor | None:
    return None if noise is None else torch.linspace(0.05, 0.95, noise.numel()).reshape(noise.shape)


ESTIMATORS = [
    (Reparameterized(), "neural"),
    (StickingTheLanding(), "params"),
    (AnalyticKL(), "subsampled plate"),
    (ScoreFunction("leave-one-out"), "mixed"),
    (ScoreFunction("optimal"), "discrete"),
    (ScoreFunction("moving-average"), "discrete chain"),
    (IWAE(), "mixed"),
    (DReG(), "neural"),
    (Renyi(0.5), "auxiliary discrete"),
    (VIMCO(), "discrete chain"),
    (ARM(), "discrete"),
    (DisARM(), "discrete"),
    (REBAR(), "discrete"),
    (RELAX(relaxed=False), "discrete chain"),
    (MeasureValued(), "discrete"),
]


@pytest.mark.parametrize(("estimator", "name"), ESTIMATORS, ids=str)
def test_looped_particles_give_the_same_estimate_as_vectorised_ones(estimator, name):
    """From the same values, and the same noise where there is some."""
    pair = next(pair for pair in PAIRS if pair.name == name)
    found = []
    for vectorize in (True, False):
        pyro.clear_param_store()
        pyro.set_rng_seed(0)
        model, guide, args = pair.make()
        first = draw(model, guide, args, num_particles=4, vectorize=True)
        values = {site.name: site.value.detach() for site in first.latent if site.log_q is not None}
        plan = plan_pair(model, guide, args, num_particles=4, vectorize=vectorize, passes=estimator.passes)
        pyro.set_rng_seed(1)  # the same rows of a subsampled plate
        table = draw(model, guide, args, num_particles=4, passes=estimator.passes, values=values, plan=plan)
        table = with_fields(table, {site.name: {"noise": _evenly(site.noise)} for site in table.latent})
        torch.manual_seed(2)
        estimator(table, estimator.init(table)).loss().backward()
        found.append(gradients())
    assert found[0].keys() == found[1].keys()
    for key, grad in found[0].items():
        torch.testing.assert_close(grad, found[1][key], rtol=1e-4, atol=1e-5)


# -- implicit reparameterisation: Gamma, Beta, Dirichlet -------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "start"),
    [
        (lambda p: dist.Gamma(p[0], p[1]), (1.4, 2.0)),
        (lambda p: dist.Beta(p[0], p[1]), (1.4, 0.7)),
        (lambda p: dist.Dirichlet(p), (1.4, 0.7, 2.0)),
    ],
    ids=["Gamma", "Beta", "Dirichlet"],
)
def test_implicit_reparameterisation_has_the_exact_gradient(family, start):
    """The guide's KL from another member of its family is known: 100 estimates of 2000 particles, 5 standard errors:
    a t with 99 degrees of freedom, budget 3e-6 per number. The seed is fixed."""
    pyro.set_rng_seed(0)
    prior = family(torch.ones(len(start)) * 1.2)

    def model():
        pyro.sample("z", prior)

    def guide():
        pyro.sample("z", family(pyro.param("p", lambda: torch.tensor(start), constraint=constraints.positive)))

    elbo = TraceELBO(Reparameterized(), num_particles=2000)
    elbo.loss(model, guide)
    leaf = dict(pyro.get_param_store().named_parameters())["p"]
    rows = []
    for _ in range(100):
        rows.append(torch.autograd.grad(elbo.differentiable_loss(model, guide), leaf)[0])
    rows = torch.stack(rows).double()
    kl = torch.distributions.kl_divergence(family(leaf.exp()), prior)
    exact = torch.autograd.grad(kl, leaf)[0].double()
    assert ((rows.mean(0) - exact).abs() <= 5 * rows.std(0) / 10).all()
