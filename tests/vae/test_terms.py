"""The halves of the bound: KLs by component that add up, and q(z) optimised row by row."""

from __future__ import annotations

import pytest
import torch

from pyro_vae.vae.local import optimised, row_bounds
from pyro_vae.vae.terms import divergence
from tests.vae.parts import LATENTS, PRIORS, UNIT, small_vae


def found(vae, draws: int):
    with torch.no_grad():
        q, p = vae.encode(UNIT), vae.prior()
        z = q.sample((draws,))
        return divergence(q, p, z), (q.log_prob(z) - p.log_prob(z)).mean(0)


@pytest.mark.parametrize("name", [*LATENTS, *PRIORS])
def test_components_add_up_to_the_kl_of_the_draws(name: str) -> None:
    vae = small_vae(LATENTS[name].make()) if name in LATENTS else small_vae(prior=PRIORS[name]())
    split, drawn = found(vae, 20_000)
    assert split.kl.shape == (len(UNIT), len(split.names))
    assert (split.kl >= -0.03).all()
    torch.testing.assert_close(split.kl.sum(1), drawn, atol=0.03, rtol=0)  # sds up to .006
    assert split.exact is (name in LATENTS and LATENTS[name].kl)


def test_a_component_has_the_name_of_what_it_is() -> None:
    names = {name: found(small_vae(LATENTS[name].make()), 3)[0].names for name in LATENTS}
    assert names["gaussian"] == names["bernoulli"] == ("z[0]", "z[1]", "z[2]")
    assert names["full gaussian"] == ("z[0]", "z[1]", "z[2]", "dependence")
    assert names["stick-breaking"] == ("fraction[0]", "fraction[1]", "fraction[2]")
    assert names["categoricals"] == ("variable[0]", "variable[1]")
    assert names["dirichlet"] == names["categorical"] == ("z",)


@pytest.mark.parametrize("name", [name for name in LATENTS if name != "enumerated"])
def test_no_row_is_worse_off_with_a_q_of_its_own(name: str) -> None:
    """From an encoder that was never trained; 300 draws, alike for both, so the sd of a difference is below .05."""
    vae = small_vae(LATENTS[name].make())
    before = [leaf.requires_grad for leaf in vae.parameters()]
    with torch.no_grad():
        encoded = vae.encoder(UNIT)
    best = optimised(vae, UNIT, steps=60)
    ends = [row_bounds(vae, each, UNIT, draws=300, seed=1) for each in (encoded, best)]
    assert (ends[1] > ends[0] - 0.1).all()
    assert ends[1].mean() > ends[0].mean()
    assert [leaf.requires_grad for leaf in vae.parameters()] == before
    assert vae.training
    assert all(leaf.grad is None for leaf in vae.parameters())
