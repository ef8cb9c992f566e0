"""A learned mixture for a prior: clusters that were not labelled, with the log-likelihood in closed form.

Six measurements are linear in two hidden numbers, which come from three clusters:

.. math:: z \\sim \\sum_c \\pi_c N(m_c, \\operatorname{diag} s_c^2), \\qquad x \\sim N(A z + b, \\sigma^2 I), \\qquad
          q(z \\mid x) = N(\\mu_\\phi(x), L_\\phi(x) L_\\phi(x)^\\top)

With a linear decoder the model is a mixture of Gaussians that lie in a plane,

.. math:: p(x) = \\sum_c \\pi_c N\\bigl(x;\\ A m_c + b,\\ A \\operatorname{diag}(s_c^2) A^\\top + \\sigma^2 I\\bigr),

so every bound can be held to the exact log-likelihood of the model that it was trained with, and the clusters to those
that made the data, up to their order. A standard normal prior cannot say that there are three groups: its
log-likelihood on such data is smaller.

Source: N. Dilokthanakul et al., "Deep unsupervised clustering with Gaussian mixture variational autoencoders" (2016);
J. M. Tomczak, M. Welling, "VAE with a VampPrior", AISTATS 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

import pyro_vae as pv
from pyro_vae.vae.positive import positive

LATENTS, MEASUREMENTS, NOISE = 2, 6, 0.3
WEIGHTS = (0.5, 0.3, 0.2)
CENTRES = ((-2.0, 0.0), (2.0, 1.0), (1.0, -3.0))
SPREAD = 0.5
training = {"epochs": 400, "batch_size": 200, "learning_rate": 0.01}
LOADINGS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0), (0.5, -1.0), (-1.0, 0.5))


def rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """``n`` rows ``[n, 6]``, and the cluster of each ``[n]``."""
    generator, dtype = torch.Generator().manual_seed(seed), torch.get_default_dtype()
    clusters = torch.multinomial(torch.tensor(WEIGHTS, dtype=dtype), n, replacement=True, generator=generator)
    z = torch.tensor(CENTRES, dtype=dtype)[clusters]
    z = z + SPREAD * torch.randn(n, LATENTS, generator=generator, dtype=dtype)
    noise = torch.randn(n, MEASUREMENTS, generator=generator, dtype=dtype)
    return z @ torch.tensor(LOADINGS, dtype=dtype).T + NOISE * noise, clusters


def load() -> dict[str, Tensor]:
    """800 rows of measurements, ``x`` ``[800, 6]``."""
    return {"x": rows(800, seed=0)[0]}


def build(components: int = 3, features: int = MEASUREMENTS, size: int | None = None) -> pv.VAE:
    """The pair; ``components=1`` takes the standard normal prior. ``size`` rows in all, where trained on batches."""
    latent = pv.vae.latents.FullGaussian(LATENTS)
    likelihood = pv.vae.likelihoods.Gaussian(features, "shared")
    encoder = pv.nets.MLP(features, latent.num_parameters, (32,))
    decoder = pv.nets.MLP(latent.code_size, likelihood.raw_shape, hidden=())
    prior = pv.vae.priors.GaussianMixture(LATENTS, components) if components > 1 else None
    return pv.VAE(encoder, decoder, latent, likelihood, prior, size=size)


def exact(vae: pv.VAE) -> MixtureSameFamily:
    """p(x) of this program's VAE, whatever its parameters: the mixture of the docstring."""
    layer: Any = vae.decoder.get_submodule("layers.0")
    likelihood: Any = vae.likelihood
    prior: Any = vae.learned_prior
    if prior is None:
        logits, loc, scale = torch.zeros(1), torch.zeros(1, LATENTS), torch.ones(1, LATENTS)
    else:
        logits, loc, scale = prior.logits, prior.loc, positive(prior.raw_scale)
    A, noise = layer.weight, likelihood.scale**2
    covariance = (A * scale.square().unsqueeze(1)) @ A.T + noise * torch.eye(len(A), dtype=A.dtype)
    return MixtureSameFamily(Categorical(logits=logits), MultivariateNormal(loc @ A.T + layer.bias, covariance))


def clusters(vae: pv.VAE, x: Tensor) -> Tensor:
    """The likeliest component of each row ``[N]``, under the exact posterior."""
    with torch.no_grad():
        p = exact(vae)
        return (p.mixture_distribution.logits + p.component_distribution.log_prob(x.unsqueeze(1))).argmax(-1)


def true_log_likelihood(x: Tensor) -> Tensor:
    """log p of rows ``[N, 6]`` under what made them, ``[N]``."""
    dtype = x.dtype
    A, loc = torch.tensor(LOADINGS, dtype=dtype), torch.tensor(CENTRES, dtype=dtype)
    covariance = SPREAD**2 * A @ A.T + NOISE**2 * torch.eye(MEASUREMENTS, dtype=dtype)
    components = MultivariateNormal(loc @ A.T, covariance)
    return MixtureSameFamily(Categorical(torch.tensor(WEIGHTS, dtype=dtype)), components).log_prob(x)


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    x = load()["x"]
    batches = DataLoader(TensorDataset(x), batch_size=200, shuffle=True)
    for components in (1, 3):
        torch.manual_seed(0)
        vae = build(components, size=len(x))
        fit = pv.fit(vae.model, vae.guide, batches, epochs=400, num_particles=1, learning_rate=0.01, seed=0)
        exactly = exact(vae).log_prob(x).mean()
        print(f"{components} components: bound {fit.bound / len(x):.3f}, exactly {exactly:.3f} nats per row")
    print(f"what made the data: {true_log_likelihood(x).mean():.3f}")
