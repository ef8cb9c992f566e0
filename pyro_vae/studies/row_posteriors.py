"""NUTS over the latents of single rows, with the decoder fixed: what the encoder should have said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor
from torch.distributions import biject_to

from pyro_vae.diagnostics import RowCheck, bridge_sampling
from pyro_vae.studies.comparing import compare
from pyro_vae.vae.program import VAE

GUIDE = "encoder"
_WEIGHTS = 4096  # draws of the encoder for a row's evidence


def check_row(vae: VAE, x: Tensor, row: int, *, seed: int, **options: Any) -> RowCheck:
    """Judge q(z | x) of one row ``[*event]`` on NUTS; ``options`` are those of :func:`~pyro_vae.compare`.

    The caller sees to evaluation mode, and to parameters that take no gradients.
    """
    model, guide = _pair(vae)
    comparison = compare(
        model, {"x": x}, guides={GUIDE: guide}, refit=False, seed=seed, guide_draws=_WEIGHTS, **options
    )
    evidence, error = _bridge(vae, x, np.asarray(comparison.baseline["posterior"]["z"]))
    bound = vae.log_evidence(x.unsqueeze(0), K=_WEIGHTS)
    return RowCheck(
        row=row,
        judgement=comparison.judgements[GUIDE],
        posterior=comparison.posteriors[GUIDE],
        baseline=comparison.baseline,
        evidence=evidence,
        evidence_error=error,
        iwae=bound.value,
        iwae_error=bound.standard_error,
    )


def _pair(vae: VAE) -> tuple[Callable, Callable]:
    """Model and guide of one row without a plate."""

    def one_row(x: Tensor) -> None:
        z = pyro.sample("z", vae.prior())
        pyro.sample("x", vae.decode(z), obs=x)

    def encoder(x: Tensor) -> None:
        pyro.sample("z", vae.latent.posterior(vae._encoded(x.unsqueeze(0))[0]))

    return one_row, encoder


@torch.no_grad()
def _bridge(vae: VAE, x: Tensor, draws: np.ndarray) -> tuple[float, float]:
    """log p(x) from the draws ``[chains, draws, *event]``: a normal fitted to each chain's first half meets the second.

    On the unconstrained scale of z, where a normal has the posterior's support.
    """
    prior = vae.prior()
    free = biject_to(prior.support)
    halves = np.array_split(draws, 2, axis=1)
    first, second = (
        torch.as_tensor(half.reshape(-1, *draws.shape[2:]), dtype=vae.latent.zero.dtype) for half in halves
    )
    u = free.inv(first)
    shape = u.shape[1:]
    flat = u.flatten(1).double()
    spread = torch.atleast_2d(torch.cov(flat.T)) + 1e-10 * torch.eye(flat.shape[1], dtype=flat.dtype)
    proposal = torch.distributions.MultivariateNormal(flat.mean(0), spread)

    def log_p(u: Tensor) -> Tensor:
        found = []
        for part in u.split(1024):
            one = part.reshape(-1, *shape).to(vae.latent.zero.dtype)
            z = free(one)
            density = prior.log_prob(z) + vae.decode(z).log_prob(x)
            found.append(density.double() + free.log_abs_det_jacobian(one, z).double())
        return torch.cat(found)

    ours, theirs = free.inv(second).flatten(1).double(), proposal.sample((len(second),))
    found = bridge_sampling(
        (log_p(ours) - proposal.log_prob(ours)).reshape(len(draws), -1).numpy(),
        (log_p(theirs) - proposal.log_prob(theirs)).numpy(),
    )
    return found.value, found.se
