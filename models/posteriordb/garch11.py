r"""GARCH(1, 1): a series whose variance remembers its last surprise and its last variance.

.. math:: y_t \sim N(\mu, h_t), \qquad h_1 = \sigma_1^2, \qquad
          h_t = \alpha_0 + \alpha_1 (y_{t-1} - \mu)^2 + \beta_1 h_{t-1}

with :math:`\mu` and :math:`\alpha_0 > 0` flat, and :math:`(\alpha_1, \beta_1)` flat on the triangle
:math:`\alpha_1, \beta_1 \ge 0, \alpha_1 + \beta_1 \le 1`. That triangle is the simplex of ``weights`` =
:math:`(\alpha_1, \beta_1, 1 - \alpha_1 - \beta_1)` under a Dirichlet(1, 1, 1).

Source: T. Bollerslev, "Generalized autoregressive conditional heteroskedasticity", Journal of Econometrics 31 (1986);
the posterior garch-garch11 of posteriordb, with 200 simulated values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat, flat_positive
from _recursion import decaying_sum
from torch import Tensor

posteriors = ("garch-garch11",)
coords = {"weight": ["alpha1", "beta1", "rest"]}
dims = {"weights": ["weight"], "y": ["time"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The series ``y`` ``[T]`` and the first standard deviation ``sigma1``."""
    return {name: torch.tensor(data[name], dtype=torch.float64) for name in ("y", "sigma1")}


def model(y: Tensor, sigma1: Tensor) -> None:
    """The joint density of ``mu``, ``alpha0``, ``weights`` ``[3]`` and ``y`` ``[T]``; ``alpha1``, ``beta1`` follow."""
    mu = pyro.sample("mu", flat())
    alpha0 = pyro.sample("alpha0", flat_positive())
    weights = pyro.sample("weights", dist.Dirichlet(y.new_ones(3)))
    alpha1 = pyro.deterministic("alpha1", weights[..., 0])
    beta1 = pyro.deterministic("beta1", weights[..., 1])
    entering = alpha0 + alpha1 * (y[:-1] - mu) ** 2
    first = (sigma1**2).expand(*entering.shape[:-1], 1)
    variance = decaying_sum(torch.cat([first, entering], -1), beta1)
    with pyro.plate("time", len(y)):
        pyro.sample("y", dist.Normal(mu, variance.sqrt()), obs=y)


def from_reference(draws: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The draws of posteriordb with ``weights``, which it does not have."""
    shares = np.stack([draws["alpha1"], draws["beta1"], 1 - draws["alpha1"] - draws["beta1"]], -1)
    shares = np.maximum(shares, 1e-12)  # the draws are rounded
    return {**draws, "weights": shares / shares.sum(-1, keepdims=True)}
