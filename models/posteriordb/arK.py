r"""An autoregression: each value of a series explained by the K values before it.

.. math:: \alpha, \beta_k \sim N(0, 10^2), \qquad \sigma \sim \text{half-Cauchy}(2.5), \qquad
          y_t \sim N\Bigl(\alpha + \sum_{k=1}^K \beta_k y_{t-k}, \sigma^2\Bigr), \quad t > K

The first K values are taken as given. 200 simulated values, K = 5; neighbouring lags are correlated.

Source: the posterior arK-arK of posteriordb, from the benchmarks of the Stan developers (stat_comp_benchmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

posteriors = ("arK-arK",)
dims = {"beta": ["lag"], "y": ["time"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The values ``y`` ``[T - K]`` after the first K, and ``lags`` ``[T - K, K]``: those before each, newest first."""
    series, order = torch.tensor(data["y"], dtype=torch.float64), data["K"]
    lags = torch.stack([series[order - k : len(series) - k] for k in range(1, order + 1)], -1)
    return {"lags": lags, "y": series[order:]}


def model(lags: Tensor, y: Tensor) -> None:
    """The joint density of ``alpha``, ``beta`` ``[K]``, ``sigma`` and the observed ``y`` ``[T - K]``."""
    ten = y.new_tensor(10.0)
    alpha = pyro.sample("alpha", dist.Normal(0 * ten, ten))
    with pyro.plate("lag", lags.shape[1]):
        beta = pyro.sample("beta", dist.Normal(0 * ten, ten))
    sigma = pyro.sample("sigma", dist.HalfCauchy(y.new_tensor(2.5)))
    with pyro.plate("time", len(y)):
        pyro.sample("y", dist.Normal(alpha + beta @ lags.T, sigma), obs=y)
