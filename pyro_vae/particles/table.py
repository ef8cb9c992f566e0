"""From the traces of a run to the table of sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pyro_vae.particles.contraction import Contraction, factors_of
from pyro_vae.particles.data import FACTORS, Factor, Particles, Rerun, Site
from pyro_vae.particles.families import family
from pyro_vae.particles.handlers import is_delta, is_function
from pyro_vae.particles.packing import make_deterministic, make_factor, make_value
from pyro_vae.particles.runs import Run


def tabulate(run: Run, *, stop: bool = False, shapes: Mapping[str, torch.Size] | None = None) -> Particles:
    """One row per site; deterministic sites keep their values only. ``stop`` says that values were detached;
    ``shapes`` are the deterministic sites' shapes for one particle, needed with a particles' plate."""
    dim, count = run.particle_dim, run.num_particles
    enumeration = run.setting.enumeration
    contraction = Contraction(run) if enumeration is not None else None
    factors = factors_of(run, contraction)
    sites: dict[str, Site] = {}
    deterministic: dict[str, Tensor] = {}
    for name in dict.fromkeys((*run.model, *run.guide, *(name for _, name in factors))):
        model, guide = run.model.get(name), run.guide.get(name)
        log_p, log_q = factors.get(("p", name)), factors.get(("q", name))
        if model is not None and is_function(model):
            if enumeration is None or name not in enumeration.left_out:
                deterministic[name] = make_deterministic(model, dim, count, (shapes or {}).get(name))
        elif model is None and guide is None:  # a sum that is no observed site's
            sites[name] = Site(name, torch.empty(0), log_p=log_p, observed=True)
        elif contraction is None or name not in contraction.summed:
            site = _site(name, model, guide, run, stop, contraction)
            score = None if guide is None or site.deterministic else unmasked(guide, run, contraction)
            sites[name] = replace(site, log_p=log_p, log_q=log_q, log_q_score=score)
    return Particles(sites, count if dim is not None else 1, deterministic, run.setting.subsamples)


def _site(
    name: str,
    model: Mapping[str, Any] | None,
    guide: Mapping[str, Any] | None,
    run: Run,
    stop: bool,
    contraction: Contraction | None,
) -> Site:
    """A site without its factors."""
    source = guide or model
    assert source is not None  # called for sites of the model or of the guide
    observed = model is not None and model["is_observed"]
    drawn = source["infer"].get("_drawn_observation", False)
    delta = is_delta(source["fn"])
    pathwise = delta or (bool(getattr(source["fn"], "has_rsample", False)) and not stop)
    enumerated = contraction is not None and "_enumerate_dim" in source["infer"]
    if observed:
        value = source["value"]
    elif contraction is not None:
        value = contraction.value(source)
    else:
        value = make_value(source, run.particle_dim, run.num_particles)
    return Site(
        name,
        value,
        observed=observed or drawn,
        predicted=drawn,
        auxiliary=model is None,
        reparameterised=pathwise or enumerated,
        deterministic=delta,
        enumerated=enumerated,
        drawn_given=contraction.varies_with(guide) if contraction is not None and guide is not None else (),
        baseline_input=None if guide is None else guide["infer"].get("baseline_input"),
        family="" if guide is None else family(guide["fn"]),
    )


def unmasked(guide: Mapping[str, Any], run: Run, contraction: Contraction | None = None) -> Factor | None:
    """What a masked site was drawn from: a mask takes it out of the cost, and its value still comes from there. None
    without a mask."""
    masked = guide["mask"] is not None and guide["mask"] is not True
    fn = guide["fn"]
    while type(fn).__name__ == "MaskedDistribution":
        fn, masked = fn.base_dist, True
    if not masked:
        return None
    site = {**guide, "fn": fn, "mask": None}
    if contraction is not None:
        return contraction.factor(site)
    return make_factor(site, run.particle_dim, run.num_particles)


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
    shared: dict[str, Any] = {
        field: {
            key: torch.cat([getattr(row, field)[key] for row in rows if row is not None])
            for key in getattr(site, field)
        }
        for field in ("parameters", "scores", "canonical")
    }
    if all(row is not None and row.rerun is not None for row in rows):
        shared["rerun"] = JoinedReruns(tuple(row.rerun for row in rows if row and row.rerun))
        noise = [row.noise for row in rows if row is not None and row.noise is not None]
        shared["noise"] = torch.cat(noise, 1) if noise else None
    else:  # a site that not every particle reaches cannot be run again for all of them
        shared |= {"rerun": None, "canonical": {}}
    factors = {field: _stack([row and getattr(row, field) for row in rows]) for field in FACTORS}
    return replace(site, value=value, **shared, **factors)


def _stack(factors: Sequence[Factor | None]) -> Factor | None:
    first = next((factor for factor in factors if factor is not None), None)
    if first is None:
        return None
    scales: list[Tensor | float] = [first.scale if factor is None else factor.scale for factor in factors]
    scale = first.scale
    if any(isinstance(own, Tensor) for own in scales) or len(set(scales)) > 1:  # a scale may depend on the draw
        scale = torch.cat([torch.as_tensor(own).expand(first.log_prob.shape) for own in scales])
    log_prob = torch.cat(
        [torch.zeros_like(first.log_prob) if factor is None else factor.log_prob for factor in factors]
    )
    return Factor(log_prob, first.plates, scale)


def take(particles: Particles, index: Tensor) -> Particles:
    """The table with particle ``index[i]`` in row i."""
    sites = {}
    for name, site in particles.sites.items():
        factors = {field: getattr(site, field) for field in FACTORS}
        moved = {field: _take(factor, index) for field, factor in factors.items() if factor is not None}
        own = site.observed and not site.predicted
        sites[name] = replace(site, value=site.value if own else site.value[index], **moved)
    return replace(particles, sites=sites)


def _take(factor: Factor, index: Tensor) -> Factor:
    scale = factor.scale
    if isinstance(scale, Tensor) and scale.dim() > 0 and len(scale) == len(factor.log_prob):
        scale = scale[index]
    return replace(factor, log_prob=factor.log_prob[index], scale=scale)


@dataclass(frozen=True)
class JoinedReruns:
    """The rerun of particles that are run one at a time: each by its own."""

    rows: tuple[Rerun, ...]

    def __call__(self, values: Tensor, temperature: Tensor | float | None = None) -> Particles:
        repeats = len(values) // len(self.rows)
        apart = values.reshape(repeats, len(self.rows), *values.shape[1:])
        joined = stack_particles([rerun(apart[:, k], temperature) for k, rerun in enumerate(self.rows)])
        order = torch.arange(len(values), device=values.device).reshape(len(self.rows), repeats).T.flatten()
        return take(joined, order)
