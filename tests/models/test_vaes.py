"""The programs that build a VAE: the densities that their docstrings state, and what is known exactly about them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import kl_divergence
from torch.utils.data import DataLoader

import pyro_vae as pv
from pyro_vae.catalogue import catalogue, catalogue_folder, load_program
from pyro_vae.particles import run_model
from pyro_vae.vae.positive import unpositive
from tests.models.oracles.digits import principal_components, probabilistic_pca

VAES = [name for name in catalogue() if load_program(name).vae is not None]


def known(name: str) -> dict[str, Any]:
    return json.loads((catalogue_folder() / "reference" / f"{name}.json").read_text())["per_row"]


@pytest.fixture
def double() -> Iterator[None]:
    """Everything in 64 bits, so that densities can be compared closely."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", VAES)
def test_takes_its_own_data_and_gives_more_like_them(name: str) -> None:
    program = load_program(name)
    x = program.data["x"]
    program.vae.check_data(x)
    assert program.vae.generate(3).shape == program.vae.reconstruct(x[:3]).shape == x[:3].shape
    assert np.isfinite(program.vae.log_evidence(x[:20], K=8).value)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", VAES)
def test_many_particles_at_once_are_the_same_as_one_by_one(name: str) -> None:
    program = load_program(name)
    data = {"x": program.data["x"][:5]}
    drawn = run_model(program.model, (), data, num_particles=3)
    values = {site.name: site.value for site in drawn.latent}
    together = run_model(program.model, (), data, num_particles=3, values=values, vectorize=True)
    apart = run_model(program.model, (), data, num_particles=3, values=values, vectorize=False)
    torch.testing.assert_close(together.log_p(), apart.log_p())


@pytest.mark.usefixtures("double")
def test_linear_vaes_joint_density_is_the_one_in_the_docstring() -> None:
    program = load_program("linear_vae")
    layer = program.vae.decoder.layers[0]
    W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    z = torch.randn(2, len(program.data["x"]), 10)
    log_p = run_model(program.model, (), dict(program.data), num_particles=2, values={"z": z}).log_p()
    mean = z.numpy() @ W.T + b
    log_z, log_x = stats.norm.logpdf(z.numpy()), stats.norm.logpdf(program.data["x"].numpy(), mean, 1)
    np.testing.assert_allclose(log_p.detach().numpy(), log_z.sum((1, 2)) + log_x.sum((1, 2)), rtol=1e-9)


def test_probabilistic_pca_has_the_published_figures() -> None:
    ten, five = known("linear_vae")["latents=10"], known("linear_vae")["latents=5"]
    assert ten["log_evidence"]["value"] == pytest.approx(17.4519, abs=1e-4)
    assert ten["noise_variance"]["value"] == pytest.approx(0.022751, abs=1e-6)
    assert ten["kl"]["value"] == pytest.approx(12.796, abs=1e-3)
    assert five["log_evidence"]["value"] == pytest.approx(8.9076, abs=1e-4)


def at_the_optimum(latents: int = 10) -> tuple[Any, torch.Tensor]:
    """The linear VAE at probabilistic PCA's solution, in 64 bits, and the data."""
    program = load_program("linear_vae", latents=latents)
    vae, x = program.vae.double(), program.data["x"].double()
    noise = probabilistic_pca(latents)["noise_variance"]
    U = torch.from_numpy(principal_components(latents).copy())
    spectrum = (U.T @ x.T.cov(correction=0) @ U).diag()
    W = U * (spectrum - noise).sqrt()
    V = W / spectrum  # the posterior mean is Wᵀ (x - b) over W's squared norm plus the noise, which is the eigenvalue
    encoder, decoder = vae.encoder.layers[0], vae.decoder.layers[0]
    with torch.no_grad():
        decoder.weight.copy_(W)
        decoder.bias.copy_(x.mean(0))
        encoder.weight.copy_(torch.cat([V.T, torch.zeros(latents, 64)]))
        sd = [unpositive(float(s)) for s in (noise / spectrum).sqrt()]
        encoder.bias.copy_(torch.cat([-V.T @ x.mean(0), torch.tensor(sd)]))
        vae.likelihood.raw_scale.fill_(unpositive(noise**0.5))
    return vae, x


@pytest.mark.parametrize("latents", [5, 10])
def test_at_probabilistic_pcas_solution_every_importance_weight_is_the_evidence(latents: int) -> None:
    """The guide is the posterior, so one draw per row is enough, and IWAE's bound has no error."""
    vae, x = at_the_optimum(latents)
    found, exact = vae.log_evidence(x, K=2), known("linear_vae")[f"latents={latents}"]
    assert found.value == pytest.approx(exact["log_evidence"]["value"], abs=1e-6)
    assert found.standard_error < 1e-6
    kl = kl_divergence(vae.encode(x), vae.prior().expand((len(x),))).mean().item()
    assert kl == pytest.approx(exact["kl"]["value"], abs=1e-6)


def alignment(vae: Any) -> np.ndarray:
    """|cos| of each decoder column, the longest first, with the principal component of its rank."""
    W = vae.decoder.layers[0].weight.detach().double().numpy()
    W = W[:, np.argsort(-np.linalg.norm(W, axis=0))]
    return np.abs((W / np.linalg.norm(W, axis=0) * principal_components(W.shape[1])).sum(0))


def exact_bound(vae: Any, x: torch.Tensor) -> torch.Tensor:
    """The bound of a linear VAE per row with both of its terms in closed form: what every draw is a draw of."""
    q, W, scale = vae.encode(x), vae.decoder.layers[0].weight, vae.likelihood.scale
    squares = (x - vae.decoder(q.mean)).square().sum(-1) + q.variance @ W.square().sum(0)
    log_likelihood = -squares / (2 * scale**2) - 0.5 * x.shape[-1] * (2 * math.pi * scale**2).log()
    return (log_likelihood - kl_divergence(q, vae.prior().expand((len(x),)))).mean()


def test_the_gradient_of_the_bound_is_that_of_its_closed_form() -> None:
    """512 draws of 20 rows, each of 2 000 entries within 7 standard errors: t with 31 degrees, 2e-4 of seeds fail."""
    program = load_program("linear_vae")
    vae, x = program.vae.double(), program.data["x"][:20].double()
    parameters = list(vae.parameters())
    exact = torch.autograd.grad(20 * exact_bound(vae, x), parameters)
    elbo = pv.TraceELBO(pv.AnalyticKL(), num_particles=16)
    draws = [torch.autograd.grad(-elbo.differentiable_loss(vae.model, vae.guide, x), parameters) for _ in range(32)]
    for known_gradient, *drawn in zip(exact, *draws, strict=True):
        found = torch.stack(drawn)
        error = found.std(0) / len(drawn) ** 0.5
        assert bool(((found.mean(0) - known_gradient).abs() < 7 * error + 1e-9).all())


def analytic_fit(vae: Any, x: torch.Tensor, **options: Any) -> Any:
    """All rows at every step, one draw of each, the KL in closed form."""
    kl = pv.AnalyticKL()
    return pv.fit(vae.model, vae.guide, x, estimator=kl, num_particles=1, stop=None, seed=0, **options)


@pytest.mark.slow
def test_a_fit_of_the_linear_vae_reaches_the_evidence_and_the_divergence() -> None:
    """From a random start, all rows at every step. The directions are found last: see the next test."""
    program = load_program("linear_vae")
    vae, x = program.vae, program.data["x"]
    result = analytic_fit(vae, x, learning_rate=0.01, steps=3000)
    exact = known("linear_vae")["latents=10"]
    assert result.bound / len(x) == pytest.approx(exact["log_evidence"]["value"], abs=0.05)
    assert exact_bound(vae, x).item() == pytest.approx(exact["log_evidence"]["value"], abs=0.05)
    assert exact_bound(vae, x).item() < exact["log_evidence"]["value"]
    kl = kl_divergence(vae.encode(x), vae.prior().expand((len(x),))).mean().item()
    assert kl == pytest.approx(exact["kl"]["value"], abs=0.1)
    assert vae.likelihood.scale.item() ** 2 == pytest.approx(exact["noise_variance"]["value"], rel=0.02)
    W = vae.decoder.layers[0].weight.detach().double().numpy()
    between = np.linalg.svd(np.linalg.qr(W)[0].T @ principal_components(10), compute_uv=False)
    assert between.min() > 0.99, "the cosines between the subspaces"


@pytest.mark.slow
def test_the_best_linear_vae_has_the_principal_components_and_a_fit_stays_there() -> None:
    """L-BFGS on the closed form from a random start, then stochastic gradients from where it ends."""
    program = load_program("linear_vae")
    vae, x = program.vae.double(), program.data["x"].double()
    options = {"max_iter": 2500, "max_eval": 5000, "history_size": 50, "line_search_fn": "strong_wolfe"}
    optimiser = torch.optim.LBFGS(vae.parameters(), tolerance_grad=1e-9, tolerance_change=1e-13, **options)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = -exact_bound(vae, x)
        value.backward()
        return value

    optimiser.step(loss)
    exact = known("linear_vae")["latents=10"]
    assert exact_bound(vae, x).item() == pytest.approx(exact["log_evidence"]["value"], abs=1e-3)
    assert alignment(vae).min() > 0.99
    result = analytic_fit(vae, x, learning_rate=1e-3, steps=500)
    assert result.bound / len(x) == pytest.approx(exact["log_evidence"]["value"], abs=0.01)
    assert alignment(vae).min() > 0.99
    kl = kl_divergence(vae.encode(x), vae.prior().expand((len(x),))).mean().item()
    assert kl == pytest.approx(exact["kl"]["value"], abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_vae_digits_learns_single_digits_and_stays_below_the_ceiling(net: str) -> None:
    """60 epochs of batches: a nat above what a model without latents can reach is the least that is asked for."""
    x = load_program("vae_digits").data["x"]
    vae = load_program("vae_digits", net=net, size=len(x)).vae
    batches = DataLoader(x, batch_size=128, shuffle=True)
    result = pv.fit(vae.model, vae.guide, batches, epochs=60, num_particles=1, learning_rate=3e-3, seed=0)
    exact, bound = known("vae_digits"), result.bound / len(x)
    assert exact["without_latents"]["value"] + 1 < bound < exact["ceiling"]["value"]
    evidence = vae.log_evidence(x, K=100)
    assert bound - 3 * result.bound_se / len(x) < evidence.value < exact["ceiling"]["value"]
