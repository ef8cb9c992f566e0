"""Programs that several tests of fits share."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch.distributions import constraints

Y = torch.tensor([1.2, 0.3, 2.1, 1.7, 0.9, 1.4])


def model(y):
    z = pyro.sample("z", dist.Normal(0.0, 2.0))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def guide(y):
    loc = pyro.param("loc", lambda: torch.tensor(0.0))
    scale = pyro.param("scale", lambda: torch.tensor(0.5), constraint=constraints.positive)
    pyro.sample("z", dist.Normal(loc, scale))


class GuideModule(pyro.nn.PyroModule):
    """``guide`` as a module, with the same initial values."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = torch.nn.Parameter(torch.tensor(0.0))
        self.scale = pyro.nn.PyroParam(torch.tensor(0.5), constraints.positive)

    def forward(self, y):
        pyro.sample("z", dist.Normal(self.loc, self.scale))


def exact(y=Y):
    """Mean, sd and log evidence of ``model``: conjugate normal."""
    precision = 1 / 4 + len(y)
    mean = y.sum() / precision
    evidence = dist.MultivariateNormal(torch.zeros(len(y)), torch.eye(len(y)) + 4.0).log_prob(y)
    return mean.item(), precision**-0.5, evidence.item()


def rows_model(batch, size=None):
    """Global mean of rows; ``size`` is what the plate stands for."""
    z = pyro.sample("z", dist.Normal(0.0, 2.0))
    with pyro.plate("data", size=size or len(batch), subsample=batch):
        pyro.sample("y", dist.Normal(z, 1.0), obs=batch)
