"""The best bound a Gaussian guide can have, when the bound is a deterministic function of mean and covariance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def gauss_hermite(nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights with E f(z) = sum w f(x) for a standard normal z."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(x), torch.from_numpy(w / w.sum())


def best_gaussian(
    expected_log_joint: Callable[[Tensor, Tensor], Tensor], size: int, *, full_rank: bool
) -> tuple[float, np.ndarray, np.ndarray]:
    """max over m, L of E log p + entropy of N(m, L L'), with that m and L, by L-BFGS in 64 bits from m = 0, L = .3 I.

    ``expected_log_joint(m, L)`` is E log p(x, z) under that normal, exact or by quadrature, and differentiable.
    """
    mean = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    log_diagonal = torch.full((size,), math.log(0.3), dtype=torch.float64, requires_grad=True)
    below = torch.zeros(size, size, dtype=torch.float64, requires_grad=full_rank)
    parameters = [mean, log_diagonal, below] if full_rank else [mean, log_diagonal]

    def root() -> Tensor:
        return torch.diag(log_diagonal.exp()) + below.tril(-1)

    def bound() -> Tensor:
        return expected_log_joint(mean, root()) + log_diagonal.sum() + size / 2 * math.log(2 * math.pi * math.e)

    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=3000,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = -bound()
        loss.backward()
        return loss

    optimiser.step(closure)
    return bound().item(), mean.detach().numpy(), root().detach().numpy()
