"""Flat priors in 64 bits, for the programs beside this file. Not a program itself."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import biject_to


class Flat(dist.ImproperUniform):
    """The density 1 on a support: Stan's parameter without a prior. Its values are in 64 bits.

    It has no draws. What ``sample`` gives is a point of the support within 2 of 0 on the unconstrained scale, so that
    chains and guides have somewhere to start; Pyro's ``ImproperUniform`` has no such point.
    """

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """A point to start from, ``[*sample_shape, *batch, *event]``."""
        transform = biject_to(self.support)
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        return transform(4 * torch.rand(transform.inverse_shape(shape), dtype=torch.float64) - 2)


def flat() -> Flat:
    """On the real line."""
    return Flat(dist.constraints.real, (), ())


def flat_positive() -> Flat:
    """On the positive half of it."""
    return Flat(dist.constraints.positive, (), ())


def flat_ordered(size: int, *, positive: bool = False) -> Flat:
    """On the vectors of ``size`` numbers, each above the one before it."""
    constraints = dist.constraints
    return Flat(constraints.positive_ordered_vector if positive else constraints.ordered_vector, (), (size,))
