"""Further evaluations: same values, other gradients."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal, AutoNormalMessenger

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError
from pyro_vae.estimators import REBAR, RELAX
from pyro_vae.particles import Pass, draw
from pyro_vae.particles.plan import plan_pair
from tests.pairs import PAIRS, X5, hierarchy

FROZEN = (Pass.FROZEN_GUIDE, Pass.FROZEN_MODEL)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
@pytest.mark.parametrize("vectorize", [True, False])
def test_freezing_changes_no_value(pair, vectorize):
    model, guide, args = pair.make()
    particles = draw(model, guide, args, num_particles=3, passes=FROZEN, vectorize=vectorize)
    torch.testing.assert_close(particles.log_p_frozen(), particles.log_p())
    torch.testing.assert_close(particles.log_q_frozen(), particles.log_q())
    assert all(leaf.requires_grad for _, leaf in pyro.get_param_store().named_parameters())


def test_freezing_stops_the_leaves_and_keeps_the_path_through_earlier_sites():
    """q(z2 | z1) with z1 = a + e1, z2 = b z1 + e2: by hand, from the same noise."""

    def guide():
        a, b = pyro.param("a", torch.tensor(0.7)), pyro.param("b", torch.tensor(-1.2))
        z1 = pyro.sample("z1", dist.Normal(a, 1.0))
        pyro.sample("z2", dist.Normal(b * z1, 0.5))

    def model():
        c = pyro.param("c", torch.tensor(0.3))
        z1 = pyro.sample("z1", dist.Normal(c, 1.0))
        pyro.sample("z2", dist.Normal(c * z1, 1.0))

    particles = draw(model, guide, num_particles=4, passes=FROZEN)
    a, b, c = (dict(pyro.get_param_store().named_parameters())[name] for name in "abc")
    z1, z2 = particles["z1"].value, particles["z2"].value
    q_by_hand = -((z1 - a.detach()) ** 2) / 2 - (z2 - b.detach() * z1) ** 2 / (2 * 0.25)
    p_by_hand = -((z1 - c.detach()) ** 2) / 2 - (z2 - c.detach() * z1) ** 2 / 2
    for found, expected in ((particles.log_q_frozen(), q_by_hand), (particles.log_p_frozen(), p_by_hand)):
        ours = torch.autograd.grad(found.sum(), [a, b, c], retain_graph=True, allow_unused=True)
        hand = torch.autograd.grad(expected.sum(), [a, b, c], retain_graph=True, allow_unused=True)
        assert ours[2] is None
        torch.testing.assert_close(ours[0], hand[0])
        torch.testing.assert_close(ours[1], hand[1])
    live = torch.autograd.grad(particles.log_q().sum(), [a, b], retain_graph=True)
    assert not torch.allclose(live[0], torch.autograd.grad(q_by_hand.sum(), a, retain_graph=True)[0])


@pytest.mark.parametrize("kind", [AutoNormal, AutoMultivariateNormal])
def test_autoguides_can_be_frozen(kind):
    guide = kind(hierarchy)
    particles = draw(hierarchy, guide, (X5,), num_particles=3, passes=FROZEN)
    grads = torch.autograd.grad(particles.log_q_frozen().sum(), list(guide.parameters()), allow_unused=True)
    assert any(grad is not None and grad.abs().sum() > 0 for grad in grads)


def test_a_guide_that_runs_the_model_itself_is_refused():
    with pytest.raises(EstimatorError, match="GuideMessenger"):
        draw(hierarchy, AutoNormalMessenger(hierarchy), (X5,), passes=FROZEN)


ENTROPIES = {
    "Normal": lambda a: dist.Normal(a, 1 + a**2),
    "LogNormal": lambda a: dist.LogNormal(a, 1 + a**2),
    "Gamma": lambda a: dist.Gamma(2 + a, 1 + a),
    "Beta": lambda a: dist.Beta(2 + a, 1 + a),
    "Categorical": lambda a: dist.Categorical(logits=torch.stack([a, 2 * a, 0 * a], -1)),
    "events": lambda a: dist.Normal(torch.stack([a, 2 * a], -1), 1 + torch.stack([a, a], -1)).to_event(1),
    "MultivariateNormal": lambda a: dist.MultivariateNormal(
        torch.stack([a, a], -1), scale_tril=(1 + a)[..., None, None] * torch.eye(2)
    ),
}


@pytest.mark.parametrize("name", ENTROPIES)
def test_an_entropy_is_minus_the_mean_log_q_and_so_is_its_gradient(name):
    """2e5 draws: a log q here has an sd below 2, so .03 is more than 6 standard errors; the score's is below 3."""
    a = torch.tensor(0.4, requires_grad=True)

    def program():
        pyro.sample("z", ENTROPIES[name](a))

    site = draw(program, program, num_particles=200_000, passes=(Pass.ENTROPY, Pass.SCORE))["z"]
    entropy, log_q = site.entropy.log_prob, site.log_q.log_prob
    assert entropy.shape == log_q.shape
    torch.testing.assert_close(entropy.mean(), -log_q.mean(), rtol=0, atol=0.03)
    found = torch.autograd.grad(entropy.mean(), a, retain_graph=True)[0]
    sampled = torch.autograd.grad(-(log_q * log_q.detach()).mean(), a)[0]
    torch.testing.assert_close(found, sampled, rtol=0, atol=0.05)


def test_where_torch_knows_no_differentiable_entropy_the_site_is_sampled():
    def program():
        pyro.sample("poisson", dist.Poisson(2.0))
        pyro.sample("mixture", dist.MixtureSameFamily(dist.Categorical(torch.ones(2)), dist.Normal(torch.zeros(2), 1)))
        pyro.sample("point", dist.Delta(torch.tensor(1.0)))
        pyro.sample("detached", _ExponentialFamilyRule(torch.tensor(0.5)))

    particles = draw(program, program, num_particles=3, passes=(Pass.ENTROPY,))
    assert all(site.entropy is None for site in particles.sites.values())


class _ExponentialFamilyRule(dist.Exponential):
    """Its entropy by torch's general rule, which detaches the rate."""

    entropy = torch.distributions.ExponentialFamily.entropy


def test_an_entropy_is_masked_and_its_scales_kept_apart():
    def program():
        seen = pyro.poutine.mask(mask=torch.tensor([True, False, True, True]))
        with pyro.plate("rows", 8, subsample_size=4), pyro.poutine.scale(scale=0.5), seen:
            pyro.sample("z", dist.Normal(0.0, 1.0))

    entropy = draw(program, program, num_particles=2, passes=(Pass.ENTROPY,))["z"].entropy
    each = torch.distributions.Normal(0.0, 1.0).entropy()
    torch.testing.assert_close(entropy.log_prob, (each * torch.tensor([1.0, 0.0, 1.0, 1.0])).expand(2, 4))
    torch.testing.assert_close(entropy.total(), (3 * each).expand(2))


def test_rows_that_the_first_run_did_not_have_count_as_downstream():
    """A subsampled sequential plate names its sites after its rows, and those of the first run are not all."""

    def model(x):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        for row in pyro.plate("data", len(x), subsample_size=2):
            pyro.sample(f"x_{row}", dist.Normal(z, 1.0), obs=x[row])

    def guide(x):
        pyro.sample("z", dist.Normal(0.0, 1.0))

    plan = plan_pair(model, guide, (X5,), passes=(Pass.DOWNSTREAM,))
    pyro.set_rng_seed(0)
    for _ in range(5):
        particles = draw(model, guide, (X5,), passes=(Pass.DOWNSTREAM,), plan=plan)
        assert {("p", site.name) for site in particles.observed} <= particles["z"].downstream


@pytest.mark.parametrize("estimator", [RELAX(), REBAR()])
def test_what_is_drawn_below_a_layer_is_influenced_by_that_layer_alone(estimator):
    """The guide goes x -> z1 -> z2, the model z2 -> z1 -> x: x hears of z2 through z1, whose value the guide drew."""

    def model(x):
        z2 = pyro.sample("z2", dist.Bernoulli(0.4))
        z1 = pyro.sample("z1", dist.Bernoulli(logits=2.0 * z2 - 1))
        pyro.sample("x", dist.Normal(3 * z1, 1.0), obs=x)

    def guide(x):
        z1 = pyro.sample("z1", dist.Bernoulli(logits=x))
        pyro.sample("z2", dist.Bernoulli(logits=z1 - pyro.param("b", torch.tensor(0.2))))

    x = torch.tensor(0.5)
    found = draw(model, guide, (x,), passes=(Pass.DOWNSTREAM,))
    assert found["z2"].downstream == {("p", "z2"), ("q", "z2"), ("p", "z1")}
    assert found["z1"].downstream == {(kind, name) for kind in "pq" for name in ("z1", "z2")} | {("p", "x")}
    assert torch.isfinite(TraceELBO(estimator, num_particles=2).loss(model, guide, x) * torch.ones(()))
