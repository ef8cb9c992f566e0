r"""The logarithm of the price of diamonds, by 24 columns of their measures and grades.

.. math:: b_j \sim N(0, 1), \quad \alpha \sim t_3(8, 10), \quad \sigma \sim t_3^+(0, 10), \qquad
          y_i \sim N(\alpha + (x_i - \bar{x})^\top b, \sigma^2)

5000 diamonds. The columns are centred, and :math:`\alpha` is the site ``Intercept``.

Source: H. Wickham, ggplot2: Elegant Graphics for Data Analysis (2016), for the data; the posterior diamonds-diamonds of
posteriordb, a model written by P.-C. Bürkner's brms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat_positive
from torch import Tensor

posteriors = ("diamonds-diamonds",)
dims = {"b": ["coefficient"], "y": ["diamond"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The centred columns ``x`` ``[N, 24]``, without that of ones, and the log prices ``y`` ``[N]``."""
    x = torch.tensor(data["X"], dtype=torch.float64)[:, 1:]
    return {"x": x - x.mean(0), "y": torch.tensor(data["Y"], dtype=torch.float64)}


def model(x: Tensor, y: Tensor) -> None:
    """The joint density of ``b`` ``[24]``, ``Intercept``, ``sigma`` and the observed ``y`` ``[N]``, up to a constant.

    ``sigma`` has the density of a half-Student, which is a Student's on the positive half but for a factor of 2.
    """
    with pyro.plate("coefficient", x.shape[1]):
        b = pyro.sample("b", dist.Normal(x.new_tensor(0.0), 1.0))
    intercept = pyro.sample("Intercept", dist.StudentT(x.new_tensor(3.0), 8.0, 10.0))
    sigma = pyro.sample("sigma", flat_positive())
    pyro.factor("sigma_prior", dist.StudentT(x.new_tensor(3.0), 0.0, 10.0).log_prob(sigma))
    with pyro.plate("diamond", len(y)):
        pyro.sample("y", dist.Normal(intercept + b @ x.T, sigma), obs=y)
