"""Antithetic pairs of discrete draws, and the two costs that ARM and DisARM take the difference of. Torch only."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_families
from pyro_vae.estimators.baselines import Scored
from pyro_vae.estimators.costs import cost_of, sampled_costs
from pyro_vae.estimators.relaxations import finite_logits
from pyro_vae.estimators.score_function import score_estimate, scored_sites
from pyro_vae.particles.data import Particles, Pass, Site


class Antithetic(Estimator):
    """What ARM and DisARM share: the pair is run again at an antithetic value of each discrete site."""

    claims = Claims(unbiased=True, shift_invariant=True)
    families: tuple[str, ...]

    @property
    def passes(self) -> frozenset[Pass]:
        """The pair at the antithetic value, and what a site can influence."""
        return frozenset({Pass.RERUN, Pass.DOWNSTREAM})

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        refuse_families(scored_sites(particles), self, self.families)
        return score_estimate(particles, sampled_costs(particles), self._term)

    @abstractmethod
    def _term(self, site: Site, cost: Tensor) -> Scored:
        """What stands for one site, given its stopped cost."""


@dataclass(frozen=True)
class Bits:
    """Independent Bernoullis with live ``logits``, their ``value``, and the ``flipped`` value from the mirrored noise.

    A bit is 1 where a uniform u exceeds 1 - p, its antithetic bit where 1 - u does. ``offset`` is u - 1/2.
    """

    logits: Tensor
    value: Tensor
    flipped: Tensor
    offset: Tensor


def antithetic_bits(logits: Tensor, value: Tensor, noise: Tensor) -> Bits:
    """The bits that belong to ``value``: u is drawn given it, from ``noise`` in (0, 1), without forming 1 - p."""
    alpha = logits.detach()
    log_noise = noise.log()
    one = value > 0.5
    flipped = torch.where(one, log_noise > -alpha, log_noise < alpha).to(value.dtype)
    p = torch.sigmoid(alpha)
    offset = torch.where(one, 0.5 - p * noise, (1 - p) * noise - 0.5)
    return Bits(logits, value, flipped, offset)


def antithetic_cost(site: Site, value: Tensor) -> Tensor:
    """The stopped cost of the site at another value of it, ``[K, *plates]``."""
    assert site.rerun is not None  # refuse_families has seen to it
    with torch.no_grad():
        particles = site.rerun(value.to(site.value.dtype))
        return cost_of(particles[site.name], sampled_costs(particles))


def weighted(logits: Tensor, difference: Tensor, coefficient: Tensor) -> Scored:
    """The surrogate whose gradient by the logits is difference x coefficient, averaged over particles."""
    spread = difference.reshape(difference.shape + (1,) * (coefficient.dim() - difference.dim()))
    return Scored((logits * spread * coefficient).sum() / len(difference))


@dataclass(frozen=True)
class Sticks:
    """A categorical as a row of Bernoullis: the category is the first bit that is 1, the last one if none is."""

    bits: Bits
    category: Tensor
    flipped_category: Tensor

    @property
    def relevant(self) -> Tensor:
        """The bits that decide one category or the other, ``[..., C - 1]``."""
        index = torch.arange(self.bits.logits.shape[-1], device=self.category.device)
        return index <= torch.maximum(self.category, self.flipped_category)[..., None]


def sticks_of(logits: Tensor, category: Tensor, noise: Tensor) -> Sticks:
    """Stick-breaking with the logits' own order: bit c has the odds of category c against all later ones.

    Bits before the category are 0, its own is 1, later ones are free: they are drawn from the same noise.
    """
    logits = finite_logits(logits)
    tails = torch.logcumsumexp(logits.flip(-1), -1).flip(-1)
    odds = logits[..., :-1] - tails[..., 1:]
    alpha, u = odds.detach(), noise[..., :-1]
    index = torch.arange(odds.shape[-1], device=odds.device)
    position = category[..., None]
    free = u.log() > -softplus(alpha)  # u > 1 - p
    bit = torch.where(index < position, torch.zeros_like(free), torch.where(index == position, True, free))
    # a free bit has used its number: given the bit, what is left of it is uniform again
    p = torch.sigmoid(alpha)
    left = torch.where(free, (1 - u) / p, u / (1 - p)).clamp(torch.finfo(u.dtype).tiny, 1.0)
    bits = antithetic_bits(odds, bit.to(odds.dtype), torch.where(index > position, left, u))
    return Sticks(bits, category, first_one(bits.flipped))


def first_one(bits: Tensor) -> Tensor:
    """The index of the first 1, the number of bits if there is none."""
    return (1 - bits).cumprod(-1).sum(-1).long()
