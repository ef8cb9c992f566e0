"""Does this guide belong to this model? Said once, before the first draw, with the site and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.errors import ModelError
from pyro_vae.particles.enumerated import is_marked
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.runs import Run

_PROBES = 64  # draws of a site that are held against the model's support


@dataclass(frozen=True)
class Fault:
    """What is wrong with a site, and what to write instead; ``near`` is a name that may have been meant."""

    site: str
    what: str
    instead: str
    near: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.instead}"


def check_pair(run: Run, rerun: Callable[[], Run]) -> None:
    """Raise :class:`~pyro_vae.errors.ModelError` for missing or extra sites, unfit supports and shapes."""
    _refuse(missing_sites(run))
    _refuse(extra_sites(run))
    _refuse(ignored_options(run))
    _refuse(unfit_shapes(run))
    _refuse(moving_supports(run, rerun))
    _refuse(unfit_supports(run))


def _refuse(faults: Iterator[Fault]) -> None:
    first = next(faults, None)
    if first is None:
        return
    others = [fault.site for fault in faults]
    more = f" The same holds for {_names(others)}." if others else ""
    raise ModelError(f"{first}{more}")


def latent_sites(run: Run) -> dict[str, Any]:
    """The model's latent sites that the guide has to draw: those that the model sums out are not among them."""
    return {
        name: site
        for name, site in run.model.items()
        if not site["is_observed"] and (name in run.guide or not is_marked(site))
    }


def _shared(run: Run) -> Iterator[tuple[str, Any, Any]]:
    """Latent sites that both have, with the model's and the guide's message."""
    for name, site in latent_sites(run).items():
        if name in run.guide:
            yield name, site, run.guide[name]


def _guide_only(run: Run) -> list[str]:
    latent = latent_sites(run)
    return [
        name
        for name, site in run.guide.items()
        if name not in latent and not site["infer"].get("is_auxiliary") and not site["infer"].get("_deterministic")
    ]


def missing_sites(run: Run) -> Iterator[Fault]:
    """Latent sites of the model that the guide does not draw."""
    drawn = {name for name, site in run.guide.items() if not site["is_observed"]}
    unknown = [name for name in _guide_only(run) if name not in run.model]
    for name, site in latent_sites(run).items():
        if name in drawn:
            continue
        near = next(iter(difflib.get_close_matches(name, unknown, 1)), "")
        hint = f" The guide has '{near}', which the model lacks: is it the same site?" if near else ""
        if getattr(site["fn"], "has_enumerate_support", False):
            hint += " Or let the model sum it out exactly: give its `pyro.sample` `infer={'enumerate': 'parallel'}`."
        yield Fault(
            name,
            f"The guide lacks the model's latent site '{name}'.",
            f"Write a `pyro.sample('{name}', ...)` in the guide, with the support of the model's "
            f"{type(site['fn']).__name__}.{hint}",
            near,
        )


def extra_sites(run: Run) -> Iterator[Fault]:
    """Sites of the guide that are not latent sites of the model."""
    for name in _guide_only(run):
        state = "observes it" if name in run.model else "has no such site"
        yield Fault(
            name,
            f"The guide samples '{name}' but the model {state}.",
            "Remove it from the guide, or, if it is a helper variable of the guide alone, mark it with "
            "`infer={'is_auxiliary': True}`.",
        )


def ignored_options(run: Run) -> Iterator[Fault]:
    """Options of Pyro's that would be ignored here are said, not dropped."""
    for name, site in run.guide.items():
        if site["infer"].get("baseline"):
            yield Fault(
                name,
                f"Site '{name}' has `infer={{'baseline': ...}}`, which only Pyro's TraceGraph_ELBO reads.",
                "Take it out and choose the baseline in the estimator: ScoreFunction(baseline='moving-average'), or "
                "ScoreFunction(baseline=Network()) with `infer={'baseline_input': x}` at the site.",
            )


def _names(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def unfit_shapes(run: Run) -> Iterator[Fault]:
    """Values of the guide that are not of the model's shape, leading ones aside."""
    for name, model, guide in _shared(run):
        value, fn = guide["value"], model["fn"]
        expected = torch.Size(fn.batch_shape + fn.event_shape)
        if without_leading_ones(value.shape) != without_leading_ones(expected):
            yield Fault(
                name,
                f"Site '{name}': the guide's value has shape {tuple(value.shape)}, the model expects "
                f"{tuple(expected)} (batch {tuple(fn.batch_shape)}, event {tuple(fn.event_shape)}).",
                "Give the guide's distribution the same plates and `.to_event()`.",
            )


def without_leading_ones(shape: torch.Size | tuple[int, ...]) -> tuple[int, ...]:
    """A shape as broadcasting sees it."""
    return tuple(shape)[next((i for i, size in enumerate(shape) if size != 1), len(shape)) :]


def unfit_supports(run: Run) -> Iterator[Fault]:
    """The guide's draws must lie where the model has density. Point masses are held to their one value."""
    for name, model, guide in _shared(run):
        support = getattr(model["fn"], "support", None)
        if support is None:
            continue
        values = guide["value"]
        if not is_delta(guide["fn"]):
            values = guide["fn"].sample((_PROBES,))
        outside = first_outside(support, values)
        if outside is not None:
            yield Fault(
                name,
                f"Site '{name}': the guide's {type(guide['fn']).__name__} gives values outside the model's support "
                f"({describe_support(support)}), for example {outside:.4g}.",
                _remedy(support),
            )


def first_outside(support: Any, values: Tensor) -> float | None:
    """The first value that is not in a support; None where all are, or where it cannot be told."""
    try:
        inside = support.check(values)
    except (NotImplementedError, RuntimeError):
        return None
    if bool(inside.all()):
        return None
    if inside.dim() < values.dim():  # no event dims: ask for each entry where it can be told, else repeat
        entries = base_support(support).check(values)
        inside = entries if entries.shape == values.shape else inside[(...,) + (None,) * (values.dim() - inside.dim())]
    return values[~inside.expand(values.shape)].flatten()[0].item()


def describe_support(support: Any) -> str:
    """A support, or a constraint, in words.

    >>> describe_support(constraints.positive), describe_support(constraints.integer_interval(0, 2))
    ('above 0', 'whole numbers from 0 to 2')
    """
    base = base_support(support)
    if isinstance(base, type(constraints.boolean)):
        return "0 or 1"
    if isinstance(base, type(constraints.simplex)):
        return "probabilities that sum to 1"
    if isinstance(base, type(constraints.real)):
        return "all finite numbers"
    low, high = (_number(getattr(base, end, None)) for end in ("lower_bound", "upper_bound"))
    kind = "whole numbers " if base.is_discrete else ""
    if low and high:
        return f"{kind}from {low} to {high}"
    if low:
        if isinstance(base, constraints.greater_than):
            return f"above {low}"
        return f"{kind}from {low} on" if kind else f"{low} and above"
    return str(base).removesuffix("()")


def _number(bound: Any) -> str:
    """A bound that is the same for all entries, as text; empty where there is none."""
    if not isinstance(bound, (Tensor, float, int)):
        return ""
    values = torch.as_tensor(bound).detach().flatten().unique()
    return f"{values[0].item():.4g}" if len(values) == 1 else ""


def base_support(support: Any) -> Any:
    """The support of one entry."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support


def _remedy(support: Any) -> str:
    support = base_support(support)
    if support in (constraints.positive, constraints.nonnegative) or isinstance(support, type(constraints.positive)):
        return "Use a LogNormal or Gamma in the guide."
    if isinstance(support, constraints.interval):
        return "Use a Beta, Kumaraswamy or transformed Normal with that range in the guide."
    return "Use a distribution with the model's support in the guide."


def moving_supports(run: Run, rerun: Callable[[], Run]) -> Iterator[Fault]:
    """A support that moves with another site cannot be mapped to by a guide that fixed its transform at the start."""
    other = None
    for name, site, guide in _shared(run):
        bounds = _bounds(getattr(site["fn"], "support", None))
        if not bounds or not is_delta(guide["fn"]):
            continue
        other = other or rerun()
        again = _bounds(other.model[name]["fn"].support)
        if all(torch.equal(a, b) for a, b in zip(bounds, again, strict=True)):
            continue
        low, high = ("low", "high") if len(bounds) == 2 else ("bound", "bound")
        yield Fault(
            name,
            f"Site '{name}': its support ({describe_support(site['fn'].support)}) depends on another site, and an "
            "autoguide fixes its transform at the start.",
            f"Write the site on a fixed support and scale it, for example for Uniform({low}, {high}): "
            f"`u = pyro.sample('{name}_unit', dist.Uniform(0., 1.))` then "
            f"`{name} = pyro.deterministic('{name}', {low} + ({high} - {low}) * u)`; NUTS can take the model as it is.",
        )


def _bounds(support: Any) -> list[Tensor]:
    """The numbers that a constraint was made with."""
    support = base_support(support)
    if support is None:
        return []
    return [
        torch.as_tensor(getattr(support, attribute))
        for attribute in ("lower_bound", "upper_bound")
        if isinstance(getattr(support, attribute, None), (Tensor, float, int))
    ]
