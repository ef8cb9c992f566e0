"""What is found out once about a model and guide: plates, whether particles can share one run, whether the pair fits
together.

Used by ``tracing``; objectives and fits keep the plan and hand it back with every draw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyro
import torch
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.checks import check_pair
from pyro_vae.particles.data import Particles
from pyro_vae.particles.dependencies import closed_form_sites
from pyro_vae.particles.handlers import is_delta, prepare_autoguides, with_flat_priors
from pyro_vae.particles.runs import Run, run_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.table import stack_particles, tabulate


@dataclass(frozen=True)
class Plan:
    """How a pair is run: ``max_plate_nesting`` dims are its plates', particles go left of them when ``vectorize``.

    ``latents`` are the model's latent sites in order; ``closed_form`` names the guide sites whose KL may be taken in
    closed form, with the sites that each stands for; ``why_looped`` is one sentence when particles are run one at a
    time; ``deterministic`` has the shapes of the deterministic sites for one particle.
    """

    max_plate_nesting: int
    vectorize: bool
    latents: tuple[str, ...] = ()
    closed_form: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why_looped: str = ""
    deterministic: Mapping[str, torch.Size] = field(default_factory=dict)

    @property
    def particle_dim(self) -> int:
        """The dim of the particles' plate: just left of every other plate."""
        return -self.max_plate_nesting - 1


def plan_pair(
    model: Callable,
    guide: Callable | None,
    args: tuple = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    vectorize: bool | None = None,
    closed_form: bool = False,
) -> Plan:
    """Find plates and latents, check that model and guide fit, and whether a run with a particle axis means the same.

    ``vectorize`` None tries: a pair that fails with a particle axis, or gives other log-probabilities with it, is
    looped, and a warning says why; True makes that a :class:`~pyro_vae.errors.ModelError`; False loops. RNG, param
    store and buffers stay as they were.
    """
    kwargs = dict(kwargs or {})
    model = with_flat_priors(model)
    if guide is not None:
        prepare_autoguides(guide)
    with unobserved(*(fn for fn in (model, guide) if fn is not None)), torch.no_grad(), pyro.validation_enabled(True):
        run = run_pair(model, guide, args, kwargs)
        if guide is not None:
            check_pair(run, lambda: run_pair(model, guide, args, kwargs, subsamples=run.subsamples))
        single = tabulate(run)
        dims = [
            frame.dim
            for site in (*run.model.values(), *run.guide.values())
            for frame in site["cond_indep_stack"]
            if frame.vectorized
        ]
        nesting = -min(dims, default=0)
        why = "" if vectorize is False else _why_not_vectorized(model, guide, args, kwargs, nesting, single, run)
        sites = closed_form_sites(model, guide, args, kwargs, run) if closed_form and guide is not None else {}
    if why and vectorize:
        raise ModelError(
            f"{why} Rewrite it so that it holds with leading batch dims, or use vectorize=False to run "
            f"particles one at a time."
        )
    if why:
        warnings.warn(f"Particles are run one at a time, which is slower: {why}", stacklevel=3)
    latents = tuple(name for name, site in run.model.items() if not site["is_observed"])
    shapes = {name: value.shape[1:] for name, value in single.deterministic.items()}
    return Plan(nesting, vectorize is not False and not why, latents, sites, why, shapes)


def _why_not_vectorized(
    model: Callable,
    guide: Callable | None,
    args: tuple,
    kwargs: Mapping[str, Any],
    nesting: int,
    single: Particles,
    first: Run,
) -> str:
    """One sentence on why a particle axis changes the pair's meaning; empty when it does not."""
    again = tabulate(run_pair(model, guide, args, kwargs, subsamples=first.subsamples, values=_fixed(first, single)))
    if _difference(single, again):
        return ""  # the program is random beyond its sites (dropout): nothing to compare
    try:
        run = run_pair(
            model, guide, args, kwargs, particle_dim=-nesting - 1, num_particles=2, subsamples=first.subsamples
        )
        shapes = {name: value.shape[1:] for name, value in single.deterministic.items()}
        together = tabulate(run, shapes=shapes)
    except ModelError as error:
        return f"with a leading particle axis: {error}"
    apart = []
    for k in range(2):
        values = {name: value[k : k + 1] for name, value in _fixed(run, together).items()}
        alone = run_pair(model, guide, args, kwargs, subsamples=first.subsamples, values=values)
        apart.append(tabulate(alone))
    try:
        site = _difference(together, stack_particles(apart))
    except (RuntimeError, KeyError):
        return "the pair has other sites or shapes with a leading particle axis."
    return (
        f"site '{site}' has another log-probability when several particles run at once; an operation before it "
        f"probably sums, "
        "indexes or concatenates over the particle axis (use negative dims, such as z[..., 0] and x.sum(-1))."
        if site
        else ""
    )


def _fixed(run: Run, particles: Particles) -> dict[str, Tensor]:
    """The values of a run's random latent sites: what has to be given to see the same run again."""
    fns = {**run.model, **run.guide}
    return {site.name: site.value for site in particles.latent if not is_delta(fns[site.name]["fn"])}


def _difference(one: Particles, other: Particles) -> str:
    """The first site whose log-probabilities differ; empty when none does."""
    for name, site in one.sites.items():
        for a, b in ((site.log_p, other[name].log_p), (site.log_q, other[name].log_q)):
            if a is None or b is None:
                continue
            if a.log_prob.shape != b.log_prob.shape or not torch.allclose(
                a.log_prob, b.log_prob, rtol=1e-3, atol=1e-3, equal_nan=True
            ):
                return name
    return ""
