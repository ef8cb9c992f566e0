"""The data of eight schools, for the two programs beside this file. Not a program itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

dims = {"theta_trans": ["school"], "theta": ["school"], "y": ["school"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The estimated effects ``y`` and their standard errors ``sigma``, ``[8]`` each."""
    return {name: torch.tensor(data[name], dtype=torch.float64) for name in ("y", "sigma")}


def centered(y: Tensor, sigma: Tensor) -> None:
    """The joint density of ``mu``, ``tau``, ``theta`` ``[8]`` and the observed ``y`` ``[8]``."""
    mu, tau = _common(y)
    with pyro.plate("school", len(y)):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


def noncentered(y: Tensor, sigma: Tensor) -> None:
    """The same with ``theta`` = mu + tau ``theta_trans``, which is standard normal."""
    mu, tau = _common(y)
    with pyro.plate("school", len(y)):
        steps = pyro.sample("theta_trans", dist.Normal(y.new_tensor(0.0), 1.0))
        theta = pyro.deterministic("theta", mu + tau * steps)
        pyro.sample("y", dist.Normal(theta, sigma), obs=y)


def _common(like: Tensor) -> tuple[Tensor, Tensor]:
    five = like.new_tensor(5.0)
    return pyro.sample("mu", dist.Normal(0 * five, five)), pyro.sample("tau", dist.HalfCauchy(five))
