"""Learned priors: densities by hand, and draws that agree with them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from pyro_vae.errors import OptionError
from pyro_vae.vae import latents, priors
from tests.vae.parts import LATENTS, PRIORS, UNIT, small_vae

every_prior = pytest.mark.parametrize("name", PRIORS)


@every_prior
def test_is_a_distribution_of_z_with_leading_dims(name: str) -> None:
    vae = small_vae(prior=PRIORS[name]())
    p = vae.prior()
    assert (p.batch_shape, p.event_shape) == ((), (3,))
    z = torch.randn(2, 5, 3)
    log_p = p.log_prob(z)
    assert log_p.shape == (2, 5)
    torch.testing.assert_close(log_p[1, 2], p.log_prob(z[1, 2]))


@every_prior
def test_draws_come_from_the_density(name: str) -> None:
    """A mean of 1/p(z) N(z) over draws is 1 for any p; 20 000 draws, 6 standard errors of a bounded ratio."""
    p = small_vae(prior=PRIORS[name]()).prior()
    z = p.sample((20_000,))
    narrow = Normal(z.mean(0), 0.5 * z.std(0))
    weight = (narrow.log_prob(z).sum(-1) - p.log_prob(z)).exp()
    assert abs(weight.mean() - 1) < 6 * weight.std() / 20_000**0.5


@every_prior
def test_learns_from_the_model_alone(name: str) -> None:
    vae = small_vae(prior=PRIORS[name]())
    vae.prior().log_prob(torch.randn(5, 3)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.learned_prior.parameters())


def test_a_vamp_prior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs() -> None:
    vae = small_vae(prior=priors.Vamp(UNIT))
    z = torch.randn(5, 3)
    each = vae.encode(UNIT).log_prob(z.unsqueeze(1))
    torch.testing.assert_close(vae.prior().log_prob(z), each.logsumexp(1) - math.log(4))


@pytest.mark.parametrize("name", LATENTS)
def test_a_vamp_prior_suits_every_family_of_latents(name: str) -> None:
    vae = small_vae(LATENTS[name].make(), prior=priors.Vamp(UNIT))
    z = vae.encode(UNIT).sample((7,))
    each = torch.stack([vae.encode(row[None]).log_prob(z) for row in UNIT])
    torch.testing.assert_close(vae.prior().log_prob(z), each.logsumexp(0) - math.log(4), rtol=1e-4, atol=1e-4)
    assert vae.prior().expand((6,)).log_prob(vae.prior().sample((6,))).shape == (6,)


def test_a_density_of_the_flow_takes_one_pass_of_each_layer() -> None:
    prior = priors.AutoregressiveFlow(5, layers=3, hidden=8)
    passes: list[int] = []
    for index, layer in enumerate(prior.layers):
        layer.arn.register_forward_hook(lambda *_, index=index: passes.append(index))
    prior(None).log_prob(torch.randn(4, 5))
    assert passes == [2, 1, 0]


def test_a_mixture_is_the_sum_of_its_components() -> None:
    prior = priors.GaussianMixture(3, 4)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
    z = torch.randn(5, 3)
    each = Normal(prior.loc, 1.0).log_prob(z.unsqueeze(1)).sum(-1)
    torch.testing.assert_close(prior(None).log_prob(z), (each + prior.logits.log_softmax(-1)).logsumexp(1))


def test_options_that_cannot_be_are_named() -> None:
    with pytest.raises(OptionError, match=r"^components: "):
        priors.GaussianMixture(3, 0)
    with pytest.raises(OptionError, match=r"^size, hidden: "):
        priors.AutoregressiveFlow(1)
    with pytest.raises(OptionError, match=r"^pseudo_inputs: .*int64"):
        priors.Vamp(torch.zeros(3, 4, dtype=torch.long))
    with pytest.raises(OptionError, match=r"^prior: expected a Prior, got Gaussian"):
        small_vae(prior=latents.Gaussian(3))
