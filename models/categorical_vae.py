"""One categorical latent: prototypes of black and white patterns, found again, with the log-likelihood known exactly.

Each row of 24 bits comes from one of four prototypes, every bit of which is turned with probability 0.1:

.. math:: z \\sim \\text{Categorical}(1/K), \\qquad x_i \\mid z = k \\sim \\text{Bernoulli}(\\theta_{ki}), \\qquad
          q(z \\mid x) = \\text{Categorical}(\\operatorname{softmax} f_\\phi(x))

The decoder is a table, the log-odds of :math:`\\theta` for each class. Because z has only K values, the log-likelihood
is a sum, :math:`\\log p(x) = \\log \\frac1K \\sum_k p(x \\mid k)`, and so is the bound: ``pv.fit`` adds up the classes
(``infer={"enumerate": "parallel"}``) and no gradient has noise. The bound is short of the log-likelihood by KL(q || p(z
| x)), which a linear encoder can bring to 0: the log-odds of the posterior are linear in x. ``build(temperature=0.5)``
relaxes z instead (Gumbel-softmax), which every estimator takes; its bound is that of the relaxed model.

Source: E. Jang, S. Gu, B. Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017; the mixture: C. M.
Bishop, Pattern Recognition and Machine Learning (2006), section 9.3.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

import pyro_vae as pv

CLASSES, BITS, TURNED = 4, 24, 0.1
training = {"epochs": 75, "batch_size": 250, "learning_rate": 0.05}


def truth() -> Tensor:
    """The prototypes, ``[4, 24]`` probabilities of a one: 0.1 or 0.9, half of the bits in other halves of the row."""
    place = torch.arange(BITS)
    black = torch.stack([place < BITS // 2, place % 2 == 0, place % 3 == 0, place >= BITS // 3])
    return torch.where(black, 1 - TURNED, TURNED).to(torch.get_default_dtype())


def rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """``n`` rows ``[n, 24]``, and the class of each ``[n]``."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(CLASSES, (n,), generator=generator)
    return torch.bernoulli(truth()[classes], generator=generator), classes


def load() -> dict[str, Tensor]:
    """1000 rows of bits, ``x`` ``[1000, 24]``."""
    return {"x": rows(1000, seed=0)[0]}


def log_likelihood(probabilities: Tensor, x: Tensor) -> Tensor:
    """Exactly, of rows ``[N, 24]`` under prototypes ``[K, 24]``: ``[N]``."""
    log_p = pv.vae.likelihoods.Bernoulli(x.shape[-1]).distribution(probabilities.logit()).log_prob(x.unsqueeze(1))
    return log_p.logsumexp(-1) - math.log(len(probabilities))


def build(
    classes: int = CLASSES, temperature: float | None = None, features: int = BITS, size: int | None = None
) -> pv.VAE:
    """The pair, for ``features`` bits; ``size`` rows in all, where it is trained on batches."""
    latent = pv.vae.latents.Categorical(classes, temperature=temperature, enumerate=temperature is None)
    likelihood = pv.vae.likelihoods.Bernoulli(features)
    encoder = pv.nets.MLP(features, latent.num_parameters, hidden=())
    decoder = pv.nets.MLP(latent.code_size, likelihood.raw_shape, hidden=())
    return pv.VAE(encoder, decoder, latent, likelihood, size=size)


def prototypes(vae: pv.VAE) -> Tensor:
    """What was learned, ``[K, 24]`` probabilities of a one."""
    with torch.no_grad():
        return vae.decoder(torch.eye(vae.latent.code_size, dtype=vae.latent.zero.dtype)).sigmoid()


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    x = load()["x"]
    vae = build(size=len(x))
    batches = DataLoader(TensorDataset(x), batch_size=250, shuffle=True)
    fit = pv.fit(vae.model, vae.guide, batches, epochs=75, num_particles=1, learning_rate=0.05, seed=0)
    print(
        f"bound {fit.bound / len(x):.4f}, log-likelihood {log_likelihood(prototypes(vae), x).mean():.4f} nats per row"
    )
    print(f"of the true prototypes on the same rows: {log_likelihood(truth(), x).mean():.4f}")
