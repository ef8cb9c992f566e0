"""Which latent sites a model has, of what shape, and on what support: found once, before any density is evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import ComposeTransform, Distribution, IndependentTransform, Transform, biject_to

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Plate
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.tracing import run_model


@dataclass(frozen=True)
class LatentSite:
    """A continuous latent site: ``shape`` is ``[*plates, *event]``, ``size`` its numbers on the unconstrained scale.

    ``transform`` maps those to the support, as it was at the first look; ``fixed`` says that it is always the same.
    """

    name: str
    shape: tuple[int, ...]
    unconstrained: tuple[int, ...]
    transform: Transform
    fixed: bool = True

    @property
    def size(self) -> int:
        """How many unconstrained numbers the site takes."""
        return math.prod(self.unconstrained)


@dataclass(frozen=True)
class Latents:
    """A model's continuous latent sites in order, the discrete ones that are to be summed over, and its plates."""

    sites: tuple[LatentSite, ...]
    discrete: tuple[str, ...]
    plan: Plan


def find_latents(model: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Latents:
    """Look at the model twice, at different prior draws. The caller takes care of the global state.

    Raises: :class:`~pyro_vae.errors.ModelError` for a model without latent sites, with a subsampled plate, or with a
    discrete site that cannot be summed over; it names the site or plate.
    """
    plan = plan_pair(model, None, args, kwargs, vectorize=False)
    first, discrete = _look(model, args, kwargs, plan)
    second, _ = _look(model, args, kwargs, plan)
    if not first:
        hint = f", only discrete ones ({', '.join(discrete)})" if discrete else ""
        raise ModelError(f"The model has no continuous latent site{hint}: there is nothing for NUTS to sample.")
    if set(first) != set(second):
        name = sorted(set(first) ^ set(second))[0]
        raise ModelError(
            f"Site '{name}' is not in every run of the model: expected the same latent sites whatever their values. "
            "Sample it always, and use or ignore its value."
        )
    sites = tuple(replace(site, fixed=_same(site.transform, second[name].transform)) for name, site in first.items())
    return Latents(sites, discrete, plan)


def _look(
    model: Callable, args: tuple, kwargs: Mapping[str, Any], plan: Plan
) -> tuple[dict[str, LatentSite], tuple[str, ...]]:
    """The continuous latent sites and the names of the discrete ones, in one run at draws from the prior."""
    sites: dict[str, LatentSite] = {}
    discrete: list[str] = []

    def describe(name: str, fn: Any, plates: tuple[Plate, ...]) -> None:
        if is_discrete(fn):
            discrete.append(_enumerable(name, fn))
        elif not is_delta(fn):
            sites[name] = _describe(name, fn, plates)

    with pyro.validation_enabled(False):  # data may be impossible at a draw from the prior
        run = run_model(model, args, kwargs, values=describe, plan=plan)
    if run.subsamples:
        raise ModelError(_subsampled(sorted(run.subsamples)))
    return sites, tuple(discrete)


def is_discrete(fn: Any) -> bool:
    """Whether a distribution is over integers or categories."""
    try:
        return bool(fn.support.is_discrete)
    except NotImplementedError:
        return bool(getattr(fn, "has_enumerate_support", False))


def bijection(name: str, fn: Distribution) -> Transform:
    """The map from the unconstrained numbers to the site's support."""
    try:
        return biject_to(fn.support)  # type: ignore[arg-type]
    except NotImplementedError:
        raise ModelError(
            f"Site '{name}' ({type(fn).__name__}): its support has no smooth map from the real numbers, so that NUTS "
            "and unconstrained guides cannot move on it. Write the site through others (as the direction of a Normal, "
            "for example) with pyro.deterministic."
        ) from None


def _same(one: Transform, other: Transform) -> bool:
    """Equality that looks into compositions, which torch compares by identity."""
    if isinstance(one, IndependentTransform) and isinstance(other, IndependentTransform):
        return _same(one.base_transform, other.base_transform)
    if isinstance(one, ComposeTransform) and isinstance(other, ComposeTransform):
        return len(one.parts) == len(other.parts) and all(map(_same, one.parts, other.parts))
    return one == other


def _describe(name: str, fn: Any, plates: tuple[Plate, ...]) -> LatentSite:
    transform = bijection(name, fn)
    axes = tuple(plate.size for plate in plates if plate.vectorized)
    event = tuple(fn.event_shape)
    free = tuple(transform.inverse_shape(torch.Size(axes + event)))
    return LatentSite(name, axes + event, free, transform)


def _enumerable(name: str, fn: Any) -> str:
    if getattr(fn, "has_enumerate_support", False):
        return name
    raise ModelError(
        f"Site '{name}' ({type(fn).__name__}) is discrete with infinitely many values: NUTS cannot move on it, and it "
        "cannot be summed over. Integrate it out by hand, give it a bounded support (a Categorical), or fit a guide "
        "for it instead."
    )


def _subsampled(plates: list[str]) -> str:
    return (
        f"Plate '{plates[0]}' takes a random part of its rows: NUTS needs the density of all data. "
        "Call the model with all rows (drop `subsample_size`, or make it an argument and set it to None)."
    )


def read(site: LatentSite, free: Tensor, fn: Distribution, width: int) -> tuple[Tensor, Tensor]:
    """Unconstrained numbers ``[K, size]`` as the site's value ``[K, *plates, *event]``, and the log-Jacobian ``[K]``.

    ``width`` is the number of batch dims that are plates' or particles'; dims left of them belong to enumerated sites.
    """
    transform = bijection(site.name, fn)
    count = len(free)
    batch = tuple(fn.batch_shape)[max(len(fn.batch_shape) - width, 0) :]
    shape = torch.Size(batch + tuple(fn.event_shape))
    unconstrained = free.reshape(transform.inverse_shape(shape))
    value = transform(unconstrained)
    if value.numel() != count * math.prod(site.shape):
        raise ModelError(
            f"Site '{site.name}': expected a value of shape {site.shape} in every run, got {tuple(value.shape)}. Its "
            "shape, or its support, changes with another site (a discrete one, perhaps). NUTS needs a fixed number of "
            "parameters."
        )
    log_jacobian = transform.log_abs_det_jacobian(unconstrained, value)
    return value.reshape(count, *site.shape), log_jacobian.reshape(count, -1).sum(1)
