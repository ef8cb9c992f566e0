"""From the traces of a run to the table of sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyro_vae.particles.data import Factor, Particles, Site
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.packing import make_deterministic, make_factor, make_value
from pyro_vae.particles.runs import Run


def tabulate(run: Run, *, stop: bool = False, shapes: Mapping[str, torch.Size] | None = None) -> Particles:
    """One row per site; deterministic sites keep their values only. ``stop`` says that values were detached;
    ``shapes`` are the deterministic sites' shapes for one particle, needed with a particles' plate."""
    dim, count = run.particle_dim, run.num_particles
    sites: dict[str, Site] = {}
    deterministic: dict[str, Tensor] = {}
    for name, site in run.model.items():
        if site["infer"].get("_deterministic"):
            deterministic[name] = make_deterministic(site, dim, count, (shapes or {}).get(name))
            continue
        sites[name] = _site(name, site, run.guide.get(name), dim, count, stop)
    for name, site in run.guide.items():
        if name not in run.model:
            sites[name] = _site(name, None, site, dim, count, stop)
    return Particles(sites, count if dim is not None else 1, deterministic, run.subsamples)


def _site(
    name: str, model: Mapping[str, Any] | None, guide: Mapping[str, Any] | None, dim: int | None, count: int, stop: bool
) -> Site:
    source = guide or model
    assert source is not None  # called for sites of the model or of the guide
    observed = model is not None and model["is_observed"]
    drawn = source["infer"].get("_drawn_observation", False)
    delta = is_delta(source["fn"])
    pathwise = delta or (bool(getattr(source["fn"], "has_rsample", False)) and not stop)
    return Site(
        name,
        source["value"] if observed else make_value(source, dim, count),
        log_p=None if model is None else make_factor(model, dim, count),
        log_q=None if guide is None else make_factor(guide, dim, count),
        observed=observed or drawn,
        predicted=drawn,
        auxiliary=model is None,
        reparameterised=pathwise,
        deterministic=delta,
    )


def stack_particles(tables: Sequence[Particles]) -> Particles:
    """Particles that were run one at a time as one table; they must have the same sites and shapes."""
    first = tables[0]
    if len(tables) == 1:
        return first
    sites = {}
    for name, site in first.sites.items():
        rows = [table[name] for table in tables]
        value = site.value if site.observed and not site.predicted else torch.cat([row.value for row in rows])
        sites[name] = replace(
            site,
            value=value,
            log_p=_stack([row.log_p for row in rows]),
            log_q=_stack([row.log_q for row in rows]),
            kl=_stack([row.kl for row in rows]),
        )
    deterministic = {name: torch.cat([table.deterministic[name] for table in tables]) for name in first.deterministic}
    return Particles(sites, sum(table.num_particles for table in tables), deterministic, first.subsamples)


def _stack(factors: Sequence[Factor | None]) -> Factor | None:
    present = [factor for factor in factors if factor is not None]
    if not present:
        return None
    first = present[0]
    scale = first.scale
    if isinstance(scale, Tensor) and scale.dim() > 0:
        width = first.log_prob.shape
        scale = torch.cat([torch.as_tensor(factor.scale).expand(width) for factor in present])
    return Factor(torch.cat([factor.log_prob for factor in present]), first.plates, scale)
