"""What the two programs of basketball drives share: the chain's rows and the priors of what is seen. Not a program."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from _flat_priors import flat_ordered
from torch import Tensor

dims = {"theta1": ["to"], "theta2": ["to"], "phi": ["state"], "lambda": ["state"]}


def transition(alpha: Tensor) -> Tensor:
    """The rows ``theta1``, ``theta2`` of the transition matrix, ``[..., 2, 2]``; ``alpha`` are their concentrations."""
    return torch.stack([pyro.sample(f"theta{row + 1}", dist.Dirichlet(alpha[row])) for row in range(2)], -2)


def emission_parameter(name: str, like: Tensor, *, positive: bool) -> Tensor:
    """An ordered pair ``[..., 2]``: N(0, 1) and N(3, 1), up to a constant."""
    value = pyro.sample(name, flat_ordered(2, positive=positive))
    pyro.factor(f"{name}_prior", dist.Normal(like.new_tensor([0.0, 3.0]), 1.0).log_prob(value).sum(-1))
    return value
