"""``WakeWake``: its mean over every tuple of draws, where that goes with K, and Pyro's from the same draws."""

from __future__ import annotations

import itertools
import math

import pyro
import pytest
import torch
from pyro.infer import ReweightedWakeSleep
from torch.distributions import Bernoulli

from pyro_vae import IWAE, TraceELBO, WakeWake
from pyro_vae.errors import EstimatorError
from pyro_vae.particles import Factor, Particles, Site, draw
from tests.estimators.tuples import STATES, network, table
from tests.pairs import PAIRS, gradients


@pytest.mark.parametrize("K", [2, 3])
def test_the_mean_is_that_of_weighted_scores_by_enumeration(K):
    """Guide: the mean of sum_k w_k grad log q(z_k) / sum_j w_j; model: the gradient of the K-sample bound."""
    params = network()
    guide, model = [params["q1"], params["q2"]], [params[name] for name in ("p1", "p2", "px")]
    leaves = [*guide, *model]
    mean = [torch.zeros_like(leaf) for leaf in leaves]
    fitted, bound = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for choice in itertools.product(range(len(STATES)), repeat=K):
        particles = table(params, STATES[list(choice)])
        probability = particles.log_q().sum().exp().detach()
        w = particles.log_w().exp()
        fitted = fitted + probability * sum((w[k] / w.sum()).detach() * particles.log_q()[k] for k in range(K))
        bound = bound + probability * w.mean().log()
        grads = torch.autograd.grad(WakeWake()(particles).loss(), leaves, retain_graph=True)
        mean = [total + probability * grad for total, grad in zip(mean, grads, strict=True)]
    exact = [*torch.autograd.grad(-fitted, guide), *torch.autograd.grad(-bound, model)]
    for found, expected in zip(mean, exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


def _one_bit(logit, ones: int, K: int) -> Particles:
    b = torch.cat([torch.ones(ones), torch.zeros(K - ones)]).double()
    log_q = Bernoulli(logits=logit.expand(K)).log_prob(b)
    return Particles({"b": Site("b", b, Factor(1.7 * b - 2.0), Factor(log_q), reparameterised=False)}, K)


def _mean_gradient(K: int) -> float:
    """The mean over all 2^K draws of one bit, by how many are 1."""
    logit = torch.tensor(-0.8, dtype=torch.float64, requires_grad=True)
    total = 0.0
    for ones in range(K + 1):
        chance = torch.distributions.Binomial(K, logits=logit.detach()).log_prob(torch.tensor(ones).double()).exp()
        grad = torch.autograd.grad(WakeWake()(_one_bit(logit, ones, K)).loss(), logit)[0]
        total += (chance * grad).item()
    return total


def test_the_mean_goes_to_the_gradient_of_kl_p_q_with_the_known_bias_over_k():
    """grad KL(p || q) by the logit is q - p; the bias of self-normalised weights is E_q[(w/Z)^2 (f - E_p f)] / K."""
    p, q = torch.sigmoid(torch.tensor(1.7).double()).item(), torch.sigmoid(torch.tensor(-0.8).double()).item()
    errors = {K: _mean_gradient(K) - (q - p) for K in (2, 8, 100, 200, 400)}
    assert abs(errors[2]) > abs(errors[8]) > abs(errors[100]) > abs(errors[400])
    ratio = {1.0: p / q, 0.0: (1 - p) / (1 - q)}
    bias = sum(weight * ratio[b] ** 2 * (b - p) for b, weight in ((1.0, q), (0.0, 1 - q)))
    assert 400 * errors[400] == pytest.approx(bias, rel=0.02)


RWS = [pair for pair in PAIRS if pair.name in {"params", "same-dim plates", "events", "discrete chain"}]


@pytest.mark.parametrize("pair", RWS, ids=lambda pair: pair.name)
def test_gradient_is_pyros_reweighted_wake_sleeps_from_the_same_draws(pair):
    """Where no plate is shared by all sites, so that the weights are those of whole particles."""
    model, guide, args = pair.make()
    ours = TraceELBO(WakeWake(), num_particles=5)
    ours.loss(model, guide, *args)
    nesting = ours.plan(model, guide, *args).max_plate_nesting
    theirs = ReweightedWakeSleep(num_particles=5, max_plate_nesting=nesting)
    found = []
    for objective in (ours, theirs):
        gradients()
        pyro.set_rng_seed(6)
        value = objective.loss_and_grads(model, guide, *args)
        found.append((value, gradients()))
    assert found[0][0] == pytest.approx(found[1][0][0], rel=1e-5)
    for name, expected in found[1][1].items():
        torch.testing.assert_close(found[0][1][name], expected, rtol=1e-4, atol=1e-5)


def test_no_gradient_runs_through_the_values_that_a_guides_later_sites_depend_on():
    """z is drawn given w, which is reparameterised. Pyro stops the values once the guide has run, when the log q of z
    has a path through w already."""
    pair = next(pair for pair in PAIRS if pair.name == "mixed")
    model, guide, args = pair.make()
    ours, theirs = TraceELBO(WakeWake(), num_particles=5), ReweightedWakeSleep(num_particles=5, max_plate_nesting=1)
    ours.loss(model, guide, *args)
    found = []
    for objective in (ours, theirs):
        gradients()
        pyro.set_rng_seed(6)
        objective.loss_and_grads(model, guide, *args)
        found.append(gradients()["w_loc"])
    pyro.set_rng_seed(6)
    drawn = ours.particles(model, guide, *args)
    again = draw(model, guide, args, num_particles=5, values={name: drawn[name].value for name in ("w", "z")})
    leaf = dict(pyro.get_param_store().named_parameters())["w_loc"]
    weights = torch.softmax(again.log_w(), 0).detach()
    by_hand = torch.autograd.grad(-(weights * again.log_q()).sum(), leaf)[0]
    torch.testing.assert_close(found[0], by_hand)
    assert (found[1] - by_hand).abs() > 0.1


def test_weights_are_taken_per_row_where_every_site_shares_the_plate():
    pair = next(pair for pair in PAIRS if pair.name == "discrete")
    model, guide, args = pair.make()
    elbo = TraceELBO(WakeWake(), num_particles=4)
    particles = elbo.particles(model, guide, *args)
    log_w = particles["z"].log_p.log_prob + particles["x"].log_p.log_prob - particles["z"].log_q.log_prob
    weights = torch.softmax(log_w, 0).detach()
    by_hand = -(weights * particles["z"].log_q.log_prob).sum()
    logits = dict(pyro.get_param_store().named_parameters())["logits"]
    expected = torch.autograd.grad(by_hand, logits, retain_graph=True)[0]
    estimate = WakeWake()(particles)
    torch.testing.assert_close(torch.autograd.grad(estimate.loss(), logits)[0], expected)
    assert estimate.bound.item() == pytest.approx((log_w.logsumexp(0) - math.log(4)).sum().item(), rel=1e-5)
    assert estimate.bound == IWAE()(particles).bound


def test_a_constant_moves_the_bound_and_no_gradient():
    params = network()
    found = []
    for constant in (0.0, 500.0):
        particles = table(params, STATES[[0, 3, 6]])
        x = particles["x"]
        shifted = Site("x", x.value, log_p=Factor(x.log_p.log_prob + constant), observed=True)
        estimate = WakeWake()(Particles({**particles.sites, "x": shifted}, 3))
        found.append((estimate.bound.item(), torch.autograd.grad(estimate.loss(), list(params.values()))))
    assert found[1][0] - found[0][0] == pytest.approx(500.0)
    torch.testing.assert_close(found[0][1], found[1][1])


def test_one_particle_is_an_error():
    with pytest.raises(EstimatorError, match="num_particles >= 2"):
        WakeWake()(table(network(), STATES[:1]))
