"""Linear regression in 64 bits, for the programs beside this file. Not a program itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat, flat_positive
from torch import Tensor


def column(data: Mapping[str, Any], name: str) -> Tensor:
    """One entry of posteriordb's data as a tensor of 64 bits."""
    return torch.tensor(data[name], dtype=torch.float64)


def design(*columns: Tensor) -> Tensor:
    """The design matrix ``[N, 1 + columns]``: first a column of ones, for the intercept."""
    return torch.stack([torch.ones_like(columns[0]), *columns], -1)


def flat_regression(x: Tensor, y: Tensor) -> None:
    """``y`` ``[N]`` on ``x`` ``[N, D]`` with flat priors of ``beta`` ``[D]`` and of ``sigma > 0``."""
    regression(x, y, flat(), flat_positive())


def half_cauchy_regression(x: Tensor, y: Tensor) -> None:
    """``y`` ``[N]`` on ``x`` ``[N, D]`` with a flat prior of ``beta`` ``[D]``, and ``sigma`` half-Cauchy(2.5)."""
    regression(x, y, flat(), dist.HalfCauchy(x.new_tensor(2.5)))


def regression(x: Tensor, y: Tensor, coefficients: Any, noise: Any) -> None:
    """``y`` ``[N]`` on ``x`` ``[N, D]`` with these priors, of each of the ``beta`` ``[D]`` and of ``sigma``.

    Both plates lie on the last dim, so with K particles ``beta`` is ``[K, D]`` and one matrix product makes the means.
    """
    with pyro.plate("coefficient", x.shape[1]):
        beta = pyro.sample("beta", coefficients)
    sigma = pyro.sample("sigma", noise)
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(beta @ x.T, sigma), obs=y)
