"""Does this guide belong to this model? Said once, before the first draw, with the site and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.errors import ModelError
from pyro_vae.particles.enumerated import is_marked
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.runs import Run

_PROBES = 64  # draws of a site that are held against the model's support


def check_pair(run: Run, rerun: Callable[[], Run]) -> None:
    """Raise :class:`~pyro_vae.errors.ModelError` for missing or extra sites, unfit supports and shapes."""
    latent = {
        name: site
        for name, site in run.model.items()
        if not site["is_observed"] and (name in run.guide or not is_marked(site))
    }
    _check_names(latent, run)
    _check_options(run)
    for name, site in latent.items():
        _check_shape(name, site, run.guide[name])
    if any(is_delta(run.guide[name]["fn"]) for name in latent):
        _check_fixed_supports(latent, run, rerun)
    for name, site in latent.items():
        _check_support(name, site, run.guide[name])


def _check_names(latent: Mapping[str, Any], run: Run) -> None:
    guide = {name for name, site in run.guide.items() if not site["is_observed"]}
    missing = [name for name in latent if name not in guide]
    extra = [
        name
        for name, site in run.guide.items()
        if name not in latent and not site["infer"].get("is_auxiliary") and not site["infer"].get("_deterministic")
    ]
    if missing:
        name = missing[0]
        near = difflib.get_close_matches(name, extra, 1)
        hint = f" The guide has '{near[0]}', which the model lacks: is it the same site?" if near else ""
        if getattr(latent[name]["fn"], "has_enumerate_support", False):
            hint += " Or let the model sum it out exactly: give its `pyro.sample` `infer={'enumerate': 'parallel'}`."
        fn = type(latent[name]["fn"]).__name__
        raise ModelError(
            f"The guide lacks the model's latent site{'s' if len(missing) > 1 else ''} {_names(missing)}: expected a "
            f"`pyro.sample('{name}', ...)` in the guide with the model's support ({fn}).{hint}"
        )
    if extra:
        name = extra[0]
        state = "observes it" if name in run.model else "has no such site"
        raise ModelError(
            f"The guide samples {_names(extra)} but the model {state}: remove it from the guide, or, if it is a helper "
            f"variable of the guide alone, mark it with `infer={{'is_auxiliary': True}}`."
        )


def _check_options(run: Run) -> None:
    """Options of Pyro's that would be ignored here are said, not dropped."""
    for name, site in run.guide.items():
        if site["infer"].get("baseline"):
            raise ModelError(
                f"Site '{name}' has `infer={{'baseline': ...}}`, which only Pyro's TraceGraph_ELBO reads. Take "
                f"it out and choose the "
                "baseline in the estimator: ScoreFunction(baseline='moving-average'), or "
                "ScoreFunction(baseline=Network()) with "
                "`infer={'baseline_input': x}` at the site."
            )


def _names(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _check_shape(name: str, model: Mapping[str, Any], guide: Mapping[str, Any]) -> None:
    value, fn = guide["value"], model["fn"]
    expected = torch.Size(fn.batch_shape + fn.event_shape)
    strip = lambda shape: tuple(shape)[next((i for i, size in enumerate(shape) if size != 1), len(shape)) :]  # noqa: E731
    if strip(value.shape) != strip(expected):
        raise ModelError(
            f"Site '{name}': the guide's value has shape {tuple(value.shape)}, the model expects "
            f"{tuple(expected)} (batch "
            f"{tuple(fn.batch_shape)}, event {tuple(fn.event_shape)}). Give the guide's distribution the same "
            f"plates and `.to_event()`."
        )


def _check_support(name: str, model: Mapping[str, Any], guide: Mapping[str, Any]) -> None:
    """The guide's draws must lie where the model has density. Point masses are held to their one value."""
    support = getattr(model["fn"], "support", None)
    if support is None:
        return
    values = guide["value"]
    if not is_delta(guide["fn"]):
        values = guide["fn"].sample((_PROBES,))
    try:
        inside = support.check(values)
    except (NotImplementedError, RuntimeError):
        return
    if bool(inside.all()):
        return
    bad = values[~_as_values(inside, values)].flatten()[0].item()
    raise ModelError(
        f"Site '{name}': the guide's {type(guide['fn']).__name__} gives values outside the model's support "
        f"({_describe(support)}), for example {bad:.4g}. {_remedy(support)}"
    )


def _as_values(inside: Tensor, values: Tensor) -> Tensor:
    """``inside`` has no event dims; repeat it over them."""
    return inside.reshape(inside.shape + (1,) * (values.dim() - inside.dim())).expand(values.shape)


def _describe(support: Any) -> str:
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return str(support).removesuffix("()")


def _remedy(support: Any) -> str:
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    if support in (constraints.positive, constraints.nonnegative) or isinstance(support, type(constraints.positive)):
        return "Use a LogNormal or Gamma in the guide."
    if isinstance(support, constraints.interval):
        return "Use a Beta, Kumaraswamy or transformed Normal with that range in the guide."
    return "Use a distribution with the model's support in the guide."


def _check_fixed_supports(latent: Mapping[str, Any], run: Run, rerun: Callable[[], Run]) -> None:
    """A support that moves with another site cannot be mapped to by a guide that fixed its transform at the start."""
    other = None
    for name, site in latent.items():
        bounds = _bounds(getattr(site["fn"], "support", None))
        if not bounds or not is_delta(run.guide[name]["fn"]):
            continue
        other = other or rerun()
        again = _bounds(other.model[name]["fn"].support)
        if all(torch.equal(a, b) for a, b in zip(bounds, again, strict=True)):
            continue
        low, high = ("low", "high") if len(bounds) == 2 else ("bound", "bound")
        raise ModelError(
            f"Site '{name}': its support ({_describe(site['fn'].support)}) depends on another site, and an "
            f"autoguide fixes its "
            f"transform at the start. Write the site on a fixed support and scale it, for example for "
            f"Uniform({low}, {high}): "
            f"`u = pyro.sample('{name}_unit', dist.Uniform(0., 1.))` then "
            f"`{name} = pyro.deterministic('{name}', {low} + ({high} - {low}) * u)`; NUTS can take the model as it is."
        )


def _bounds(support: Any) -> list[Tensor]:
    """The numbers that a constraint was made with."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    if support is None:
        return []
    return [
        torch.as_tensor(getattr(support, attribute))
        for attribute in ("lower_bound", "upper_bound")
        if isinstance(getattr(support, attribute, None), (Tensor, float, int))
    ]
