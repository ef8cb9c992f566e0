r"""Bayesian linear regression with weak priors, on made-up data with and without correlated columns.

.. math:: \beta_d \sim N(0, 10^2), \qquad \sigma \sim N^+(0, 10^2), \qquad y \sim N(X \beta, \sigma^2)

There is no intercept. The columns of X are independent in the data sblri, and correlated in sblrc.

Source: the posteriors sblrc-blr and sblri-blr of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
from _regression import column, regression
from torch import Tensor

posteriors = ("sblrc-blr", "sblri-blr")
dims = {"beta": ["coefficient"], "y": ["row"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, D]`` and the outcomes ``y`` ``[N]``."""
    return {"x": column(data, "X"), "y": column(data, "y")}


def model(x: Tensor, y: Tensor) -> None:
    """The joint density of ``beta`` ``[D]``, ``sigma`` and the observed ``y`` ``[N]``."""
    ten = x.new_tensor(10.0)
    regression(x, y, dist.Normal(0 * ten, ten), dist.HalfNormal(ten))
