"""Small models that the studies are tried on, in a module that other processes can import."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import nn

Y = torch.tensor([1.0, 2.0, 4.0])


def conjugate(y):
    """z ~ N(0, 1), y_i ~ N(z, 1): the posterior is N(sum y / 4, 1 / 4)."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def exact_guide(y):
    """The posterior of ``conjugate``, with a parameter that cannot move it."""
    idle = pyro.param("idle", torch.tensor(0.0))
    pyro.sample("z", dist.Normal(y.sum() / (len(y) + 1) + 0.0 * idle, (len(y) + 1.0) ** -0.5))


class Amortised(nn.Module):
    """A guide that is a module, trained in place."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 2)

    def forward(self, y):
        pyro.module("amortised", self)
        loc, log_scale = self.net(y)
        pyro.sample("z", dist.Normal(loc, log_scale.exp()))


def scales(y):
    """A positive scale: what a density without the log-Jacobian of its transform gets wrong."""
    scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(0.0, scale), obs=y)


def autoregression(y):
    phi = pyro.sample("phi", dist.Normal(0.0, 0.3))
    with pyro.plate("time", len(y) - 1):
        pyro.sample("y", dist.Normal(phi * y[:-1], 1.0), obs=y[1:])


def chain(y):
    """The same, one step after another: each step's mean is what the one before gave back."""
    phi = pyro.sample("phi", dist.Normal(0.0, 0.3))
    last = y[0]
    for t in range(1, 3):
        last = pyro.sample(f"y_{t}", dist.Normal(phi * last, 1.0), obs=y[t])


def empirical_prior(y):
    z = pyro.sample("z", dist.Normal(0.0, y.std()))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def flat(y):
    scale = pyro.sample("scale", dist.ImproperUniform(constraints.positive, (), ()))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(0.0, scale), obs=y)


def factor(y):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.factor("penalty", -z * y.sum())


def minibatch(y):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", 30, subsample=y):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def converted(y):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=torch.as_tensor(y).double())


def computed(y):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y.log())


def learning(y):
    z = pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def sometimes_impossible(y):
    """Not at ``Y``, but at about one data set in three, the program fails."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)
    if 0.4 < float(y.mean()) < 2.0:
        raise RuntimeError("these data are too much")
