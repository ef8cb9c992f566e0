"""Draws from a guide, or anybody's draws of the latents, scored and completed by the model: a ``DataTree``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyro
import torch
import xarray as xr
from torch import Tensor

from pyro_vae.errors import OptionError
from pyro_vae.particles.calls import call_arguments
from pyro_vae.particles.data import Particles
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.tracing import draw
from pyro_vae.posterior.collecting import Groups, Program, assemble, chunk_sizes, collect, quiet_plan
from pyro_vae.posterior.repeating import repeat
from pyro_vae.potential.precision import widest


def sample_posterior(
    model: Callable,
    guide: Callable,
    data: Any = None,
    *,
    draws: int = 4000,
    seed: int | None = None,
    predictive: bool = True,
    log_likelihood: bool = True,
    prior: int = 500,
    coords: Mapping[str, Sequence] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    r"""Draw from any guide, however it was trained, into the container that NUTS fills too.

    Groups: ``posterior`` (the model's latent and deterministic sites, ``[1, draws, *plates, *event]``, 64 bits);
    ``sample_stats`` with ``log_p`` and ``log_q``, ``[1, draws]``: the log joint and log guide density of each draw, all
    plates and scales included, so that ``log_p - log_q`` is its log importance weight; ``log_likelihood`` (one number
    per observation, ``[1, draws, *plates]``), ``posterior_predictive``, ``observed_data``, and ``prior``, unless one is
    flat. With more than a few thousand observations, the groups that hold them keep every second, third, ... draw.

    A guide that puts a latent on one point (``AutoDelta``) has no density there: ``log_q`` is left out and
    ``attrs["point_sites"]`` names the sites. A model that draws its own subsample cannot score its draws on all data:
    ``log_p``, ``log_q`` and whatever lies inside that plate are left out, and ``attrs["subsampled_plates"]`` names it.

    Discrete sites that the model alone enumerates (``infer={"enumerate": "parallel"}``) are summed out: they, and
    deterministic sites that are functions of them, are left out, and the log-likelihood of an observation is that of
    the sum. Predictive draws draw them from the model. A site that the guide enumerates is drawn from the guide.

    Args:
        model: a Pyro program.
        guide: a Pyro program, ``PyroModule`` or autoguide with its fitted parameters.
        data: what both are called with: a dict of keyword arguments, a tuple, one tensor, or None.
        draws: number of draws.
        seed: makes the draws repeatable; the global random state stays as it was. None takes a seed from that state.
        predictive: whether to draw the observed sites anew, into ``posterior_predictive``.
        log_likelihood: whether to keep the log-likelihood of every observation.
        prior: number of draws from the prior, 0 for none.
        coords: labels of the dims, as in ArviZ.
        dims: names of each variable's dims.
        attrs: more attributes of the tree.

    Raises:
        ModelError: guide and model do not fit together; names the site.
        DataError: NaN or infinite data; names the argument.

    >>> import pyro, torch, pyro.distributions as dist
    >>> def model(x):
    ...     z = pyro.sample("z", dist.Normal(0., 1.))
    ...     pyro.sample("x", dist.Normal(z, 1.), obs=x)
    >>> def guide(x):
    ...     pyro.sample("z", dist.Normal(0.5, 0.5**0.5))
    >>> tree = sample_posterior(model, guide, torch.tensor(1.), draws=1000, seed=0)
    >>> round(float(tree["posterior"]["z"].mean()), 1)
    0.5
    >>> sorted(tree.children)
    ['log_likelihood', 'observed_data', 'posterior', 'posterior_predictive', 'prior', 'sample_stats']
    """
    if draws < 1:
        raise OptionError(f"draws: expected a positive number, got {draws}.")
    args, kwargs = call_arguments(data)
    plan = quiet_plan(model, guide, args, kwargs)
    seed = int(torch.randint(2**31, ()).item()) if seed is None else seed
    program = Program(model, args, kwargs, plan)

    def run(count: int) -> Particles:
        if plan.vectorize:
            return draw(model, guide, args, kwargs, num_particles=count, plan=plan)
        return repeat(lambda row: draw(model, guide, args, kwargs, values=row or None, plan=plan), count)

    with unobserved(model, guide), torch.no_grad(), pyro.validation_enabled(False):
        pyro.set_rng_seed(seed)
        with widest(lambda: run(1), model, guide)():
            probe = run(2)
            chunks = (run(count) for count in chunk_sizes(draws, probe))
            groups = collect(chunks, draws, program if predictive else None, log_likelihood)
            groups["prior"] = program.prior(prior) if prior else {}
    facts: dict[str, object] = {"seed": seed, "subsampled_plates": sorted(probe.subsamples) or None}
    points = _points(probe)
    if points:
        groups["sample_stats"].pop("log_q", None)
        facts["point_sites"] = points
    shaped = {name: group if name == "observed_data" else _one_chain(group) for name, group in groups.items()}
    return assemble(shaped, coords=coords, dims=dims, attrs={**facts, **(attrs or {})})


def _one_chain(group: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[None] for name, value in group.items()}


def _points(probe: Particles) -> list[str]:
    """Latents that the guide puts on one point. Other deltas of autoguides are functions of its draws, and vary."""
    return [
        site.name
        for site in probe.latent
        if site.deterministic and site.value.numel() and bool((site.value == site.value[:1]).all())
    ]


def model_groups(
    model: Callable,
    args: tuple,
    kwargs: Mapping[str, Any],
    samples: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    predictive: bool = True,
    log_likelihood: bool = True,
    prior: int = 500,
) -> Groups:
    """What a model says at given draws of its latents: every group of a ``DataTree`` but the sampler's own statistics.

    ``samples`` are ``{site: [chain, draw, *plates, *event]}``, from whichever source. Latent sites that are not among
    them (discrete ones that were summed over) are drawn from their prior given the others: ``log_likelihood`` is then
    left out, and so are deterministic sites that change with them. The global random state is left alone.

    Returns groups as :func:`~pyro_vae.posterior.collecting.assemble` takes them; ``posterior`` holds the samples and
    the deterministic sites.
    """
    chains, draws = next(iter(samples.values())).shape[:2]
    total = chains * draws
    flat = {name: torch.as_tensor(value).reshape(total, *value.shape[2:]) for name, value in samples.items()}
    plan = quiet_plan(model, None, args, kwargs)
    run = Program(model, args, kwargs, plan)
    with unobserved(model), torch.no_grad(), pyro.validation_enabled(False):
        pyro.set_rng_seed(seed)
        with widest(lambda: run(_rows(flat, 0, 1)), model)():
            probe = run(_rows(flat, 0, 1))
            dropped = _unsettled(run, _rows(flat, 0, 20)) if set(plan.latents) > set(flat) else set()
            ends = np.cumsum([0, *chunk_sizes(total, probe)]).tolist()
            chunks = (run(_rows(flat, start, end)) for start, end in pairwise(ends))
            groups = collect(chunks, draws, run if predictive else None, log_likelihood and not dropped)
            groups["prior"] = run.prior(prior) if prior else {}
    del groups["sample_stats"]
    known = {
        group: {name: value for name, value in groups[group].items() if name not in dropped}
        for group in ("posterior", "prior")
    }
    groups |= {"posterior": known["posterior"], "prior": _one_chain(known["prior"])}
    for group in ("posterior", "log_likelihood", "posterior_predictive"):
        columns = groups.get(group, {})
        groups[group] = {name: value.reshape(chains, -1, *value.shape[1:]) for name, value in columns.items()}
    return groups


def _rows(values: Mapping[str, Tensor], start: int, end: int) -> dict[str, Tensor]:
    return {name: value[start:end] for name, value in values.items()}


def _unsettled(run: Program, values: Mapping[str, Tensor]) -> set[str]:
    """Sites that the given values do not settle: they differ from run to run."""
    first, second = run(values), run(values)
    latent = {site.name: (site.value, second[site.name].value) for site in first.latent}
    pairs = latent | {name: (value, second.deterministic[name]) for name, value in first.deterministic.items()}
    return {name for name, (one, other) in pairs.items() if not torch.equal(one, other)}
