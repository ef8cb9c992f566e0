"""Findings about values where there is no density: the guide's draws, and the data."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.particles.checks import (
    base_support,
    describe_support,
    first_outside,
    latent_sites,
    moving_supports,
    unfit_supports,
)
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.runs import run_pair
from pyro_vae.studies.checking.densities import refused_parameters
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look, is_factor
from pyro_vae.studies.checking.source import Where, with_argument


def unfit(look: Look) -> Iterator[Finding]:
    """The guide draws values that the model's distribution cannot have."""
    if look.pair is None or look.guide is None or any(refused_parameters(look.of_guide)):
        return
    for fault in unfit_supports(look.pair):
        if look.has("shape", "event", site=fault.site):
            continue
        where = look.of_guide.where(fault.site)
        yield Finding(
            fault.what,
            fault.instead,
            site=fault.site,
            where=where,
            line=where and _as_log_normal(where, look.pair.model[fault.site]["fn"].support),
        )


def _as_log_normal(where: Where, support: object) -> str | None:
    """The guide's Normal as the LogNormal of the same parameters, for a positive site."""
    positive = isinstance(base_support(support), (type(constraints.positive), type(constraints.nonnegative)))
    if not positive or "dist.Normal(" not in where.call:
        return None
    return where.corrected(with_argument(1, lambda fn: fn.replace("dist.Normal(", "dist.LogNormal(", 1)))


def of_another_kind(look: Look) -> Iterator[Finding]:
    """One of the two is discrete, the other is not."""
    if look.pair is None or look.guide is None:
        return
    for name, site in latent_sites(look.pair).items():
        other = look.pair.guide.get(name)
        if other is None or is_delta(other["fn"]) or is_delta(site["fn"]):
            continue
        kinds = [_is_discrete(part["fn"]) for part in (site, other)]
        if None in kinds or kinds[0] == kinds[1]:
            continue
        words = ["discrete" if kind else "continuous" for kind in kinds]
        yield Finding(
            f"Site '{name}' is {words[0]} in the model ({type(site['fn']).__name__}) and {words[1]} in the guide "
            f"({type(other['fn']).__name__}).",
            f"Draw it in the guide from a {words[0]} distribution, such as the model's {type(site['fn']).__name__}.",
            site=name,
            where=look.of_guide.where(name),
        )


def _is_discrete(fn: object) -> bool | None:
    try:
        return bool(fn.support.is_discrete)  # type: ignore[attr-defined]
    except (NotImplementedError, AttributeError):
        return None


def moving(look: Look) -> Iterator[Finding]:
    """A support depends on another site, and an automatic guide fixed it."""
    if look.run is None or look.guide is None or look.has("missing-site", "misspelt-site"):
        return
    run = look.run
    for fault in moving_supports(run, lambda: run_pair(look.model, look.guide, run.setting)):
        yield Finding(fault.what, fault.instead, site=fault.site, where=look.of_model.where(fault.site))


def data_outside(look: Look) -> Iterator[Finding]:
    """Observed values that their distribution cannot have."""
    for name, one in look.observed.items():
        value = one.message["value"]
        if look.has("data") or not isinstance(value, Tensor) or is_delta(one.fn) or is_factor(one.fn):
            continue
        try:
            support = one.fn.support
            outside = first_outside(support, value[_seen_rows(one.message["mask"], value)])
        except (NotImplementedError, AttributeError, IndexError, RuntimeError):
            continue
        base = base_support(support)
        if outside is None or (base is constraints.boolean and value.min() >= 0 and value.max() <= 1):
            continue  # shares between 0 and 1 are meant by those who turn validation off, and else do not run
        yield Finding(
            f"Site '{name}' observes {outside:.4g}, which a {_family(one.fn)} cannot give: its values are "
            f"{describe_support(support)}.",
            _other_data(base, value),
            site=name,
            where=one.where,
        )


def _family(fn: object) -> str:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist  # type: ignore[attr-defined]
    return type(fn).__name__


def _seen_rows(mask: object, value: Tensor) -> Tensor | slice:
    """The rows that a mask leaves, where it is of the value's shape."""
    return mask if isinstance(mask, Tensor) and mask.shape == value.shape[: mask.dim()] and mask.dim() else slice(None)


def _other_data(support: object, value: Tensor) -> str:
    if isinstance(support, (constraints.integer_interval, type(constraints.boolean))):
        low, high = (
            int(getattr(support, "lower_bound", 0)),
            int(torch.as_tensor(getattr(support, "upper_bound", 1)).max()),
        )
        whole = bool((value == value.round()).all())
        if whole and value.min() == low + 1 and value.max() == high + 1:
            return "The labels start at 1: subtract 1 from the data."
        return f"Turn the data into whole numbers from {low} to {high}, or use another distribution."
    if isinstance(support, type(constraints.nonnegative_integer)):
        return "Counts are whole numbers from 0: use the raw counts, or a continuous distribution such as Normal."
    if isinstance(support, type(constraints.positive)):
        return "Use a distribution on all real numbers such as Normal or StudentT, or data that are positive."
    return (
        "Transform the data into that range, or use a distribution whose support holds them; where the range depends "
        "on a latent site, start the guide where it holds the data (init={...} of pv.fit)."
    )
