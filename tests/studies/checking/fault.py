"""A pair with one seeded fault, and what has to be said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch.distributions import constraints


@dataclass(frozen=True)
class Fault:
    """``make`` gives (model, guide, data). ``code`` has to be found, at ``subject`` (a site, plate or parameter), and
    its remedy or line has to have ``words``. ``also`` are further codes that are right to be found."""

    code: str
    make: Callable[[], tuple[Any, Any, Any]] = field(repr=False)
    subject: str | None
    words: str
    also: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.code}: {self.make.__name__}"


X = torch.tensor([0.3, -1.2, 0.8, 2.0, -0.4])


def loc(name: str = "z", shape: tuple[int, ...] = ()):
    return pyro.param(f"{name}_loc", lambda: torch.full(shape, 0.3))


def scale(name: str = "z", shape: tuple[int, ...] = ()):
    return pyro.param(f"{name}_scale", lambda: torch.full(shape, 0.7), constraint=constraints.positive)


def normal(name: str = "z", shape: tuple[int, ...] = (), event: int = 0):
    fn = dist.Normal(loc(name, shape), scale(name, shape))
    return fn.to_event(event) if event else fn


def model(x):
    """A global latent, and data in a plate."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide(x):
    pyro.sample("z", normal())


def local(x):
    """A latent per row."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def scaled(x):
    """A scale that is to be inferred."""
    s = pyro.sample("s", dist.HalfNormal(1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(0.0, s), obs=x)


def vector(x):
    """A latent vector."""
    z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(z.sum(-1, keepdim=True), 1.0), obs=x)
