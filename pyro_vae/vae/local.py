"""q(z) of single rows, made as good as its family allows while the decoder stands still."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyro_vae.nets.modes import evaluating
from pyro_vae.vae.program import VAE
from pyro_vae.vae.terms import divergence

STEPS = 400
DRAWS = 8  # of z per row and step
LEARNING_RATE = 0.03
SETTLING = 0.5  # of the steps, over which the learning rate falls and parameters are averaged


def optimised(vae: VAE, x: Tensor, *, steps: int = STEPS) -> Tensor:
    """The numbers that an encoder should have given for the rows ``x`` ``[N, *event]``: ``[N, num_parameters]``.

    They start where the encoder puts them and go up the ELBO of each row by Adam, with the decoder, the prior and all
    that rows share held fixed. Draws without pathwise gradients have the score's, with the other draws as baseline.
    """
    frozen = [leaf for leaf in vae.parameters() if leaf.requires_grad]
    with evaluating(vae):
        try:
            for leaf in frozen:
                leaf.requires_grad_(False)
            return _ascended(vae, x, steps)
        finally:
            for leaf in frozen:
                leaf.requires_grad_(True)


def _ascended(vae: VAE, x: Tensor, steps: int) -> Tensor:
    with torch.enable_grad():
        parameters = vae._encoded(x).detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([parameters], lr=LEARNING_RATE)
        mean, settled = torch.zeros_like(parameters), 0
        for step in range(steps):
            left = (steps - step) / (SETTLING * steps)
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, left)
            optimiser.zero_grad()
            (-_surrogate(vae, parameters, x).sum()).backward()
            optimiser.step()
            if left <= 0.5:
                settled += 1
                mean.lerp_(parameters.detach(), 1 / settled)
        return mean if settled else parameters.detach()


def _surrogate(vae: VAE, parameters: Tensor, x: Tensor) -> Tensor:
    """What has the gradient of each row's ELBO, ``[N]``."""
    q: Any = vae.latent.posterior(parameters)
    if q.has_rsample:
        z = q.rsample((DRAWS,))
        return vae.decode(z).log_prob(x).mean(0) - divergence(q, vae.prior(), z).kl.sum(-1)
    z = q.sample((DRAWS,))
    found = divergence(q, vae.prior(), z)
    with torch.no_grad():
        gain = vae.decode(z).log_prob(x)
        if not found.exact:  # the KL's draws are scored too
            gain = gain - q.log_prob(z) + vae.prior().log_prob(z)
        gain = gain - (gain.sum(0) - gain) / (DRAWS - 1)
    score = (gain * q.log_prob(z)).mean(0)
    return score - found.kl.sum(-1) if found.exact else score


@torch.no_grad()
def row_bounds(vae: VAE, parameters: Tensor, x: Tensor, *, draws: int, seed: int) -> Tensor:
    """The ELBO of each row ``[N]`` in nats at an encoder's ``parameters``: so many draws, noise from that seed."""
    with torch.random.fork_rng(devices=[]), evaluating(vae):
        torch.manual_seed(seed)
        q: Any = vae.latent.posterior(parameters)
        total, at_once = torch.zeros(len(x), dtype=torch.float64), max(1, 4096 // len(x))
        for first in range(0, draws, at_once):
            z = q.sample((min(at_once, draws - first),))
            explained = vae.decode(z).log_prob(x).double()
            total += (explained - divergence(q, vae.prior(), z).kl.sum(-1).double()).sum(0).cpu()
        return total / draws
