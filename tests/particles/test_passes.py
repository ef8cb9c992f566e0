"""Further evaluations: same values, other gradients."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal, AutoNormalMessenger

from pyro_vae.errors import EstimatorError
from pyro_vae.particles import Pass, draw
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
