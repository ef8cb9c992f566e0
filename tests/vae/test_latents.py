"""Every family of latents: shapes, priors of the same kind, divergences, codes."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import kl_divergence

from pyro_vae.errors import OptionError
from pyro_vae.vae import latents
from pyro_vae.vae.positive import positive, unpositive
from tests.vae.parts import LATENTS

every_latent = pytest.mark.parametrize("name", LATENTS)


def posterior(latent: latents.Latent, *lead: int):
    return latent.posterior(torch.randn(*lead, latent.num_parameters) * 0.5)


@every_latent
def test_posterior_has_the_leading_dims_of_its_parameters_and_the_prior_none(name: str) -> None:
    case = LATENTS[name]
    latent = case.make()
    for lead in ((), (5,), (2, 5)):
        q = posterior(latent, *lead)
        assert (q.batch_shape, q.event_shape) == (lead, case.event)
    p = latent.prior()
    assert (p.batch_shape, p.event_shape) == ((), case.event)
    assert p.log_prob(q.sample()).shape == (2, 5)


@every_latent
def test_posteriors_draws_lie_where_the_prior_has_density(name: str) -> None:
    latent = LATENTS[name].make()
    z = posterior(latent, 5).sample((50,))
    p = latent.prior()
    assert bool(p.support.check(z).all())
    assert bool(torch.isfinite(p.log_prob(z)).all())


@every_latent
def test_gradients_flow_through_draws_where_the_family_says_so(name: str) -> None:
    case = LATENTS[name]
    latent = case.make()
    parameters = torch.randn(5, latent.num_parameters, requires_grad=True)
    q = latent.posterior(parameters)
    assert q.has_rsample == case.reparameterised
    total = latent.code(q.rsample()).square().sum() if case.reparameterised else q.log_prob(q.sample()).sum()
    total.backward()
    assert bool((parameters.grad.abs().sum(0) > 0).all())


@every_latent
def test_code_is_what_a_decoder_reads_for_any_leading_dims(name: str) -> None:
    latent = LATENTS[name].make()
    z = posterior(latent, 5).sample((4,))
    code = latent.code(z)
    assert code.shape == (4, 5, latent.code_size)
    torch.testing.assert_close(code[2, 3], latent.code(z[2, 3]))


@every_latent
def test_centre_is_a_possible_value_in_the_middle_of_the_draws(name: str) -> None:
    """Codes of 4 000 draws: nearer to the centre's than the draws are to each other, on average."""
    latent = LATENTS[name].make()
    q = posterior(latent, 5)
    centre = latent.centre(q)
    assert bool(q.support.check(centre).all())
    codes = latent.code(q.sample((4000,)))
    to_centre = (codes - latent.code(centre)).square().sum(-1).mean(0)
    apart = (codes - codes.roll(1, 0)).square().sum(-1).mean(0)
    assert bool((to_centre < apart).all())


@every_latent
def test_closed_form_kl_is_the_mean_of_the_log_ratio(name: str) -> None:
    """20 000 draws, five rows, within 5 standard errors: a false alarm in about 1e-5 of seeds."""
    case = LATENTS[name]
    latent = case.make()
    q = posterior(latent, 5)
    p = latent.prior().expand((5,))
    if not case.kl:
        with pytest.raises(NotImplementedError):
            kl_divergence(q, p)
        return
    z = q.sample((20_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / 20_000**0.5
    assert bool(((ratio.mean(0) - kl_divergence(q, p)).abs() < 5 * error + 1e-5).all())


def test_priors_of_weights_have_the_means_of_their_concentrations() -> None:
    """10 000 draws, 5 sds. Dirichlet(c, c, c): mean 1/3, variance 2/9 / (3c + 1). GEM(α): 1 / (1 + α) first."""
    latent = latents.Dirichlet(3, concentration=0.5)
    weights = latent.code(latent.prior().sample((10_000,)))
    torch.testing.assert_close(weights.sum(-1), torch.ones(10_000))
    spread = (2 / 9 / 2.5) ** 0.5
    assert bool(((weights.mean(0) - 1 / 3).abs() < 5 * spread / 100).all())
    assert weights.std(0).mean().item() == pytest.approx(spread, rel=0.05)
    latent = latents.StickBreaking(4, concentration=2.0)
    weights = latent.code(latent.prior().sample((10_000,)))
    torch.testing.assert_close(weights.sum(-1), torch.ones(10_000))
    assert abs(weights[:, 0].mean() - 1 / 3) < 5 * weights[:, 0].std() / 100
    relaxed = latents.Categorical(3, 2, temperature=0.5)
    pairs = relaxed.code(relaxed.prior().sample((50,))).unflatten(-1, (2, 3))
    torch.testing.assert_close(pairs.sum(-1), torch.ones(50, 2))


@pytest.mark.parametrize("name", ["flow", "relaxed bernoulli", "full gaussian"])
def test_densities_integrate_to_one(name: str) -> None:
    """By importance sampling from a wide normal; 6 standard errors."""
    latent = LATENTS[name].make()
    q = posterior(latent)
    wide = torch.distributions.Normal(torch.zeros(q.event_shape), 4.0)
    z = wide.sample((200_000,))
    weight = (q.log_prob(z) - wide.log_prob(z).sum(-1)).exp()
    assert abs(weight.mean() - 1) < 6 * weight.std() / 200_000**0.5


def test_flow_depends_on_its_context_and_its_layers_turn_the_order_round() -> None:
    latent = latents.Flow(3, hidden=8, context=2)
    noise, parameters = torch.randn(1, 3), torch.zeros(8)

    def bent(parameters: torch.Tensor) -> torch.Tensor:
        z = noise
        for layer in latent.posterior(parameters).transforms:
            z = layer(z)
        return z

    other = torch.cat([torch.zeros(6), torch.ones(2)])
    assert not torch.allclose(bent(parameters), bent(other))
    jacobian = torch.autograd.functional.jacobian(
        lambda e: latent.posterior(parameters).transforms[1](latent.posterior(parameters).transforms[0](e)), noise[0]
    )
    assert bool((jacobian.abs() > 0).all()), "each coordinate depends on all, once the order was turned round"


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: latents.Gaussian(0), "size"),
        (lambda: latents.FullGaussian(-1), "size"),
        (lambda: latents.Flow(1), "size"),
        (lambda: latents.Flow(9, hidden=8), "hidden"),
        (lambda: latents.Bernoulli(3, temperature=0.0), "temperature"),
        (lambda: latents.Categorical(0), "classes"),
        (lambda: latents.Categorical(3, 2, enumerate=True), "enumerate"),
        (lambda: latents.Dirichlet(1), "size"),
        (lambda: latents.StickBreaking(3, concentration=-1.0), "concentration"),
    ],
)
def test_an_impossible_option_is_named(make, option: str) -> None:
    with pytest.raises(OptionError, match=f"^{option}: "):
        make()


def test_positive_is_one_at_zero_and_has_an_inverse() -> None:
    assert positive(torch.tensor(0.0)).item() == pytest.approx(1.0)
    for value in (1e-3, 0.15, 1.0, 30.0):
        assert positive(torch.tensor(unpositive(value), dtype=torch.float64)).item() == pytest.approx(value)
    assert bool(positive(torch.tensor([-1e4, -1e2])).gt(0).all())


def test_a_family_moves_with_its_module() -> None:
    assert latents.Gaussian(2).double().prior().mean.dtype == torch.float64
