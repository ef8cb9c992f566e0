"""``sigmoid_belief_network``: the sum over all states is above every bound, under every discrete estimator."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.utils.data import DataLoader

import pyro_vae as pv
from tests.models.modules import module
from tests.models.test_vaes import known

program = module("sigmoid_belief_network")

ESTIMATORS = {
    "VIMCO": (pv.VIMCO(), 4),
    "DisARM": (pv.DisARM(), 2),
    "NVIL": (pv.ScoreFunction(pv.Network()), 4),
    "RELAX": (pv.RELAX(), 2),
}


def test_the_log_likelihood_is_the_sum_over_all_states_written_out() -> None:
    torch.manual_seed(0)
    vae = program.build((3, 2)).double()
    x = program.images(4, seed=1).double()
    (W0, b0), (W1, b1) = (
        (net.weight.detach().numpy(), net.bias.detach().numpy()) for net in (vae.decoder, vae.down[0])
    )
    total = np.zeros(4)
    for z1, z2 in product(product([0, 1], repeat=3), product([0, 1], repeat=2)):
        p = 0.25 * stats.bernoulli.pmf(z1, special.expit(W1 @ z2 + b1)).prod()
        total += p * stats.bernoulli.pmf(x.numpy(), special.expit(W0 @ z1 + b0)).prod(1)
    np.testing.assert_allclose(vae.log_likelihood(x).numpy(), np.log(total), rtol=1e-9)


def test_the_layers_side_by_side_are_the_sites_of_model_and_guide() -> None:
    """Both densities of one draw, as the sites say and as prior and encoder say, of four layers."""
    torch.manual_seed(0)
    vae = program.build((5, 4, 3, 2)).double()
    x = program.images(6, seed=1).double()
    drawn = pv.draw(vae.model, vae.guide, (x,), num_particles=3)
    assert {site.name for site in drawn.latent} == {"z1", "z2", "z3", "z4"}
    z = torch.cat([drawn[f"z{level}"].value for level in (1, 2, 3, 4)], -1)
    torch.testing.assert_close(vae.encode(x).log_prob(z), sum(site.log_q.log_prob for site in drawn.latent))
    torch.testing.assert_close(vae.prior().log_prob(z), sum(site.log_p.log_prob for site in drawn.latent))
    torch.testing.assert_close(vae.decode(z).log_prob(x), drawn["x"].log_p.log_prob)
    for p in (vae.encode(x), vae.prior()):  # draws have the probabilities that the density gives them
        states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.double)] * 14)
        p = p if p.batch_shape == () else vae.encode(x[:1])
        probabilities = p.log_prob(states).exp()
        mean = probabilities @ states
        found = p.sample((20_000,)).reshape(-1, 14).mean(0)
        assert probabilities.sum().item() == pytest.approx(1)
        assert ((found - mean).abs() < 4.5 * (mean * (1 - mean) / 20_000).sqrt()).all()  # 28 of them: 2e-4 of seeds


def test_what_made_the_images_is_known_exactly() -> None:
    """3000 fresh images: the mean log p within 4.5 standard errors of minus the entropy, a false alarm in 7e-6."""
    log_p = program.true_log_likelihood(program.images(3000, seed=5)).numpy()
    assert (
        abs(log_p.mean() - known("sigmoid_belief_network")["log_likelihood"]["value"]) < 4.5 * log_p.std() / 3000**0.5
    )


def test_too_many_states_and_no_layers_are_refused() -> None:
    with pytest.raises(pv.OptionError, match="at most 20 bits to add up all states of, got 60"):
        program.build((40, 20)).log_likelihood(program.load()["x"])
    with pytest.raises(pv.OptionError, match=r"layers: expected .* got \(\)"):
        program.build(())


@pytest.mark.parametrize("layers", [(8,), (40, 20)])
def test_a_small_and_a_large_one_learn(layers: tuple[int, ...]) -> None:
    vae, x = program.build(layers), program.load()["x"][:50]
    elbo = pv.TraceELBO(pv.VIMCO(), num_particles=4)
    before = elbo.estimate(vae.model, vae.guide, x).bound.item()
    optimiser = torch.optim.Adam(vae.parameters(), lr=0.01)
    for _ in range(20):
        optimiser.zero_grad()
        elbo.differentiable_loss(vae.model, vae.guide, x).backward()
        optimiser.step()
    assert elbo.estimate(vae.model, vae.guide, x).bound.item() > before + 20  # of 50 images; noise is about 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_bound_is_above_the_sum_over_all_states(name: str) -> None:
    """Bounds of 1, 10 and 100 draws against the exact value on the same images; five standard errors of the draws."""
    estimator, particles = ESTIMATORS[name]
    x = program.load()["x"]
    torch.manual_seed(0)
    vae = program.build(size=len(x))
    before = vae.log_likelihood(x).mean().item()
    batches = DataLoader(x, batch_size=100, shuffle=True)
    options = {"num_particles": particles, "epochs": 60, "learning_rate": 0.02, "seed": 0}
    pv.fit(vae.model, vae.guide, batches, estimator=estimator, **options)
    exact = vae.log_likelihood(x)
    assert exact.mean() > before + 1  # it has learned something: bits that are fair have -11.09 nats
    one, ten, many = (vae.log_evidence(x, K=K) for K in (1, 10, 100))
    assert ten.value < exact.mean() + 5 * ten.standard_error
    assert many.value < exact.mean() + 5 * many.standard_error
    assert exact.mean() - 0.1 < many.value  # and it comes to it
    assert one.value < ten.value
