"""The log joint of a model with its discrete latent sites summed out exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from pyro_vae.particles.contraction import factors_of
from pyro_vae.particles.enumerated import Enumeration
from pyro_vae.particles.handlers import Values, with_flat_priors
from pyro_vae.particles.runs import Setting, run_pair


def enumerated_log_joint(
    model: Callable,
    args: tuple,
    kwargs: Mapping[str, Any],
    values: Values,
    discrete: Collection[str],
    max_plate_nesting: int,
) -> Tensor:
    r"""log Σ_z p(x, z, θ) at the continuous values, scalar; z are the ``discrete`` latent sites, summed in parallel.

    The sum is Pyro's own variable elimination: a chain in ``pyro.markov`` costs what the forward algorithm costs.
    Raises: :class:`~pyro_vae.errors.ModelError` where Pyro cannot eliminate them.
    """
    enumeration = Enumeration(model=frozenset(discrete), dim=-1 - max_plate_nesting)
    run = run_pair(with_flat_priors(model), None, Setting(args, kwargs, values=values, enumeration=enumeration))
    return torch.cat([factor.total() for factor in factors_of(run).values()]).sum()
