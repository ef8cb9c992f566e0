"""The bound in its parts: how well the data are explained, and what every latent costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyro_vae.particles.data import Particles
from pyro_vae.training.batches import Arguments
from pyro_vae.training.objective import Objective
from pyro_vae.vae.program import VAE
from pyro_vae.vae.terms import divergence

RECONSTRUCTION = "reconstruction"


@dataclass(frozen=True)
class Terms:
    """The parts of the bound at every check of ``fit(validation=Validation(..., terms=True))``, in nats per row.

    ``steps`` ``[checks]``; ``reconstruction`` ``[checks]`` is E_q[log p(x | z)]; ``kl`` ``[checks, C]`` is
    KL(q(z | x) ‖ p(z)) of the components that ``names`` names: of a :class:`~pyro_vae.VAE`, those of
    :func:`~pyro_vae.vae.terms.divergence`, of any other pair the latent sites, from the draws. The plain ELBO is
    ``reconstruction - kl.sum(1)``, whatever bound was maximised.
    """

    steps: np.ndarray
    names: tuple[str, ...]
    reconstruction: np.ndarray
    kl: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, names: tuple[str, ...]) -> Terms | None:
        """From the rows of a fit's checks, (step, bound, terms); None where there are no terms."""
        if not names:
            return None
        return cls(rows[:, 0], names[1:], rows[:, 2], rows[:, 3:])


def terms_of(objective: Objective, particles: Particles, arguments: Arguments) -> dict[str, float]:
    """The parts of the bound of a batch, by name, at full-data scale: the data's log p, then KLs by component."""
    explained = sum(float(site.log_p.total().mean()) for site in particles.observed if site.log_p is not None)
    return {RECONSTRUCTION: explained, **(_by_component(objective, particles, arguments) or _by_site(particles))}


def _by_component(objective: Objective, particles: Particles, arguments: Arguments) -> dict[str, float]:
    """Of a VAE whose only latent is z; empty otherwise."""
    vae = getattr(objective.guide, "__self__", None)
    latent = [site for site in particles.sites.values() if site.log_q is not None]
    if not isinstance(vae, VAE) or [site.name for site in latent] != ["z"] or latent[0].enumerated:
        return {}
    args, kwargs = arguments
    x: Any = args[0] if args else kwargs["x"]
    site = latent[0]
    assert site.log_q is not None
    found = divergence(vae.encode(x), vae.prior(), site.value)
    total = (found.kl * (site.log_q.plate_scale * site.log_q.scale)).sum(0)
    return dict(zip(found.names, total.tolist(), strict=True))


def _by_site(particles: Particles) -> dict[str, float]:
    """log q - log p of every latent site."""
    found: dict[str, float] = {}
    for site in particles.sites.values():
        if not site.observed:
            log_q = 0.0 if site.log_q is None else float(site.log_q.total().mean())
            found[site.name] = log_q - (0.0 if site.log_p is None else float(site.log_p.total().mean()))
    return found
