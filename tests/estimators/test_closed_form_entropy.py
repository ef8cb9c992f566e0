"""``ClosedFormEntropy``: its variance in closed form, what a discrete site answers for, and real programs."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch.distributions import Bernoulli, Normal

from pyro_vae import ClosedFormEntropy, TraceELBO
from pyro_vae.particles import Factor, Particles, Site
from tests.pairs import PAIRS


@pytest.mark.parametrize(("loc", "scale"), [(0.5, 1.0), (2.0, 0.4)])
def test_variance_is_that_of_the_log_joint_alone_and_not_zero_at_the_posterior(loc, scale):
    """q = N(loc, scale), p = N(m, s): Var = scale^2/s^4 for loc, ((loc - m)^2 + 2 scale^2)/s^4 for scale; the first
    pair is q = p. 1e6 draws: 3 % is 6 standard errors."""
    torch.manual_seed(0)
    m, s, draws = 0.5, 1.0, 1_000_000
    q_loc, q_scale = (torch.full((draws,), value, dtype=torch.float64, requires_grad=True) for value in (loc, scale))
    q = Normal(q_loc, q_scale)
    z = q.rsample()
    site = Site(
        "z", z, log_p=Factor(Normal(m, s).log_prob(z)), log_q=Factor(q.log_prob(z)), entropy=Factor(q.entropy())
    )
    loss = ClosedFormEntropy()(Particles({"z": site}, draws)).loss()
    grads = torch.autograd.grad(loss, [q_loc, q_scale])
    expected = [scale**2 / s**4, ((loc - m) ** 2 + 2 * scale**2) / s**4]
    for grad, variance in zip(grads, expected, strict=True):
        torch.testing.assert_close((grad * draws).var(), torch.tensor(variance).double(), rtol=0.03, atol=0)
    assert not ClosedFormEntropy().claims.zero_variance_at_posterior


def test_a_discrete_sites_own_log_q_leaves_its_cost():
    """With log p = 0 the ELBO is the entropy: its gradient is exact from every single draw."""
    logit = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    q = Bernoulli(logits=logit.expand(3))
    b = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    site = Site(
        "b",
        b,
        log_p=Factor(torch.zeros(3, dtype=torch.float64)),
        log_q=Factor(q.log_prob(b)),
        entropy=Factor(q.entropy()),
        reparameterised=False,
    )
    found = torch.autograd.grad(ClosedFormEntropy()(Particles({"b": site}, 3)).loss(), logit)[0]
    exact = torch.autograd.grad(-Bernoulli(logits=logit).entropy(), logit)[0]
    torch.testing.assert_close(found, exact)


def _exact_gradient_of_a_chain(logits):
    """b1 -> b2 under q, log p = 2 b1 b2: the ELBO by enumeration."""
    total = torch.zeros((), dtype=torch.float64)
    for b1 in (0.0, 1.0):
        for b2 in (0.0, 1.0):
            log_q = Bernoulli(logits=logits[0]).log_prob(torch.tensor(b1).double())
            log_q = log_q + Bernoulli(logits=logits[1] + logits[2] * b1).log_prob(torch.tensor(b2).double())
            total = total + log_q.exp() * (2 * b1 * b2 - log_q)
    return -torch.autograd.grad(total, logits)[0]


def test_a_descendants_entropy_stays_in_the_cost():
    """By enumeration of the four outcomes of a chain, each weighted by its probability."""
    logits = torch.tensor([0.4, -0.3, 1.2], dtype=torch.float64, requires_grad=True)
    mean = torch.zeros(3, dtype=torch.float64)
    for outcome in ([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]):
        b1, b2 = torch.tensor(outcome, dtype=torch.float64)[:, None]
        q1, q2 = Bernoulli(logits=logits[:1]), Bernoulli(logits=logits[1] + logits[2] * b1)
        below1 = frozenset({("q", "b1"), ("q", "b2"), ("p", "b2")})
        below2 = frozenset({("q", "b2"), ("p", "b2")})
        sites = {}
        for name, b, q, log_p, below in (("b1", b1, q1, 0 * b1, below1), ("b2", b2, q2, 2 * b1 * b2, below2)):
            sites[name] = Site(
                name,
                b,
                log_p=Factor(log_p),
                log_q=Factor(q.log_prob(b)),
                entropy=Factor(q.entropy()),
                reparameterised=False,
                downstream=below,
            )
        particles = Particles(sites, 1)
        grad = torch.autograd.grad(ClosedFormEntropy()(particles).loss(), logits, retain_graph=True)[0]
        mean += particles.log_q().exp().item() * grad
    torch.testing.assert_close(mean, _exact_gradient_of_a_chain(logits), rtol=0, atol=1e-10)


def test_of_an_automatic_guide_only_the_jacobian_is_sampled():
    def model():
        pyro.sample("z", dist.Normal(1.0, 2.0))
        pyro.sample("s", dist.LogNormal(0.5, 1.0))

    guide = AutoNormal(model, init_scale=0.7)
    elbo = TraceELBO(ClosedFormEntropy(), num_particles=3)
    particles = elbo.particles(model, guide)
    expected = Normal(0.0, guide.scales.s).entropy().expand(3)
    torch.testing.assert_close(particles["s_unconstrained"].entropy.log_prob, expected)
    assert particles["s"].entropy is None
    with torch.no_grad():
        # 4e4 draws of two terms with an sd below 2: 0.06 is more than 5 standard errors of the difference
        ours, sampled = (-TraceELBO(e, num_particles=40_000).loss(model, guide) for e in (ClosedFormEntropy(), None))
    assert ours == pytest.approx(sampled, abs=0.06)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_every_pair_gives_the_elbo(pair):
    """100 estimates of 30 particles from each: their means differ by less than 5 standard errors (budget 1e-5)."""
    model, guide, args = pair.make()
    plain = "reparameterized" if pair.reparameterised else "score-function"
    with torch.no_grad(), pyro.validation_enabled(False):
        bounds = []
        for estimator in (ClosedFormEntropy(), plain):
            elbo = TraceELBO(estimator, num_particles=30)
            bounds.append(torch.tensor([elbo.loss(model, guide, *args) for _ in range(100)]))
    error = (bounds[0].var() / 100 + bounds[1].var() / 100).sqrt()
    assert (bounds[0].mean() - bounds[1].mean()).abs() < 5 * error + 1e-4
