"""Every joint value of a guide whose sites are all discrete and small: what an exact expectation is summed over."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pyro
import torch
from torch import Tensor

from pyro_vae.particles.data import Site
from pyro_vae.particles.handlers import with_flat_priors
from pyro_vae.particles.runs import Setting, run_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.table import tabulate

MOST_NUMBERS = 20_000_000  # in the values of one site, over all its rows


def every_value(
    model: Callable, guide: Callable, args: tuple, kwargs: Mapping[str, Any], *, most: int = 4096
) -> dict[str, Tensor] | None:
    """All joint values of the guide's random sites, ``{site: [S, *plates, *event]}``, S at most ``most``.

    Rows of a plate that all sites share are independent of each other, so they take their values side by side:
    S counts the joint values of one row. They are what :func:`~pyro_vae.particles.draw` takes as ``values``. None
    where a site is continuous or has too many values, where nothing is random, and where a plate draws a part of its
    rows. RNG and param store stay as they were.

    >>> import pyro.distributions as dist
    >>> def model():
    ...     with pyro.plate("rows", 3):
    ...         pyro.sample("bits", dist.Bernoulli(torch.full((2,), 0.5)).to_event(1))
    >>> every_value(model, model, (), {})["bits"].shape
    torch.Size([4, 3, 2])
    """
    with unobserved(model, guide), torch.no_grad(), pyro.validation_enabled(False):
        run = run_pair(with_flat_priors(model), guide, Setting(args, dict(kwargs)))
        table = tabulate(run)
        if table.subsamples:
            return None
        drawn = [site for site in table.latent if site.name in run.guide and not site.deterministic]
        shared = _shared(list(table.sites.values()))
        supports = [_support(run.guide[site.name]["fn"]) for site in drawn]
        if not drawn or any(support is None for support in supports):
            return None
        return _product(list(zip(drawn, supports, strict=True)), shared, most)  # type: ignore[arg-type]


def _shared(sites: list[Site]) -> set[str]:
    """The vectorised plates around every factor."""
    factors = [factor for site in sites for factor in (site.log_p, site.log_q) if factor is not None]
    return set.intersection(*({plate.name for plate in factor.axes} for factor in factors)) if factors else set()


def _support(fn: Any) -> Tensor | None:
    """The values of one entry, ``[n, *event of the entry]``."""
    while type(fn).__name__ in ("Independent", "ExpandedDistribution", "MaskedDistribution"):
        fn = fn.base_dist
    if not getattr(fn, "has_enumerate_support", False):
        return None
    values = fn.enumerate_support(expand=False)
    return values.reshape(len(values), *fn.event_shape)


def _product(sites: list[tuple[Site, Tensor]], shared: set[str], most: int) -> dict[str, Tensor] | None:
    entries = []
    for site, support in sites:
        axes = [plate for plate in site.plates if plate.vectorized]
        rows = math.prod(plate.size for plate in axes if plate.name in shared)
        entries.append(site.value.numel() // (rows * math.prod(support.shape[1:])))
    count = 1
    for (site, support), number in zip(sites, entries, strict=True):
        count *= len(support) ** number
        if count > most or count * site.value.numel() > MOST_NUMBERS:
            return None
    choices = [range(len(support)) for (_, support), number in zip(sites, entries, strict=True) for _ in range(number)]
    chosen = torch.tensor(list(itertools.product(*choices))).reshape(count, -1).split(entries, 1)
    return {
        site.name: _placed(support[index.to(support.device)], site, shared)
        for (site, support), index in zip(sites, chosen, strict=True)
    }


def _placed(values: Tensor, site: Site, shared: set[str]) -> Tensor:
    """``[S, entries, *event of an entry]`` as ``[S, *plates, *event]``, the same in every shared row."""
    axes = [plate for plate in site.plates if plate.vectorized]
    event = site.value.shape[1 + len(axes) :]
    sizes = [1 if plate.name in shared else plate.size for plate in axes]
    full = [plate.size for plate in axes]
    return values.reshape(len(values), *sizes, *event).expand(len(values), *full, *event).contiguous()
