r"""A Gaussian process through eleven points, with its length, height and noise to be found.

.. math:: \rho \sim \text{Gamma}(25, 4), \qquad \alpha \sim N^+(0, 2^2), \qquad \sigma \sim N^+(0, 1), \qquad
          y \sim N\bigl(0, \, \alpha^2 e^{-(x - x')^2 / 2 \rho^2} + \sigma I\bigr)

As in posteriordb, :math:`\sigma` is the noise's variance, and not its standard deviation. Neighbouring points are so
alike that 32 bits are too few for the Cholesky factor.

Source: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), section 5.4.1; the posterior
gp_pois_regr-gp_regr of posteriordb, from the benchmarks of the Stan developers (stat_comp_benchmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

posteriors = ("gp_pois_regr-gp_regr",)
dims = {"y": ["point"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """Where, ``x`` ``[11]``, and what was seen there, ``y`` ``[11]``."""
    return {name: torch.tensor(data[name], dtype=torch.float64) for name in ("x", "y")}


def model(x: Tensor, y: Tensor) -> None:
    """The joint density of ``rho``, ``alpha``, ``sigma`` and the observed ``y`` ``[11]``, which are one event."""
    rho = pyro.sample("rho", dist.Gamma(x.new_tensor(25.0), x.new_tensor(4.0)))
    alpha = pyro.sample("alpha", dist.HalfNormal(x.new_tensor(2.0)))
    sigma = pyro.sample("sigma", dist.HalfNormal(x.new_tensor(1.0)))
    rho, alpha, sigma = (value[..., None, None] for value in (rho, alpha, sigma))
    distance = (x - x[:, None]) / rho
    covariance = alpha**2 * torch.exp(-(distance**2) / 2) + sigma * torch.eye(len(x), dtype=x.dtype)
    pyro.sample("y", dist.MultivariateNormal(torch.zeros_like(x), covariance), obs=y)
