"""Many draws at once: onto the unconstrained scale, and their log densities there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from pyro_vae.errors import OptionError
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.tracing import run_model
from pyro_vae.potential.density import Potential

_CHUNK = 500


def unconstrained_draws(potential: Potential, values: Mapping[str, Any]) -> np.ndarray:
    """Draws of every continuous latent site, ``{site: [S, *plates, *event]}``, on the unconstrained scale: ``[S, D]``.

    Raises: :class:`~pyro_vae.errors.OptionError` naming a site that is missing, has another shape, or has draws that
    are not inside its support.

    >>> import pyro.distributions as dist
    >>> potential = Potential(lambda: pyro.sample("scale", dist.Exponential(1.0)), compiled=False)
    >>> unconstrained_draws(potential, {"scale": np.array([1.0, np.e])}).round(3).tolist()
    [[0.0], [1.0]]
    """
    count = len(next(iter(values.values()), ()))
    for site in potential.sites:
        if site.name not in values:
            raise OptionError(f"The draws lack the site '{site.name}'; they have {list(values)}.")
        shape = np.shape(values[site.name])
        if shape != (count, *site.shape):
            raise OptionError(
                f"Draws of '{site.name}' have shape {shape}; expected [draws, *{site.shape}]. Are they of this model?"
            )
    if not potential.fixed:
        rows = range(count)
        return np.stack([potential.unconstrain({name: values[name][row] for name in potential.names}) for row in rows])
    parts = []
    for site in potential.sites:
        drawn = torch.as_tensor(np.asarray(values[site.name], dtype=np.float64))
        free: Tensor = site.transform.inv(drawn)  # pyright: ignore
        parts.append(free.reshape(len(free), -1))
        if not bool(torch.isfinite(parts[-1]).all()):
            raise OptionError(f"Draws of '{site.name}' lie on the edge of its support or outside: they cannot be used.")
    return torch.cat(parts, 1).numpy()


def log_densities(potential: Potential, flat: np.ndarray) -> np.ndarray:
    """The log density, Jacobian included, of unconstrained draws ``[S, D]``, as ``[S]``; -inf where it is NaN.

    In one run of the model for many draws, where it can be vectorised, its supports are fixed and nothing is summed
    out; else one by one.

    >>> import pyro.distributions as dist
    >>> potential = Potential(lambda: pyro.sample("scale", dist.Exponential(1.0)), compiled=False)
    >>> log_densities(potential, np.array([[0.0], [1.0]])).round(3).tolist()  # u - exp(u)
    [-1.0, -1.718]
    """
    flat = np.asarray(flat, dtype=np.float64)
    plan = _plan(potential)
    if plan is None:
        found = np.array([float(potential.log_density(torch.as_tensor(row)).detach()) for row in flat])
    else:
        parts = [flat[start : start + _CHUNK] for start in range(0, len(flat), _CHUNK)]
        found = np.concatenate([_together(potential, plan, torch.as_tensor(part)) for part in parts])
    return np.where(np.isnan(found), -np.inf, found)


def _plan(potential: Potential) -> Plan | None:
    """How to run the model for many draws at once, None if it cannot be."""
    if not potential.fixed or potential.discrete:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Particles are run one at a time")
        plan = plan_pair(potential.model, None, potential.args, potential.kwargs)
    return plan if plan.vectorize else None


def _together(potential: Potential, plan: Plan, free: Tensor) -> np.ndarray:
    values, log_jacobian, at = {}, torch.zeros(len(free), dtype=torch.float64), 0
    for site in potential.sites:
        part = free[:, at : at + site.size].reshape(len(free), *site.unconstrained)
        at += site.size
        value = site.transform(part)
        log_jacobian += site.transform.log_abs_det_jacobian(part, value).reshape(len(free), -1).sum(1)
        values[site.name] = value.reshape(len(free), *site.shape)
    with unobserved(potential.model), torch.no_grad(), potential.precision(), pyro.validation_enabled(False):
        run = run_model(
            potential.model, potential.args, potential.kwargs, num_particles=len(free), values=values, plan=plan
        )
        return (run.log_p().double() + log_jacobian).numpy()
