"""Models with posteriors known in closed form, or to many digits."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch.distributions import constraints

from tests.potential.cases import SIGMA, Y


def conjugate(x: torch.Tensor) -> None:
    """z ~ N(0, 1), five x ~ N(z, 1): the posterior is N(sum(x) / 6, 1 / 6)."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.deterministic("twice", 2 * z)
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def with_a_group(x: torch.Tensor) -> None:
    """A scalar global beside a vector in a plate, whose posteriors are Gaussian."""
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Normal(mu, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def centred() -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("schools", 8):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, SIGMA), obs=Y)


def non_centred() -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("schools", 8):
        eta = pyro.sample("eta", dist.Normal(0.0, 1.0))
        theta = pyro.deterministic("theta", mu + tau * eta)
        pyro.sample("y", dist.Normal(theta, SIGMA), obs=Y)


def flat(x: torch.Tensor) -> None:
    """A flat prior on the mean of a Gaussian with sd 1: the posterior is N(mean(x), 1 / n)."""
    mean = pyro.sample("mean", dist.ImproperUniform(constraints.real, (), ()))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mean, 1.0), obs=x)


def two_components(x: torch.Tensor) -> None:
    """Two known components at -2 and 2; the weight's posterior follows from the discrete sites summed out."""
    weight = pyro.sample("weight", dist.Beta(1.0, 1.0))
    with pyro.plate("rows", len(x)):
        which = pyro.sample("which", dist.Bernoulli(weight))
        pyro.sample("x", dist.Normal(4 * which - 2, 1.0), obs=x)


X = torch.tensor([0.3, -1.2, 0.8, 2.0, -0.4])
