"""The terms of a bound as signed costs, and what a guide site answers for. Torch only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pyro_vae.particles.data import Factor, Particles, Site, sum_to


@dataclass(frozen=True)
class Cost:
    """One signed term of the bound: + log p, - log q, - KL of a site and those that it ``covers``, or + its entropy."""

    sign: float
    factor: Factor
    kind: Literal["p", "q", "kl", "entropy"]
    site: str
    covers: tuple[str, ...] = ()

    def total(self) -> Tensor:
        """Scaled and summed over plates, ``[K]``."""
        return self.sign * self.factor.total()

    def influenced_by(self, site: Site) -> bool:
        """Whether the site's value can change this term; True where that is not known."""
        if self.kind in ("kl", "entropy") and site.name == self.site:
            return False  # integrated over: a function of the site's parents
        if site.downstream is None:
            return True
        kinds = {"kl": ("p", "q"), "entropy": ("q",)}.get(self.kind, (self.kind,))
        return any((kind, name) in site.downstream for kind in kinds for name in (self.site, *self.covers))


def sampled_costs(particles: Particles, skip: frozenset[str] = frozenset()) -> list[Cost]:
    """log p and -log q of every site that is not skipped."""
    costs = []
    for site in particles.sites.values():
        if site.name not in skip:
            costs += [Cost(1.0, site.log_p, "p", site.name)] if site.log_p is not None else []
            costs += [Cost(-1.0, site.log_q, "q", site.name)] if site.log_q is not None else []
    return costs


def closed_form_costs(particles: Particles) -> list[Cost]:
    """Closed-form KLs where there are some, and the sampled terms of all other sites."""
    closed = [site for site in particles.sites.values() if site.kl is not None]
    covered = frozenset(name for site in closed for name in (site.name, *site.kl_covers))
    return [
        Cost(-1.0, site.kl, "kl", site.name, site.kl_covers) for site in closed if site.kl is not None
    ] + sampled_costs(particles, covered)


def entropy_costs(particles: Particles) -> list[Cost]:
    """log p of every site, the guide's entropies where there are some, and -log q of its other sites."""
    return [
        Cost(1.0, site.entropy, "entropy", site.name) for site in particles.sites.values() if site.entropy is not None
    ] + [cost for cost in sampled_costs(particles) if cost.kind == "p" or particles[cost.site].entropy is None]


def cost_of(site: Site, costs: Sequence[Cost]) -> Tensor:
    """The stopped cost that a site answers for, ``[K, *plates]``: what it can influence, summed to its own plates."""
    return live_cost_of(site, costs).detach()


def live_cost_of(site: Site, costs: Sequence[Cost]) -> Tensor:
    """The same, not stopped."""
    assert site.log_q is not None  # only sites of the guide have a cost of their own
    plates = site.log_q.plates
    terms = [cost.sign * sum_to(cost.factor, plates) for cost in costs if cost.influenced_by(site)]
    shape = site.log_q.log_prob.shape
    return torch.stack([term.expand(shape) for term in terms]).sum(0) if terms else torch.zeros(shape)
