"""A discrete draw as the corner nearest to a continuous one, and the control variate that this makes. Torch only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from pyro_vae.estimators.baselines import Scored, control_key
from pyro_vae.particles.data import Site

FAMILIES = ("Bernoulli", "Categorical", "OneHotCategorical")


@dataclass(frozen=True)
class Relaxation:
    """Logits alpha (a leaf of its own), the corner ``b`` that was drawn (one-hot for a categorical), and z given b.

    ``b`` is the nearest corner of z = alpha + noise; given b, z is a function of alpha and fresh uniform numbers.
    """

    alpha: Tensor
    corner: Tensor
    conditional: Tensor
    binary: bool

    @classmethod
    def of(cls, site: Site) -> Relaxation:
        """The relaxation of a site's own draw."""
        assert site.noise is not None  # every site of these families has one
        alpha = finite_logits(site.canonical["logits"]).detach().requires_grad_()
        corner = site.value
        if site.family == "Categorical":
            corner = one_hot(corner, alpha.shape[-1])
        corner, noise = corner.to(alpha.dtype), site.noise[0]
        binary = site.family == "Bernoulli"
        draw = _bernoulli_given if binary else _gumbels_given
        return cls(alpha, corner, draw(alpha, corner, noise), binary)

    @property
    def free(self) -> Tensor:
        """The same z as alpha plus noise that does not depend on alpha."""
        return self.alpha + (self.conditional - self.alpha).detach()

    def relaxed(self, z: Tensor, temperature: Tensor) -> Tensor:
        """z squashed towards the corners: the Concrete relaxation of the draw."""
        return torch.sigmoid(z / temperature) if self.binary else torch.softmax(z / temperature, -1)

    def score(self) -> Tensor:
        """The derivative of log q(b) by alpha."""
        alpha = self.alpha.detach()
        return self.corner - (torch.sigmoid(alpha) if self.binary else torch.softmax(alpha, -1))


def _bernoulli_given(alpha: Tensor, bit: Tensor, noise: Tensor) -> Tensor:
    """z ~ Logistic(alpha) given its sign, in log space."""
    odds = noise.log() - torch.log1p(-noise)
    return torch.where(bit > 0.5, softplus(odds + softplus(alpha)), -softplus(odds + softplus(-alpha)))


def _gumbels_given(alpha: Tensor, corner: Tensor, noise: Tensor) -> Tensor:
    """z_c ~ Gumbel(alpha_c) given which is the largest, in log space."""
    total = alpha.logsumexp(-1, keepdim=True)
    exponential = torch.log(-torch.log(noise))
    largest = (torch.where(corner > 0.5, exponential, torch.zeros_like(exponential))).sum(-1, keepdim=True) - total
    return -torch.where(corner > 0.5, largest.expand_as(alpha), torch.logaddexp(exponential - alpha, largest))


def finite_logits(logits: Tensor) -> Tensor:
    """Logits with impossible categories (-inf) where the probability is 0 in every dtype, so that 0 x logit is 0."""
    return logits.clamp(min=-1e4)


ControlVariate = Callable[[Tensor], tuple[Tensor, Tensor]]


def controlled(site: Site, relaxation: Relaxation, cost: Tensor, variate: ControlVariate) -> Tensor:
    r"""The gradient of each particle by the site's logits, ``[K, *plates, ...]``, live in what the variate learns.

    .. math:: [f(b) - c(\tilde z)]\,\partial_\alpha \log q(b) + \partial_\alpha c(z) - \partial_\alpha c(\tilde z)

    z and z given b come from the same numbers and are equal: one evaluation of c serves both, and only their
    derivatives by alpha differ. ``variate`` gives c per row of the site's plates, ``[K, *plates]``, and the sum of its
    terms, each counted once, whose slope it is.
    """
    z = relaxation.conditional.detach().requires_grad_()
    rows, summed = variate(z)
    slope = torch.autograd.grad(summed, z, create_graph=True)[0]
    path = relaxation.free - relaxation.conditional
    through = torch.autograd.grad(path, relaxation.alpha, slope, create_graph=True)[0]
    residual = cost - rows
    return residual.reshape(residual.shape + (1,) * (z.dim() - residual.dim())) * relaxation.score() + through


DECAY = 0.99


def remembered(parts: nn.Module, site: Site) -> nn.Module:
    """The parts with a memory of the gradient's mean square: a decayed sum and the sum of its weights."""
    parts.register_buffer("square", torch.zeros_like(site.canonical["logits"].flatten()[:1]).detach().repeat(2))
    return parts


def learning_term(site: Site, gradient: Tensor, parts: Any) -> Scored:
    """The surrogate with that gradient; and, for what the control variate learns, the gradient's mean square over its
    own recent average.

    The gradient's mean does not depend on the control variate, so its mean square falls with its variance. The average
    of past steps makes the loss a number near 1 whatever the cost's units are.
    """
    surrogate = (finite_logits(site.canonical["logits"]) * gradient.detach()).sum() / len(gradient)
    square = (gradient**2).mean()
    moved = DECAY * parts.square + (1 - DECAY) * torch.stack([square.detach(), torch.ones_like(square)])
    recent = (moved[0] / moved[1]).clamp(min=torch.finfo(square.dtype).tiny)
    parameters = list(parts.parameters())
    slopes = torch.autograd.grad(square / recent, parameters, allow_unused=True)
    # only what the control variate learns feels this loss: the programs' own parameters are in its graph too
    pulls = [(p * slope).sum() for p, slope in zip(parameters, slopes, strict=True) if slope is not None]
    state = {f"{control_key(site)}.square": moved.detach()}
    return Scored(surrogate, torch.stack(pulls).sum() if pulls else None, state)
