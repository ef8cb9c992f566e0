"""Weights broken off a stick: mixtures of profiles, which are found again with the log-likelihood known.

Each row is a spectrum of 20 channels, mixed from profiles with weights that sum to one:

.. math:: v_k \\sim \\text{Beta}(1, \\alpha), \\qquad \\pi_k = v_k \\prod_{j < k} (1 - v_j), \\qquad
          x \\sim N\\Bigl(\\sum_k \\pi_k m_k, \\sigma^2 I\\Bigr)

with the last weight what is left of the stick. The guide's fractions are Kumaraswamy, whose draws are a closed function
of uniform noise. The data have three profiles, and so has the model. More can be offered
(``build(weights=6)``), but are not simply left alone: the prior gives each of them some of the stick, and a fit can
write one profile down several times and miss another.

With three weights there are two fractions, and p(x) is a double integral. In :math:`u_k = 1 - (1 - v_k)^\\alpha`, which
is uniform, the midpoint rule finds it: no bound of such a model lies above (:func:`log_likelihood`).

Source: E. Nalisnick, P. Smyth, "Stick-breaking variational autoencoders", ICLR 2017; J. Sethuraman, "A constructive
definition of Dirichlet priors", Statistica Sinica 4 (1994).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

import pyro_vae as pv

PROFILES, CHANNELS, CONCENTRATION, NOISE = 3, 20, 1.0, 0.1
training = {"epochs": 300, "batch_size": 250, "learning_rate": 0.01}


class Profiles(nn.Module):
    """The decoder: weights ``[*lead, K]`` to the mixed profiles ``[*lead, channels]``."""

    def __init__(self, weights: int, channels: int):
        super().__init__()
        self.profiles = nn.Parameter(0.5 + 0.1 * torch.randn(weights, channels))

    def forward(self, weights: Tensor) -> Tensor:
        """The mixture."""
        return weights @ self.profiles


def truth() -> Tensor:
    """The three profiles, ``[3, 20]``: bumps of height 1 at the channels 4, 10 and 16."""
    channel = torch.arange(CHANNELS, dtype=torch.get_default_dtype())
    return torch.exp(-0.5 * ((channel - torch.tensor([[4.0], [10.0], [16.0]])) / 2) ** 2)


def rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """``n`` rows ``[n, 20]``, and their weights ``[n, 3]``."""
    generator, dtype = torch.Generator().manual_seed(seed), torch.get_default_dtype()
    weights = broken(torch.rand(n, PROFILES - 1, generator=generator, dtype=dtype))
    return weights @ truth() + NOISE * torch.randn(n, CHANNELS, generator=generator, dtype=dtype), weights


def broken(u: Tensor) -> Tensor:
    """Weights ``[*, K]`` from uniform numbers ``[*, K - 1]``: each fraction by its quantile function."""
    left = (1 - u) ** (1 / CONCENTRATION)  # 1 - v
    before = torch.cat([torch.ones_like(u[..., :1]), left.cumprod(-1)], -1)
    return before * torch.cat([1 - left, torch.ones_like(u[..., :1])], -1)


def load() -> dict[str, Tensor]:
    """1000 rows, ``x`` ``[1000, 20]``."""
    return {"x": rows(1000, seed=0)[0]}


def log_likelihood(profiles: Tensor, noise: float, x: Tensor, nodes: int = 100) -> Tensor:
    """log p of rows ``[N, 20]`` under three ``profiles`` ``[3, 20]``, ``[N]``, by ``nodes`` squared midpoints."""
    u = (torch.arange(nodes, dtype=x.dtype) + 0.5) / nodes
    means = broken(torch.cartesian_prod(u, u)) @ profiles
    log_p = -0.5 * (torch.cdist(x, means) / noise) ** 2 - x.shape[-1] * math.log(noise * math.sqrt(2 * math.pi))
    return log_p.logsumexp(-1) - 2 * math.log(nodes)


def build(weights: int = PROFILES, hidden: int = 64, features: int = CHANNELS, size: int | None = None) -> pv.VAE:
    """The pair, for spectra of ``features`` channels; ``size`` rows in all, where it is trained on batches."""
    latent = pv.vae.latents.StickBreaking(weights, concentration=CONCENTRATION)
    likelihood = pv.vae.likelihoods.Gaussian(features, "shared")
    encoder = pv.nets.MLP(features, latent.num_parameters, (hidden,))
    return pv.VAE(encoder, Profiles(weights, features), latent, likelihood, size=size)


def learned(vae: pv.VAE) -> tuple[Tensor, float]:
    """The profiles ``[K, 20]`` and the noise of a trained one."""
    likelihood: Any = vae.likelihood
    return vae.decoder.get_parameter("profiles").detach(), likelihood.scale.item()


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    x = load()["x"]
    vae = build(size=len(x))
    batches = DataLoader(TensorDataset(x), batch_size=250, shuffle=True)
    pv.fit(vae.model, vae.guide, batches, epochs=300, num_particles=1, learning_rate=0.01, seed=0)
    profiles, noise = learned(vae)
    with torch.no_grad():
        share = vae.encode(x).sample((50,)).exp().mean((0, 1))
    print(f"{vae.log_evidence(x)}; exactly {log_likelihood(profiles, noise, x).mean():.3f}")
    print(f"what made the data: {log_likelihood(truth(), NOISE, x).mean():.3f}")
    print(f"noise {noise:.3f}; peaks at the channels {profiles.argmax(-1).tolist()}; mean weights {share.tolist()}")
