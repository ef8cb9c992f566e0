r"""ARMA(1, 1): a series with a memory of its last value and of its last surprise.

.. math:: \mu \sim N(0, 10^2), \quad \phi, \theta \sim N(0, 2^2), \quad \sigma \sim \text{half-Cauchy}(2.5), \qquad
          y_t \sim N(\mu + \phi y_{t-1} + \theta e_{t-1}, \sigma^2), \quad e_t = y_t - \text{E} y_t

Before the first value there was :math:`\mu`, and no surprise. 200 simulated values.

Source: the posterior arma-arma11 of posteriordb, from the benchmarks of the Stan developers (stat_comp_benchmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from _recursion import decaying_sum
from torch import Tensor

posteriors = ("arma-arma11",)
dims = {"y": ["time"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The series ``y`` ``[T]``."""
    return {"y": torch.tensor(data["y"], dtype=torch.float64)}


def model(y: Tensor) -> None:
    """The joint density of ``mu``, ``phi``, ``theta``, ``sigma`` and the observed ``y`` ``[T]``."""
    zero = y.new_tensor(0.0)
    mu = pyro.sample("mu", dist.Normal(zero, 10.0))
    phi = pyro.sample("phi", dist.Normal(zero, 2.0))
    theta = pyro.sample("theta", dist.Normal(zero, 2.0))
    sigma = pyro.sample("sigma", dist.HalfCauchy(y.new_tensor(2.5)))
    alone = y[1:] - mu - phi * y[:-1]  # what would be the surprises, if they were not remembered
    first = (y[0] - mu - phi * mu).expand(*alone.shape[:-1], 1)
    surprise = decaying_sum(torch.cat([first, alone], -1), -theta)
    with pyro.plate("time", len(y)):
        pyro.sample("y", dist.Normal(y - surprise, sigma), obs=y)
