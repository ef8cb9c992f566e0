"""A particle of weight zero (log weight -inf) counts for nothing, and leaves the others their gradients."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_vae.elbo import TraceELBO
from pyro_vae.estimators import (
    CUBO,
    IWAE,
    REBAR,
    RELAX,
    VIMCO,
    DisARM,
    DReG,
    Estimator,
    Renyi,
    TailAdaptive,
    WakeSleep,
    WakeWake,
)
from pyro_vae.estimators.weights import left_out_bounds, renyi_bound
from pyro_vae.particles import Factor, Particles
from tests.estimators.tuples import STATES, gaussian, gaussian_params, network, table

NOISE = torch.tensor([[-0.4], [1.1], [0.2]], dtype=torch.float64)


def _with(particles: Particles, name: str, impossible: Tensor) -> Particles:
    """The table with log p of a site at -inf for some particles."""
    fields = {}
    for field in ("log_p", "log_p_frozen"):
        factor = getattr(particles[name], field)
        blocked = impossible.reshape(-1, *(1,) * (factor.log_prob.dim() - 1))
        never = torch.full_like(factor.log_prob, -torch.inf)
        fields[field] = Factor(torch.where(blocked, never, factor.log_prob), factor.plates)
    return replace(particles, sites={**particles.sites, name: replace(particles[name], **fields)})


def _gradients(estimator: Estimator, particles: Particles, params: dict[str, Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(estimator(particles).loss(), list(params.values()))


@pytest.mark.parametrize(
    "estimator", [DReG(), IWAE(), Renyi(0.5), TailAdaptive(), CUBO(), WakeWake(), WakeSleep(insomnia=1.0)], ids=str
)
def test_an_impossible_particle_is_one_of_a_weight_that_is_next_to_nothing(estimator: Estimator):
    """Against the same table with the log weight at -600 (TailAdaptive goes by ranks: there the two others alone)."""
    params = gaussian_params()
    blocked = torch.tensor([False, True, False])
    found = estimator(_with(gaussian(params, NOISE), "z", blocked))
    assert torch.isfinite(found.loss())
    grads = torch.autograd.grad(found.loss(), list(params.values()))
    near = gaussian(params, NOISE)
    if isinstance(estimator, TailAdaptive):
        near = gaussian(params, NOISE[~blocked])
    else:
        drop = -600.0 * blocked[:, None]
        site = near["z"]
        fields = {
            name: replace(factor, log_prob=factor.log_prob + drop)
            for name in ("log_p", "log_p_frozen")
            if (factor := getattr(site, name)) is not None
        }
        near = Particles({"z": replace(site, **fields)}, 3)
    torch.testing.assert_close(grads, _gradients(estimator, near, params))


@pytest.mark.parametrize(
    "estimator", [DReG(), IWAE(), Renyi(0.5), TailAdaptive(), CUBO(), WakeWake(), WakeSleep(insomnia=1.0)], ids=str
)
def test_where_every_particle_is_impossible_there_is_no_gradient_and_the_value_says_so(estimator: Estimator):
    params = gaussian_params()
    particles = _with(gaussian(params, NOISE), "z", torch.ones(3, dtype=torch.bool))
    assert estimator(particles).bound == -torch.inf
    for grad in _gradients(estimator, particles, params):
        assert (grad == 0).all()


IMPOSSIBLE = 5  # of the 8 states of the network


@pytest.mark.parametrize(("K", "alpha"), [(2, 0.0), (3, 0.0), (3, 0.5)])
def test_score_terms_are_unbiased_beside_a_state_of_probability_zero(K: int, alpha: float):
    """By enumeration: each particle's own q is differentiated where one of the others is possible. (Over all tuples
    the bound is -inf.)"""
    estimator = Renyi(alpha) if alpha else VIMCO()
    params = network()
    leaves = list(params.values())
    mean = [torch.zeros_like(leaf) for leaf in leaves]
    objective = torch.zeros((), dtype=torch.float64)
    for choice in itertools.product(range(len(STATES)), repeat=K):
        blocked = torch.tensor([state == IMPOSSIBLE for state in choice])
        particles = _with(table(params, STATES[list(choice)]), "x", blocked)
        log_q = particles.log_q()
        probability = log_q.sum().exp().detach()
        grads = torch.autograd.grad(estimator(particles).loss(), leaves, retain_graph=True)
        mean = [total + probability * grad for total, grad in zip(mean, grads, strict=True)]
        if not blocked.all():
            bound = renyi_bound(torch.where(blocked, log_q.detach() - torch.inf, particles.log_w()), alpha)
            for k in range(K):
                if blocked.sum() - blocked[k].int() != K - 1:
                    objective = objective + probability * (log_q[k] - log_q[k].detach()) * bound.detach()
            objective = objective + probability * bound
    exact = torch.autograd.grad(-objective, leaves)
    for found, expected in zip(mean, exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


def test_a_baseline_is_finite_unless_all_others_are_impossible_and_ignores_its_own_particle():
    low = -torch.inf
    log_w = torch.tensor([[0.3, 0.3, low], [-1.0, low, low], [2.0, 2.0, 0.7]])
    found = left_out_bounds(log_w)
    assert torch.isfinite(found[:, :2]).all()
    assert torch.equal(found.isneginf()[:, 2], torch.tensor([False, False, True]))
    for k in range(3):
        moved = log_w.clone()
        moved[k] = torch.where(log_w[[j for j in range(3) if j != k]].isneginf().any(0), 5.0, log_w[k])
        fallback = log_w[[j for j in range(3) if j != k]].isneginf().any(0)
        torch.testing.assert_close(left_out_bounds(moved)[k][fallback], found[k][fallback])


@pytest.mark.parametrize(
    "estimator", [DReG(), TailAdaptive(), CUBO(), WakeWake(), IWAE(), Renyi(0.5)], ids=lambda e: type(e).__name__
)
def test_a_model_with_an_impossible_half_line_is_fitted(estimator: Estimator):
    """Seed 0: some of the 20 draws lie on either side (all on one: 2^-19)."""

    def model():
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.factor("half", torch.where(z > 0, torch.zeros(()), torch.tensor(-torch.inf)))

    def guide():
        pyro.sample("z", dist.Normal(pyro.param("loc", lambda: torch.tensor(0.0)), 1.0))

    pyro.set_rng_seed(0)
    loss = TraceELBO(estimator, num_particles=20).differentiable_loss(model, guide)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(dict(pyro.get_param_store().named_parameters())["loc"].grad)


# -- categories that the guide rules out -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [DisARM(), REBAR(), RELAX((4,))], ids=str)
@pytest.mark.parametrize("masked", [0, 1, 2])
def test_a_category_with_a_logit_of_minus_infinity_is_one_that_is_next_to_impossible(estimator: Estimator, masked: int):
    """The same gradient, from the same draws, as with its logit at -60."""

    def model():
        c = pyro.sample("c", dist.OneHotCategorical(torch.tensor([0.2, 0.5, 0.3])))
        pyro.factor("f", (c * torch.tensor([0.3, -1.0, 2.0])).sum(-1))

    found = []
    for low in (-torch.inf, -60.0):
        logits = torch.tensor([0.0, 0.5, -0.3])
        logits[masked] = low
        logits.requires_grad_()
        elbo = TraceELBO(estimator, num_particles=6)
        elbo.loss(model, lambda x=logits: pyro.sample("c", dist.OneHotCategorical(logits=x)))
        pyro.set_rng_seed(0)
        loss = elbo.differentiable_loss(model, lambda x=logits: pyro.sample("c", dist.OneHotCategorical(logits=x)))
        assert torch.isfinite(loss)
        found.append(torch.autograd.grad(loss, logits)[0])
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
