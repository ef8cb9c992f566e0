"""The density of an automatic guide at given values, on the unconstrained scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from pyro.infer.autoguide import AutoContinuous, AutoNormal
from torch import Tensor

from pyro_vae.errors import OptionError


def unconstrained_log_density(guide: Callable, free: Mapping[str, Tensor]) -> Tensor:
    """log q of draws of every site, given unconstrained, ``{site: [S, size]}``; ``[S]`` in nats.

    For the guides that have one normal per site or one distribution over all: ``auto_normal``,
    ``auto_diagonal_normal``, ``auto_multivariate_normal``, ``auto_low_rank_multivariate_normal``,
    ``auto_laplace``, ``auto_iaf_normal``.

    Raises: :class:`~pyro_vae.errors.OptionError` for another guide, or one of other sites.
    """
    if isinstance(guide, AutoNormal):
        sites = list(guide.prototype_trace.stochastic_nodes) if guide.prototype_trace else []
    elif isinstance(guide, AutoContinuous):
        sites = list(guide._unconstrained_shapes)
    else:
        raise OptionError(
            f"proposal: the density of {type(guide).__name__} at other draws than its own is not known. "
            "Use proposal='gaussian'."
        )
    if set(sites) != set(free):
        raise OptionError(f"proposal: the guide is one of the sites {sites}, and the draws have {list(free)}.")
    with torch.no_grad():
        if isinstance(guide, AutoContinuous):
            flat = torch.cat([free[name] for name in sites], 1)
            return guide.get_posterior().log_prob(flat)
        total = torch.zeros(len(next(iter(free.values()))), dtype=torch.float64)
        for name in sites:
            loc, scale = (part.double().reshape(-1) for part in guide._get_loc_and_scale(name))
            total += torch.distributions.Normal(loc, scale).log_prob(free[name].double()).sum(1)
        return total
