"""The distribution function of a Gamma variable and its inverse, in log space."""

from __future__ import annotations

import torch
from torch import Tensor


def gamma_cdf(log_x: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    """P(log X <= log x), also for log x far below what x can hold, where it is x^a / Γ(a + 1)."""
    log_y = log_x + rate.log()
    far = log_y < -40
    near = torch.special.gammainc(concentration, log_y.clamp(min=-40.0).exp())
    return torch.where(far, (concentration * log_y - torch.lgamma(concentration + 1)).exp(), near)


def gamma_quantile(u: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    """The v with P(log X <= v) = u, by bisection between the quantile of the power that bounds the cdf, and a bound
    above: 64 halvings."""
    with torch.no_grad():
        a, u = torch.broadcast_tensors(concentration, u)
        # F(x) <= x^a / Γ(a + 1), with equality in the limit of small x.
        least = (u.log() + torch.lgamma(a + 1)) / a
        low, high = least, torch.maximum(least, (a + 12 * a.sqrt() + 80).log())
        for _ in range(64):
            middle = (low + high) / 2
            y = middle.exp()
            below = torch.where(u < 0.5, torch.special.gammainc(a, y) < u, torch.special.gammaincc(a, y) > 1 - u)
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        value = torch.where(least < -40, least, (low + high) / 2)
        value = torch.where(u == 0, -torch.inf, torch.where(u == 1, torch.inf, value))
        return value - rate.log()
