"""``log_evidence``: log p(x) from a guide's importance weights, or from NUTS by bridge sampling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from pyro_vae.catalogue import Program
from pyro_vae.diagnostics.evidence import Evidence, bridge_sampling, evidence_from_weights, iwae_bound
from pyro_vae.diagnostics.importance import log_importance_weights
from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.guides.densities import unconstrained_log_density
from pyro_vae.particles import call_arguments
from pyro_vae.potential import Potential, double_precision
from pyro_vae.potential.many import log_densities, unconstrained_draws
from pyro_vae.studies.inputs import program_of, rows_of
from pyro_vae.training import Fit

METHODS = ("bridge", "psis", "iwae")


def log_evidence(
    draws: xr.DataTree | Fit,
    model: Callable | Program | str | Path | None = None,
    data: Any = None,
    *,
    method: str | None = None,
    proposal: str | Fit = "gaussian",
    num_particles: int | None = None,
    guide_draws: int = 10_000,
    seed: int = 0,
) -> Evidence:
    r"""The log evidence log p(x) of a model in nats, with its standard error.

    =========  ========================================================================================================
    "psis"     from a guide's draws: the mean of their importance weights, the largest smoothed
    "iwae"     from a guide's draws: the bound :math:`L_K` with K = ``num_particles``, which lies below
    "bridge"   from NUTS's draws (or exact ones) of the posterior and a proposal on the unconstrained scale. It counts
               every mode that the draws have seen, and asks least of the proposal
    =========  ========================================================================================================

    Args:
        draws: a :class:`~pyro_vae.Fit`, or a ``DataTree``: a guide's, with ``log_p`` and ``log_q``, or that of chains.
        model: for bridge sampling, the model whose posterior was drawn (its density is evaluated, in its own sites), or
            a program or its name. A flat prior has no normalised density, and so no evidence that means anything.
        data: what the model is called with, where ``model`` is no program with data of its own.
        method: None is "psis" for a guide's draws and "bridge" for others.
        proposal: of bridge sampling. "gaussian" is a normal with the mean and covariance of the first half of each
            chain; the other half is bridged. A ``Fit`` of an automatic guide proposes what that draws, and all draws
            are bridged.
        num_particles: K of "iwae" (64).
        guide_draws: how many draws of a ``Fit`` to take.
        seed: of the draws made here; the same seed gives the same number.

    Raises:
        OptionError: naming the option that does not fit the draws, or a site that they lack.
        DataError: draws at which the model has no density, or that carry no weights.
        ModelError: see :class:`~pyro_vae.potential.Potential`.

    Source: see :func:`~pyro_vae.diagnostics.evidence_from_weights` and :func:`~pyro_vae.diagnostics.bridge_sampling`.

    >>> import pyro_vae as pv
    >>> program = pv.load_program("linear_regression")
    >>> fit = pv.fit(program.model, "auto_multivariate_normal", program.data, seed=0, compile=False, progress=False)
    >>> abs(pv.log_evidence(fit).value + 26.608) < 0.01  # -26.6083 exactly
    True
    """
    if method not in (None, *METHODS):
        raise OptionError(f"method: expected None or one of {', '.join(METHODS)}, got {method!r}.")
    if isinstance(draws, Fit):
        draws = _drawn(draws, guide_draws, seed)
    log_w = log_importance_weights(draws)
    if num_particles is not None and method != "iwae":
        raise OptionError("num_particles is the K of method='iwae'; leave out one of the two.")
    if (method or ("bridge" if log_w is None else "psis")) == "bridge":
        return _bridged(draws, model, data, proposal, guide_draws, seed)
    if log_w is None:
        raise DataError(
            f"method={method!r} needs a guide's draws, with log_p and log_q; these have none. For draws of NUTS leave "
            "the method out, and give the model."
        )
    return evidence_from_weights(log_w) if method != "iwae" else iwae_bound(log_w, num_particles or 64)


def _drawn(fit: Fit, draws: int, seed: int) -> xr.DataTree:
    return fit.posterior(draws=draws, seed=seed + 1, predictive=False, log_likelihood=False, prior=0)


def _bridged(draws: xr.DataTree, model: Any, data: Any, proposal: str | Fit, size: int, seed: int) -> Evidence:
    if proposal != "gaussian" and not isinstance(proposal, Fit):
        raise OptionError(f"proposal: expected 'gaussian' or a fit of an automatic guide, got {proposal!r}.")
    if model is None and isinstance(proposal, Fit):
        model, data = proposal.model, proposal.data if data is None else data
    if model is None:
        raise OptionError("model: bridge sampling evaluates the model's density; give the model, and its data.")
    program = program_of(model, data)
    args, kwargs = call_arguments(rows_of(program.data))
    potential = Potential(program.model, args, kwargs, compiled=False)
    if not len(potential.names):
        raise ModelError("The model has no continuous latent site to bridge over.")
    posterior = draws["posterior"].to_dataset()
    lacking = [name for name in potential.names if name not in posterior.data_vars]
    if lacking:
        raise OptionError(f"The draws lack the model's site '{lacking[0]}'; they have {list(posterior.data_vars)}.")
    free = _free(potential, posterior)
    if isinstance(proposal, Fit):
        return _bridged_by_guide(potential, free, proposal, size, seed)
    return _bridged_by_gaussian(potential, free, seed)


def _free(potential: Potential, posterior: xr.Dataset) -> np.ndarray:
    """The draws on the unconstrained scale, ``[chain, draw, D]``."""
    values = {}
    for name in potential.names:
        array = posterior[name]
        own = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values[name] = array.transpose("chain", "draw", *own).values
    chains, draws = next(iter(values.values())).shape[:2]
    flat = {name: value.reshape(chains * draws, *value.shape[2:]) for name, value in values.items()}
    return unconstrained_draws(potential, flat).reshape(chains, draws, potential.size)


def _bridged_by_gaussian(potential: Potential, free: np.ndarray, seed: int) -> Evidence:
    """The first half of each chain makes the proposal, the second half is bridged."""
    half = free.shape[1] // 2
    first, second = free[:, :half].reshape(-1, potential.size), free[:, half:]
    if len(first) < 2 * potential.size:
        raise DataError(
            f"{len(first)} draws are too few for a normal in {potential.size} dimensions: at least "
            f"{4 * potential.size} draws in all, or a fit as the proposal."
        )
    mean, factor = first.mean(axis=0), np.linalg.cholesky(np.atleast_2d(np.cov(first.T)))
    noise = np.random.default_rng(seed).normal(size=(second.shape[0] * second.shape[1], potential.size))
    proposed = mean + noise @ factor.T

    def log_g(u: np.ndarray) -> np.ndarray:
        z = np.linalg.solve(factor, (u - mean).T)
        return -0.5 * np.square(z).sum(0) - np.log(np.diag(factor)).sum() - 0.5 * potential.size * np.log(2 * np.pi)

    flat = second.reshape(-1, potential.size)
    ours = log_densities(potential, flat) - log_g(flat)
    return bridge_sampling(ours.reshape(second.shape[:2]), log_densities(potential, proposed) - log_g(proposed))


def _bridged_by_guide(potential: Potential, free: np.ndarray, fit: Fit, size: int, seed: int) -> Evidence:
    """What a guide proposes carries its weights already; at the chains' draws its density is evaluated."""
    log_w = log_importance_weights(_drawn(fit, size, seed))
    if log_w is None:
        raise DataError("proposal: the fit's guide has no density (log_q). Use proposal='gaussian'.")
    flat = free.reshape(-1, potential.size)
    ends = np.cumsum([0, *(site.size for site in potential.sites)])
    parts = {
        site.name: torch.as_tensor(flat[:, start:end])
        for site, start, end in zip(potential.sites, ends, ends[1:], strict=False)
    }
    with fit.in_place(), double_precision():
        log_q = unconstrained_log_density(fit.guide, parts).double().numpy()
    return bridge_sampling((log_densities(potential, flat) - log_q).reshape(free.shape[:2]), log_w)
