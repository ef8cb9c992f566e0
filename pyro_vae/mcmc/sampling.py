"""``nuts``: the baseline that variational fits are judged against, from any Pyro model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
import xarray as xr

from pyro_vae.errors import OptionError
from pyro_vae.mcmc.chains import Settings
from pyro_vae.mcmc.ladder import best, climb, story
from pyro_vae.particles.calls import call_arguments
from pyro_vae.posterior.collecting import assemble
from pyro_vae.posterior.draws import model_groups

ENGINES = {"nutpie": "pyro_vae.mcmc.nutpie_engine", "pyro": "pyro_vae.mcmc.pyro_engine"}


def nuts(
    model: Callable,
    data: Any = None,
    *,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 1000,
    target_accept: float = 0.8,
    seed: int | None = None,
    engine: str = "nutpie",
    progress: bool | None = None,
    baseline_model: Callable | None = None,
    retry: bool = True,
    init: Mapping[str, Any] | None = None,
    predictive: bool = True,
    log_likelihood: bool = True,
    prior: int = 500,
    coords: Mapping[str, Sequence] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
) -> xr.DataTree:
    """Sample a Pyro model with NUTS, and try again when the chains do not count as a baseline.

    Chains start far apart. They count if R-hat < 1.01, bulk and tail ESS > 400, no transition diverged and E-BFMI >
    0.2; if not, the model is sampled with ``target_accept`` 0.95, then as ``baseline_model``, or, without one,
    non-centred automatically. Whatever was sampled, the draws are of the original sites. If nothing counts, the best
    attempt comes back, and ``attrs["how"]`` says so. Discrete latent sites are summed out: they are not in the
    posterior. After Ctrl-C the draws so far come back, and ``attrs["interrupted"]`` is 1.

    Groups: ``posterior`` (``[chain, draw, *plates, *event]``, deterministic sites included), ``sample_stats`` (``lp``,
    ``diverging``, ``energy``, ``tree_depth``, ``n_steps``, ``step_size``, ``acceptance_rate``), and the model's at
    those draws as in :func:`~pyro_vae.sample_posterior`. Attributes: ``engine``, ``seconds``, ``seed``, ``warmup``,
    ``target_accept``, ``attempts`` (JSON), ``how``.

    Args:
        model: a Pyro program.
        data: what it is called with: a dict of keyword arguments, a tuple, one tensor, or None.
        chains: number of chains.
        draws: draws of each chain after warm-up.
        warmup: draws of each chain in which step size and mass matrix are adapted; not kept.
        target_accept: mean acceptance rate to which the step size is adapted, in (0, 1).
        seed: makes the draws repeatable. None takes a seed from torch's global state.
        engine: ``"nutpie"`` (Rust, fast) or ``"pyro"`` (Pyro's own NUTS, the reference).
        progress: whether to show progress; None shows it on a terminal.
        baseline_model: the same posterior in another parametrisation, with the same arguments and site names.
        retry: False keeps to one attempt.
        init: ``{site: value}`` to start near.
        predictive: whether to draw the observed sites anew, into ``posterior_predictive``.
        log_likelihood: whether to keep the log-likelihood of every observation.
        prior: number of draws from the prior, 0 for none.
        coords: labels of the dims, as in ArviZ.
        dims: names of each variable's dims.

    Raises:
        ModelError: no latent site, a subsampled plate, a discrete site that cannot be summed out; names it.
        DataError: NaN or infinite data; names the argument.
        OptionError: an option that cannot be.
        SamplerError: the engine cannot run on this model.

    Source: Hoffman, Gelman, "The No-U-Turn sampler", JMLR 15 (2014); Betancourt, arXiv:1701.02434.

    >>> import pyro, pyro.distributions as dist
    >>> def model(x):
    ...     z = pyro.sample("z", dist.Normal(0., 1.))
    ...     pyro.sample("x", dist.Normal(z, 1.), obs=x)
    >>> tree = nuts(model, torch.tensor(1.), seed=0)
    >>> round(float(tree["posterior"]["z"].mean()), 1)  # the posterior is N(1/2, 1/2)
    0.5
    >>> tree.attrs["how"]
    'Sampled the model as written at target_accept 0.8: R-hat 1.00, no divergences.'
    """
    args, kwargs = call_arguments(data)
    sample = _engine(engine)
    seed = int(torch.randint(2**31, ()).item()) if seed is None else seed
    shown = sys.stderr.isatty() if progress is None else progress
    settings = Settings(chains, draws, warmup, target_accept, seed, shown, dict(init or {}))
    _check(settings)
    begin = time.perf_counter()
    attempts = climb(model, args, kwargs, sample, settings, baseline_model=baseline_model, retry=retry)
    seconds = time.perf_counter() - begin
    chosen = best(attempts)
    groups = model_groups(
        model,
        args,
        kwargs,
        chosen.samples,
        seed=seed,
        predictive=predictive,
        log_likelihood=log_likelihood,
        prior=prior,
    )
    posterior = groups.pop("posterior")
    attrs = {
        "engine": engine,
        "seconds": round(seconds, 2),
        "seed": seed,
        "warmup": warmup,
        "target_accept": chosen.target_accept,
        "parametrisation": chosen.label,
        "attempts": [attempt.record for attempt in attempts],
        "how": story(attempts, settings),
        "interrupted": True if any(attempt.chains.interrupted for attempt in attempts) else None,
    }
    return assemble(
        {"posterior": posterior, "sample_stats": dict(chosen.chains.stats), **groups},
        coords=coords,
        dims=dims,
        attrs=attrs,
    )


def _engine(name: str) -> Callable:
    if name not in ENGINES:
        raise OptionError(f"engine: expected one of {', '.join(map(repr, ENGINES))}, got {name!r}.")
    return import_module(ENGINES[name]).sample


def _check(settings: Settings) -> None:
    for name, least in (("chains", 1), ("draws", 1), ("warmup", 0)):
        value = getattr(settings, name)
        if not isinstance(value, int) or value < least:
            raise OptionError(f"{name}: expected a whole number from {least} on, got {value!r}.")
    if not 0 < settings.target_accept < 1:
        raise OptionError(f"target_accept: expected a number between 0 and 1, got {settings.target_accept!r}.")
