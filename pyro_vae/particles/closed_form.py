"""``Pass.KL`` and ``Pass.ENTROPY``: KL(q || p) and entropies in closed form, where torch or Pyro has a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    ComposeTransform,
    Distribution,
    ExponentialFamily,
    TransformedDistribution,
    biject_to,
    kl_divergence,
)
from torch.utils._python_dispatch import _disable_current_modes

from pyro_vae.particles.contraction import factor_of
from pyro_vae.particles.data import Particles, Site, with_fields
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.runs import Run


def add_closed_form_kl(particles: Particles, run: Run, allowed: Mapping[str, tuple[str, ...]]) -> Particles:
    """The same table, with ``kl`` filled in where ``allowed`` names the site and a rule is registered."""
    sites: dict[str, Site] = dict(particles.sites)
    for name, covers in allowed.items():
        kl = _closed_form(run.guide[name]["fn"], run.model[covers[-1]]["fn"], unconstrained=len(covers) > 1)
        if kl is None:
            continue
        frame: Mapping[str, Any] = run.guide[name]
        sites[name] = replace(
            sites[name],
            kl=factor_of(run, frame, kl),
            kl_covers=tuple(other for other in covers if other != name),
        )
    return replace(particles, sites=sites)


def add_entropies(particles: Particles, run: Run) -> Particles:
    """The same table, with ``entropy`` filled in where the guide's distribution knows its own.

    No condition on the guide is needed: log q(z | parents) averages to minus the entropy at any parents, and the
    entropy is a live function of them.
    """
    fields = {}
    for name, site in run.guide.items():
        entropy = None if site["is_observed"] else _entropy(site["fn"])
        if entropy is not None:
            fields[name] = {"entropy": factor_of(run, site, entropy)}
    return with_fields(particles, fields)


def _entropy(q: Any) -> Tensor | None:
    """The differentiable entropy, ``[*batch]``; None where there is none."""
    base = q
    while type(base).__name__ == "Independent":
        base = base.base_dist
    # torch's rule for exponential families detaches the parameters: its value is right and its gradient zero
    if is_delta(q) or getattr(type(base), "entropy", None) in (None, ExponentialFamily.entropy):
        return None
    try:
        return q.entropy()
    except NotImplementedError:
        return None


def _closed_form(q: Distribution, p: Distribution, *, unconstrained: bool) -> Tensor | None:
    """KL(q || p), or None without a rule. ``unconstrained``: q is on the scale that ``biject_to(p.support)`` maps
    from."""
    if unconstrained:
        pulled = _pull_back(p)
        if pulled is None:
            return None
        p = pulled
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


def _pull_back(p: Any) -> Distribution | None:
    """The prior on the unconstrained scale, where that is a distribution with a name."""
    transform = biject_to(p.support)
    transform = getattr(transform, "base_transform", transform)
    if getattr(transform, "parts", None) == []:
        return p
    base, event = (p.base_dist, p.event_dim) if type(p).__name__ == "Independent" else (p, 0)
    if isinstance(base, TransformedDistribution) and _same_map(ComposeTransform(base.transforms), transform):
        inner: Any = base.base_dist
        return inner.to_event(event) if event else inner
    return None


def _same_map(one: Any, other: Any) -> bool:
    """Whether two elementwise transforms agree; torch compares them by class, and writes exp in two ways."""
    if one.domain.event_dim or other.domain.event_dim:
        return False
    probes = torch.linspace(-3, 3, 7, dtype=torch.float64)
    try:
        # A step that is being written down may not branch on numbers; this choice is no part of it.
        with _disable_current_modes():
            return torch.allclose(one(probes), other(probes), rtol=1e-6)
    except RuntimeError:  # transforms with batch shapes of their own
        return False
