"""Where an automatic guide starts: the prior's median, a feasible point where there is none, or given values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.infer.autoguide.initialization import init_to_median
from torch import Tensor
from torch.distributions import transform_to

from pyro_vae.errors import OptionError

Start = Callable[[dict], Tensor]


def init_to_start(site: dict | None = None) -> Any:
    """The default start of a site: the median of 15 prior draws, or a feasible point where the prior has no median.

    A flat prior (``ImproperUniform``) and a multivariate site start at 0 on the unconstrained scale. Like Pyro's
    strategies, called without a site it returns itself.

    >>> import pyro, pyro.distributions as dist
    >>> pyro.set_rng_seed(0)
    >>> flat = dist.ImproperUniform(dist.constraints.positive, (), (2,))
    >>> init_to_start({"name": "z", "fn": flat})
    tensor([1., 1.])
    """
    if site is None:
        return init_to_start
    try:
        return init_to_median(site, fallback=_feasible)
    except NotImplementedError:
        return _feasible(site)


def init_from(init: Mapping[str, Any] | Callable | None) -> Start:
    """A Pyro initialisation strategy from what a person gave: ``{site: value}``, a strategy of Pyro's, or None.

    Values are broadcast to the site's shape; sites that the dict does not name start as :func:`init_to_start` says. A
    value outside the site's support is an :class:`~pyro_vae.errors.OptionError` naming the site.
    """
    if init is None:
        return init_to_start
    if isinstance(init, Mapping):
        return functools.partial(_given, values=dict(init))
    if callable(init):
        return init
    raise OptionError(
        f"init: expected a dict of site -> value or an initialisation function, got {type(init).__name__}."
    )


def _feasible(site: dict) -> Tensor:
    """0 on the unconstrained scale, without drawing from the prior."""
    fn = site["fn"]
    transform = transform_to(fn.support)
    shape = transform.inverse_shape(fn.shape())
    return transform(torch.zeros(shape))


def _given(site: dict, values: dict[str, Any]) -> Tensor:
    start = init_to_start(site)
    if site["name"] not in values:
        return start
    value = torch.as_tensor(values[site["name"]], dtype=start.dtype, device=start.device)
    try:
        value = value.expand(start.shape).clone()
    except RuntimeError as error:
        raise OptionError(
            f"init for site '{site['name']}': expected a shape that broadcasts to {tuple(start.shape)}, "
            f"got {tuple(value.shape)}."
        ) from error
    if not bool(site["fn"].support.check(value).all()):
        raise OptionError(
            f"init for site '{site['name']}': expected values in the site's support {site['fn'].support}, "
            f"got {value.tolist()}."
        )
    return value
