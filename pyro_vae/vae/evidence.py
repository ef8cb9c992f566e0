"""``log_evidence``: the importance-weighted bound on log p(x), row by row, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyro_vae.nets.rows import check_positive

if TYPE_CHECKING:
    from pyro_vae.vae.program import VAE

CHUNK = 4096  # draws of z that are decoded at once


@dataclass(frozen=True)
class LogEvidence:
    """The bound L_K in nats per row: the mean over the rows, with two standard errors.

    ``standard_error`` is that of the K draws at these rows. ``population_error`` is that of the mean over all rows that
    there might have been, of which these are a sample; it contains the other. ``rows`` has each row's bound ``[N]`` and
    ``row_errors`` its standard error. The bound lies below log p(x) in expectation, and rises to it with ``K``.
    """

    value: float
    standard_error: float
    population_error: float
    K: int
    rows: Tensor = field(repr=False)
    row_errors: Tensor = field(repr=False)

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.standard_error:.4f} nats per row (K = {self.K}, {len(self.rows)} rows)"


def log_evidence(vae: VAE, x: Tensor, K: int) -> LogEvidence:
    r""":math:`L_K = \frac1N \sum_n \log \frac1K \sum_k p(x_n, z_k) / q(z_k \mid x_n)` of rows ``[N, *event_shape]``.

    The error of one row is by the delta method, the weights' standard deviation over their mean and √K: too small where
    a few weights dominate. The caller sees to evaluation mode and gradients.
    """
    check_positive(K=K)
    at_once = max(1, CHUNK // K)
    log_w = torch.cat([_log_weights(vae, rows, K) for rows in x.split(at_once)], -1).double()
    bounds = log_w.logsumexp(0) - math.log(K)
    weights = (log_w - bounds).exp()
    errors = weights.std(0) / math.sqrt(K) if K > 1 else torch.full_like(bounds, torch.nan)
    n = len(bounds)
    return LogEvidence(
        value=bounds.mean().item(),
        standard_error=errors.square().sum().sqrt().item() / n,
        population_error=bounds.std().item() / math.sqrt(n) if n > 1 else math.nan,
        K=K,
        rows=bounds,
        row_errors=errors,
    )


def _log_weights(vae: VAE, x: Tensor, K: int) -> Tensor:
    """log p(x, z) - log q(z | x) of K draws, ``[K, rows]``."""
    q, p = vae.encode(x), vae.prior()
    parts = []
    for start in range(0, K, CHUNK):
        z = q.sample((min(CHUNK, K - start),))
        parts.append(p.log_prob(z) + vae.decode(z).log_prob(x) - q.log_prob(z))
    return torch.cat(parts)
