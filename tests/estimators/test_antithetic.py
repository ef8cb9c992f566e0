"""The noise that is drawn given a discrete draw: antithetic bits, sticks, relaxed values."""

from __future__ import annotations

import math

import pytest
import torch

from pyro_vae.estimators.antithetic import antithetic_bits, first_one, sticks_of
from pyro_vae.estimators.relaxations import Relaxation
from pyro_vae.particles import Site


def test_antithetic_bits_are_what_the_mirrored_noise_gives():
    """u given b is uniform where b says, and 1 - u gives the other bit: held to the definition with u in the open."""
    torch.manual_seed(0)
    logits = torch.linspace(-30, 30, 4001, dtype=torch.float64)
    p = torch.sigmoid(logits)
    value, noise = torch.bernoulli(p), torch.rand(4001, dtype=torch.float64)
    bits = antithetic_bits(logits, value, noise)
    u = bits.offset + 0.5
    decided = (u - (1 - p)).abs() > 1e-9
    assert torch.equal((u > 1 - p)[decided], value.bool()[decided])
    assert torch.equal((1 - u > 1 - p)[decided], bits.flipped.bool()[decided])


def test_sticks_give_back_their_category_and_an_antithetic_one_of_the_same_law():
    """Chi-square of 2e5 antithetic categories; 11.3 is the 1 % point for 3 degrees of freedom, 30 has budget 1e-6."""
    torch.manual_seed(1)
    count = 200_000
    logits = torch.tensor([0.3, -1.0, 0.9, 0.1], dtype=torch.float64).log_softmax(-1).expand(count, 4)
    category = torch.distributions.Categorical(logits=logits).sample()
    sticks = sticks_of(logits, category, torch.rand(count, 4, dtype=torch.float64))
    assert torch.equal(first_one(sticks.bits.value), category)
    expected = logits[0].exp() * count
    observed = torch.bincount(sticks.flipped_category, minlength=4).double()
    assert ((observed - expected) ** 2 / expected).sum() < 30
    assert (sticks.flipped_category != category).double().mean() > 0.6


@pytest.mark.parametrize("family", ["Bernoulli", "OneHotCategorical"])
def test_a_conditional_draw_has_its_corner_and_the_law_of_a_free_one(family):
    """Means of 4e5 draws against Logistic and Gumbel ones: 5 standard errors, budget 6e-7 per number."""
    torch.manual_seed(2)
    count = 400_000
    if family == "Bernoulli":
        logits = torch.full((count, 1), 0.8, dtype=torch.float64)
        value, mean, sd = torch.bernoulli(torch.sigmoid(logits)), 0.8, math.pi / math.sqrt(3)
    else:
        logits = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64).log_softmax(-1).expand(count, 3)
        value = torch.distributions.OneHotCategorical(logits=logits).sample()
        mean, sd = logits[0] + 0.5772156649, math.pi / math.sqrt(6)
    noise = torch.rand(1, *value.shape, dtype=torch.float64)
    site = Site("z", value, family=family, canonical={"logits": logits}, noise=noise)
    relaxation = Relaxation.of(site)
    z = relaxation.conditional.detach()
    corner = (z > 0).to(value) if family == "Bernoulli" else torch.nn.functional.one_hot(z.argmax(-1), 3).to(value)
    assert torch.equal(corner, value)
    assert ((z.mean(0) - mean).abs() < 5 * sd / math.sqrt(count)).all()
    torch.testing.assert_close(z.std(0), torch.full_like(z[0], sd), rtol=0.01, atol=0)
