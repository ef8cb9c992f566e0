"""From the traces of a run to the table of sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyro_vae.particles.data import FACTORS, Factor, Particles, Site
from pyro_vae.particles.handlers import is_delta, is_function
from pyro_vae.particles.packing import make_deterministic, make_factor, make_value
from pyro_vae.particles.runs import Run


def tabulate(run: Run, *, stop: bool = False, shapes: Mapping[str, torch.Size] | None = None) -> Particles:
    """One row per site; deterministic sites keep their values only. ``stop`` says that values were detached;
    ``shapes`` are the deterministic sites' shapes for one particle, needed with a particles' plate."""
    dim, count = run.particle_dim, run.num_particles
    sites: dict[str, Site] = {}
    deterministic: dict[str, Tensor] = {}
    for name, site in run.model.items():
        if is_function(site):
            deterministic[name] = make_deterministic(site, dim, count, (shapes or {}).get(name))
            continue
        sites[name] = _site(name, site, run.guide.get(name), dim, count, stop)
    for name, site in run.guide.items():
        if name not in run.model:
            sites[name] = _site(name, None, site, dim, count, stop)
    return Particles(sites, count if dim is not None else 1, deterministic, run.setting.subsamples)


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
        baseline_input=None if guide is None else guide["infer"].get("baseline_input"),
    )


def stack_particles(tables: Sequence[Particles]) -> Particles:
    """Particles that were run one at a time as one table.

    A site that only some particles reach (a branch of the program) has log-probability 0 and value NaN in the others.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    names = dict.fromkeys(name for table in tables for name in table.sites)
    sites = {name: _stack_sites([table.sites.get(name) for table in tables]) for name in names}
    deterministic = {name: torch.cat([table.deterministic[name] for table in tables]) for name in first.deterministic}
    return Particles(sites, sum(table.num_particles for table in tables), deterministic, first.subsamples)


def _stack_sites(rows: Sequence[Site | None]) -> Site:
    site = next(row for row in rows if row is not None)
    if site.observed and not site.predicted:
        value = site.value
    else:
        missing = torch.full_like(site.value, torch.nan if site.value.is_floating_point() else 0)
        value = torch.cat([missing if row is None else row.value for row in rows])
    shared = {
        field: {
            key: torch.cat([getattr(row, field)[key] for row in rows if row is not None])
            for key in getattr(site, field)
        }
        for field in ("parameters", "scores")
    }
    factors = {field: _stack([row and getattr(row, field) for row in rows]) for field in FACTORS}
    return replace(site, value=value, **shared, **factors)


def _stack(factors: Sequence[Factor | None]) -> Factor | None:
    first = next((factor for factor in factors if factor is not None), None)
    if first is None:
        return None
    shape, scale = first.log_prob.shape, first.scale
    if isinstance(scale, Tensor) and scale.dim() > 0:
        scale = torch.cat(
            [torch.as_tensor(1.0 if factor is None else factor.scale).expand(shape) for factor in factors]
        )
    log_prob = torch.cat(
        [torch.zeros_like(first.log_prob) if factor is None else factor.log_prob for factor in factors]
    )
    return Factor(log_prob, first.plates, scale)
