"""A run of ``pyro.infer.MCMC`` that somebody already has, as the ``DataTree`` that ``nuts`` would give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from pyro.infer.mcmc import MCMC

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.particles.calls import call_arguments
from pyro_vae.particles.state import unobserved
from pyro_vae.posterior.collecting import assemble
from pyro_vae.posterior.draws import model_groups
from pyro_vae.potential.sites import find_latents


def from_mcmc(
    mcmc: MCMC,
    model: Callable,
    data: Any = None,
    *,
    seed: int = 0,
    predictive: bool = True,
    log_likelihood: bool = True,
    prior: int = 500,
    coords: Mapping[str, Sequence] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
) -> xr.DataTree:
    """The draws of ``mcmc`` with everything that the model says at them; groups as from :func:`~pyro_vae.nuts`.

    Pyro keeps the divergences of a run, and no energies: E-BFMI of such a baseline cannot be checked. ``seed`` is for
    the predictive and prior draws.

    Raises:
        OptionError: ``mcmc`` has not been run, or is no MCMC.
        ModelError: its draws are not of this model; names the site.

    >>> import pyro, pyro.distributions as dist
    >>> from pyro.infer import NUTS
    >>> def model():
    ...     pyro.sample("z", dist.Normal(torch.zeros(2), 1.).to_event(1))
    >>> pyro.set_rng_seed(0)
    >>> mcmc = MCMC(NUTS(model), num_samples=100, warmup_steps=50, disable_progbar=True)
    >>> mcmc.run()
    >>> dict(from_mcmc(mcmc, model)["posterior"].sizes)
    {'chain': 1, 'draw': 100, 'z_dim_0': 2}
    """
    if not isinstance(mcmc, MCMC):
        raise OptionError(f"Expected a pyro.infer.MCMC that has been run, got {type(mcmc).__name__}.")
    if not mcmc._samples:
        raise OptionError("This pyro.infer.MCMC has not been run: call its run(...) with the model's data first.")
    args, kwargs = call_arguments(data)
    drawn = {name: value.detach().cpu().numpy() for name, value in mcmc.get_samples(group_by_chain=True).items()}
    samples = _of_model(drawn, model, args, kwargs)
    chains, draws = next(iter(samples.values())).shape[:2]
    groups = model_groups(
        model, args, kwargs, samples, seed=seed, predictive=predictive, log_likelihood=log_likelihood, prior=prior
    )
    posterior = groups.pop("posterior")
    kernel = type(mcmc.kernel).__name__
    attrs = {
        "engine": f"pyro.infer.MCMC ({kernel}), as given",
        "warmup": mcmc.warmup_steps,
        "how": f"A run of pyro.infer.MCMC ({kernel}) as it was given: {chains} chains of {draws} draws.",
    }
    stats = {"diverging": diverging} if (diverging := _diverging(mcmc, chains, draws)) is not None else {}
    return assemble({"posterior": posterior, "sample_stats": stats, **groups}, coords=coords, dims=dims, attrs=attrs)


def _of_model(
    drawn: Mapping[str, np.ndarray], model: Callable, args: tuple, kwargs: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The draws of the model's latent sites, ``[chain, draw, *plates, *event]``: Pyro keeps batch dims of size 1."""
    with unobserved(model), torch.no_grad():
        sites = find_latents(model, args, kwargs).sites
    samples = {}
    for site in sites:
        if site.name not in drawn:
            raise ModelError(
                f"The MCMC has no draws of the model's site '{site.name}', only of {sorted(drawn)}. If it sampled a "
                "reparametrised model, give that one as the model."
            )
        value = drawn[site.name]
        if value[0, 0].size != int(np.prod(site.shape)):
            raise ModelError(
                f"Site '{site.name}': the MCMC's draws have shape {value.shape[2:]}, the model's value {site.shape}. "
                "Was it run with other data?"
            )
        samples[site.name] = value.reshape(*value.shape[:2], *site.shape)
    return samples


def _diverging(mcmc: MCMC, chains: int, draws: int) -> np.ndarray | None:
    """Which transitions diverged, ``[chain, draw]``; None for a kernel that does not say."""
    recorded = mcmc.diagnostics().get("divergences")
    if recorded is None:
        return None
    diverging = np.zeros((chains, draws), dtype=bool)
    for chain in range(chains):
        diverging[chain, list(recorded.get(f"chain {chain}", []))] = True
    return diverging
