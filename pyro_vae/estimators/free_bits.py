"""Free bits: a latent whose KL is below a threshold counts as the threshold and gives no gradient. Torch only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyro_vae.particles.data import Factor, Particles, Site, with_fields

Held = Mapping[tuple[str, ...], Tensor]  # by the names of a latent's sites, whether it is below the threshold


def below_free_bits(particles: Particles, nats: float) -> Held:
    """Which latents have a KL below ``nats``, averaged over particles and over the rows of their plates."""
    return {_names(latent): _below(latent, nats) for latent in latents(particles)}


def with_free_bits(particles: Particles, nats: float, held: Held) -> Particles:
    r"""The table with :math:`\max(\lambda, \mathrm{KL}_i)` in place of every latent's KL, :math:`\lambda` = ``nats``.

    A latent that is not among ``held`` is judged by its own KL in this table. All terms of a latent that is held become
    constants that add up to :math:`-\lambda` per row. What a site was drawn from keeps its score, so that other terms
    still reach a discrete site. Source: Kingma et al., "Improving
    Variational Inference with Inverse Autoregressive Flow", NeurIPS 2016.
    """
    fields: dict[str, dict[str, Any]] = {}
    for latent in latents(particles):
        below = held.get(_names(latent))  # None: another run of programs whose sites depend on values
        fields.update(_constants(latent, nats, _below(latent, nats) if below is None else below))
    return with_fields(particles, fields)


def latents(particles: Particles) -> Iterator[tuple[Site, ...]]:
    """The sites that make up one latent each.

    An autoguide's ``x_unconstrained`` and the Delta ``x`` that it is mapped to are one latent; where a guide has
    Deltas without such a partner, they and what they are made of, its other auxiliary sites, are one. A point mass
    that is made of nothing random has no KL, and neither has an auxiliary site of its own.
    """
    inner = [site for site in particles.latent if site.log_q is not None]
    pairs = {
        site.name: (site, particles[base])
        for site in inner
        if site.auxiliary
        and (base := site.name.removesuffix("_unconstrained")) != site.name
        and base in particles.sites
        and particles[base].deterministic
    }
    yield from pairs.values()
    paired = {site.name for pair in pairs.values() for site in pair}
    rest = [site for site in inner if site.name not in paired]
    made = [site for site in rest if site.auxiliary or site.deterministic]
    if any(site.deterministic for site in made) and any(not site.deterministic for site in made):
        yield tuple(made)
    yield from ((site,) for site in rest if site not in made and site.log_p is not None)


def _below(latent: Sequence[Site], nats: float) -> Tensor:
    return _divergence(latent, _common(latent)).mean() < nats


def _names(latent: Sequence[Site]) -> tuple[str, ...]:
    return tuple(site.name for site in latent)


def _common(latent: Sequence[Site]) -> set[str]:
    """The names of the plates that all terms of a latent share."""
    terms = [factor for site in latent for factor in (site.log_p, site.log_q) if factor is not None]
    return set.intersection(*({plate.name for plate in factor.axes} for factor in terms))


def _constants(latent: Sequence[Site], nats: float, held: Tensor) -> dict[str, dict[str, Any]]:
    """The fields of a latent's sites, live where its KL is large enough and constant where it is not."""
    common = _common(latent)
    carrier = min((site for site in latent if site.log_q is not None), key=lambda site: len(site.log_q.axes))
    closed = next((site for site in latent if site.kl is not None), None)
    fields: dict[str, dict[str, Any]] = {}
    for site in latent:
        share = nats if site is carrier else 0.0
        constants = {
            "log_p": 0.0,
            "log_p_frozen": 0.0,
            "log_q": share,
            "log_q_frozen": share,
            "entropy": -share,
            "kl": nats if site is closed else 0.0,
        }
        fields[site.name] = {
            name: _constant_if(held, factor, constant, common)
            for name, constant in constants.items()
            if (factor := getattr(site, name)) is not None
        }
        if not site.reparameterised:
            fields[site.name]["log_q_score"] = site.score
    return fields


def _divergence(latent: Sequence[Site], common: set[str]) -> Tensor:
    """The KL per particle and row of the plates that the latent's terms share: in closed form where it is there."""
    closed = [_per_row(site.kl, common) for site in latent if site.kl is not None]
    if closed:
        return torch.stack(closed).sum(0).detach()
    total = []
    for site in latent:
        if site.entropy is not None:
            total.append(-_per_row(site.entropy, common))
        elif site.log_q is not None:
            total.append(_per_row(site.log_q, common))
        if site.log_p is not None:
            total.append(-_per_row(site.log_p, common))
    return sum(total[1:], total[0]).detach()


def _per_row(factor: Factor, common: set[str]) -> Tensor:
    """Summed over the plates outside ``common`` at their full size; the axes of the others in the order of names."""
    names = [plate.name for plate in factor.axes]
    outside = [axis for axis, name in enumerate(names, 1) if name not in common]
    value = factor.log_prob.sum(outside) if outside else factor.log_prob
    value = value * math.prod(plate.scale for plate in factor.axes if plate.name not in common)
    kept = [name for name in names if name in common]
    return value.permute(0, *(kept.index(name) + 1 for name in sorted(kept)))


def _constant_if(held: Tensor, factor: Factor, constant: float, common: set[str]) -> Factor:
    """The factor, or a constant that adds up to ``constant`` for each row of the common plates."""
    share = constant / math.prod(plate.full_size for plate in factor.axes if plate.name not in common)
    return replace(factor, log_prob=torch.where(held, torch.full_like(factor.log_prob, share), factor.log_prob))
