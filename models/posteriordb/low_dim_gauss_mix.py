r"""A mixture of two normals, told apart by the order of their means.

.. math:: \mu_1 < \mu_2, \quad \mu_k \sim N(0, 2^2), \qquad \sigma_k \sim N^+(0, 2^2), \qquad
          \theta \sim \text{Beta}(5, 5), \qquad y_i \sim \theta N(\mu_1, \sigma_1^2) + (1 - \theta) N(\mu_2, \sigma_2^2)

1000 simulated values. Without the order there would be two modes that differ in nothing but the names.

Source: M. Betancourt, "Identifying Bayesian mixture models", Stan case studies (2017); the posterior
low_dim_gauss_mix-low_dim_gauss_mix of posteriordb, from the benchmarks of the Stan developers (stat_comp_benchmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat_ordered
from torch import Tensor

posteriors = ("low_dim_gauss_mix-low_dim_gauss_mix",)
dims = {"mu": ["component"], "sigma": ["component"], "y": ["row"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The values ``y`` ``[1000]``."""
    return {"y": torch.tensor(data["y"], dtype=torch.float64)}


def model(y: Tensor) -> None:
    """The joint density of ``mu`` ``[2]``, ``sigma`` ``[2]``, ``theta`` and the observed ``y``, up to a constant."""
    two, five = y.new_tensor(2.0), y.new_tensor(5.0)
    mu = pyro.sample("mu", flat_ordered(2))
    pyro.factor("mu_prior", dist.Normal(0 * two, two).log_prob(mu).sum(-1))
    sigma = pyro.sample("sigma", dist.HalfNormal(two).expand([2]).to_event(1))
    theta = pyro.sample("theta", dist.Beta(five, five))
    shares = dist.Categorical(torch.stack([theta, 1 - theta], -1))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.MixtureSameFamily(shares, dist.Normal(mu, sigma)), obs=y)
