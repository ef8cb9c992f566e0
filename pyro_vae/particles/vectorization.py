"""Whether particles may share one run: with a leading axis a program may fail or, worse, quietly mean another thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Particles
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.runs import Run, run_pair
from pyro_vae.particles.table import stack_particles, tabulate


def why_not_vectorized(
    model: Callable, guide: Callable | None, run: Run, nesting: int, shapes: Mapping[str, torch.Size]
) -> str:
    """One sentence on why a particle axis changes what ``run`` means; empty when it does not.

    Two particles are run together, then each alone at the same values; the log-probabilities must agree. ``shapes``
    are those of deterministic sites when one particle runs alone.
    """
    single = tabulate(run)
    fixed = all(site.enumerated or not site.drawn_given for site in single.latent)
    if fixed and not is_settled(model, guide, run, single):
        return ""  # the program is random beyond its sites (dropout): there is nothing to compare
    try:
        both = run_pair(model, guide, replace(run.setting, particle_dim=-nesting - 1, num_particles=2, values=None))
        together = tabulate(both, shapes=shapes)
    except ModelError as error:
        return f"with a leading particle axis: {error}"
    if not fixed:
        return (
            ""  # values drawn for each value of an enumerated site cannot be given again: there is nothing to compare
        )
    values = fixed_values(both, together)
    rows = [{name: value[k : k + 1] for name, value in values.items()} for k in range(2)]
    apart = [tabulate(run_pair(model, guide, replace(run.setting, values=row))) for row in rows]
    try:
        site = _difference(together, stack_particles(apart))
    except (RuntimeError, KeyError):
        return "the pair has other sites or shapes with a leading particle axis."
    if not site:
        return ""
    return (
        f"site '{site}' has another log-probability when several particles run at once; an operation before it "
        f"probably "
        "sums, indexes or concatenates over the particle axis (use negative dims, such as z[..., 0] and x.sum(-1))."
    )


def is_settled(model: Callable, guide: Callable | None, run: Run, particles: Particles) -> bool:
    """Whether the values of a run's sites (``particles`` is its table) settle their log-probabilities."""
    again = run_pair(model, guide, replace(run.setting, values=fixed_values(run, particles)))
    return not _difference(particles, tabulate(again))


def deterministic_shapes(run: Run) -> dict[str, torch.Size]:
    """The shapes of deterministic sites when one particle runs alone."""
    return {name: value.shape[1:] for name, value in tabulate(run).deterministic.items()}


def fixed_values(run: Run, particles: Particles) -> dict[str, Tensor]:
    """The values of a run's random latent sites (``particles`` is its table): what has to be given to see the same run
    again. Values that an enumerated site has, or that were drawn for each of its values, cannot be given."""
    fns = {**run.model, **run.guide}
    return {
        site.name: site.value
        for site in particles.latent
        if not (is_delta(fns[site.name]["fn"]) or site.enumerated or site.drawn_given)
    }


def _difference(one: Particles, other: Particles) -> str:
    """The first site whose log-probabilities differ; empty when none does."""
    for name, site in one.sites.items():
        for a, b in ((site.log_p, other[name].log_p), (site.log_q, other[name].log_q)):
            if a is None or b is None:
                continue
            here, there = a.scaled(), b.scaled()
            if here.shape != there.shape or not torch.allclose(here, there, rtol=1e-3, atol=1e-3, equal_nan=True):
                return name
    return ""
