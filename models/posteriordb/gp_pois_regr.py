r"""Counts at eleven points, whose log rates are a Gaussian process.

.. math:: \rho &\sim \text{Gamma}(25, 4), \qquad \alpha \sim N^+(0, 2^2), \\
          f &\sim N\bigl(0, \, \alpha^2 e^{-(x - x')^2 / 2 \rho^2} + 10^{-10} I\bigr), \\
          k_i &\sim \text{Poisson}(e^{f_i})

The process is written as :math:`f = L \tilde{f}` with the Cholesky factor L of its covariance and :math:`\tilde{f}`
standard normal. The reference draws have f; :math:`\tilde{f}` follows from it.

Source: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), chapter 3; the posterior
gp_pois_regr-gp_pois_regr of posteriordb, from the benchmarks of the Stan developers (stat_comp_benchmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

posteriors = ("gp_pois_regr-gp_pois_regr",)
dims = {"f_tilde": ["point"], "f": ["point"], "k": ["point"]}
JITTER = 1e-10


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """Where, ``x`` ``[11]``, and how many were counted there, ``k`` ``[11]``."""
    return {name: torch.tensor(data[name], dtype=torch.float64) for name in ("x", "k")}


def model(x: Tensor, k: Tensor) -> None:
    """The joint density of ``rho``, ``alpha``, ``f_tilde`` ``[11]`` and the observed ``k``; ``f`` is deterministic."""
    rho = pyro.sample("rho", dist.Gamma(x.new_tensor(25.0), x.new_tensor(4.0)))
    alpha = pyro.sample("alpha", dist.HalfNormal(x.new_tensor(2.0)))
    standard = dist.Normal(torch.zeros_like(x), 1.0).to_event(1)
    f_tilde = pyro.sample("f_tilde", standard)
    factor = torch.linalg.cholesky(covariance(x, rho[..., None, None], alpha[..., None, None]))
    f = pyro.deterministic("f", (factor @ f_tilde.unsqueeze(-1)).squeeze(-1), event_dim=1)
    pyro.sample("k", dist.Poisson(f.exp()).to_event(1), obs=k)


def covariance(x: Tensor, rho: Tensor, alpha: Tensor) -> Tensor:
    """The process's covariance between all points, ``[..., 11, 11]``."""
    distance = (x - x[:, None]) / rho
    return alpha**2 * torch.exp(-(distance**2) / 2) + JITTER * torch.eye(len(x), dtype=x.dtype)


def from_reference(draws: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The draws of posteriordb with ``f_tilde``, which it does not have."""
    x = torch.tensor(data["x"], dtype=torch.float64)
    rho, alpha, f = (torch.as_tensor(draws[name]) for name in ("rho", "alpha", "f"))
    factor = torch.linalg.cholesky(covariance(x, rho[..., None, None], alpha[..., None, None]))
    f_tilde = torch.linalg.solve_triangular(factor, f.unsqueeze(-1), upper=False)
    return {**draws, "f_tilde": f_tilde.squeeze(-1).numpy()}
