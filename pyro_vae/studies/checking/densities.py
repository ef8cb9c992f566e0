"""Findings about densities at the start: parameters that are not allowed, -inf and NaN, gradients that are NaN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.particles.checks import describe_support
from pyro_vae.particles.handlers import is_delta, is_function
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.source import with_argument
from pyro_vae.studies.checking.visiting import Statement, Visit

_FAR = 20.0  # robust standard deviations of the prior's data
_WIDE = 1e3  # prior's spread of the data over the data's own
_IMPROPER = 1e4  # a prior of this scale says nothing at all


def refused_parameters(visit: Visit) -> Iterator[tuple[Statement, str, Tensor, Any]]:
    """Parameters of distributions that are not in their domain: statement, name, value, constraint."""
    statements = [*visit.samples]
    known = {id(one.message) for one in statements}
    if visit.failing is not None and id(visit.failing) not in known and visit.failing["type"] == "sample":
        statements.append(Statement(visit.failing, visit.failed_at))
    for one in statements:
        if is_function(one.message):
            continue
        fn = one.fn
        while fn is not None:
            for name, constraint in getattr(fn, "arg_constraints", {}).items():
                value = vars(fn).get(name)  # what was given, not what is computed from it
                if isinstance(value, Tensor) and not _holds(constraint, value):
                    yield one, name, value, constraint
            fn = getattr(fn, "base_dist", None)


def _holds(constraint: Any, value: Tensor) -> bool:
    if constraints.is_dependent(constraint):
        return True
    try:
        return bool(constraint.check(value.detach()).all())
    except (NotImplementedError, RuntimeError):
        return True


def bad_parameter(look: Look) -> Iterator[Finding]:
    """A distribution was given a parameter that it cannot have."""
    for visit in look.visits:
        if visit.role == "model" and look.has("support"):
            continue  # computed from a value that the guide should not draw
        for one, name, value, constraint in refused_parameters(visit):
            worst = value.detach()[~constraint.check(value.detach())] if value.dim() else value.detach()
            example = worst.flatten()[0].item() if worst.numel() else float("nan")
            yield Finding(
                f"In the {visit.role} the {type(one.fn).__name__} of site '{one.name}' has {name} = {example:.4g}, "
                f"which must be {_in_words(constraint)}.",
                _mended(name, constraint),
                site=one.name,
                where=one.where,
            )


def _in_words(constraint: Any) -> str:
    return "finite, and not NaN" if "Real" in str(constraint) else describe_support(constraint)


def _mended(name: str, constraint: Any) -> str:
    text = str(constraint)
    if "GreaterThan" in text:
        return (
            f"Make it positive: pyro.param(..., constraint=constraints.positive) for a parameter, or "
            f"torch.nn.functional.softplus({name}) + 1e-6 for the output of a net; check starting values and data for "
            "zeros."
        )
    if "Interval" in text:
        return f"Use torch.sigmoid({name}), or give the distribution logits= instead of probs=."
    if "Simplex" in text:
        return f"Use torch.softmax({name}, -1), or give the distribution logits= instead of probs=."
    return "Look at what it is computed from: a log, a square root or a division at 0, or NaN in the data."


def impossible(look: Look) -> Iterator[Finding]:
    """A log-density is NaN or infinite at the start."""
    for (role, name), value in look.log_probs.items():
        if role == "model" and look.has("support"):
            continue  # at a value that the guide should not draw
        visit = look.of_guide if role == "guide" else look.of_model
        if (
            look.has("data")
            or _finite(value)
            or look.has("bad-parameter", "data-outside-support", "support", site=name)
        ):
            continue
        bad = value.detach()[~torch.isfinite(value.detach())].flatten()[0].item()
        rows = int((~torch.isfinite(value)).sum())
        yield Finding(
            f"The {role}'s site '{name}' has log-density {bad} at the start, in {rows} of {value.numel()} entries.",
            "Look at its parameters at the guide's first draws and at its data: start the guide where the data are "
            "possible (init={...} of pv.fit), and keep scales and probabilities away from 0.",
            site=name,
            where=visit.where(name),
        )


def nan_gradient(look: Look) -> Iterator[Finding]:
    """All densities are finite, and a derivative is not."""
    if look.run is None or look.has("density", "bad-parameter", "data"):
        return
    broken = {name: value for name, value in look.gradients.items() if value is not None and not _finite(value)}
    for parameter in broken:
        sites = [name for (_, name), value in look.log_probs.items() if _breaks(value, look.seen.leaves[parameter])]
        at = f" It comes from site '{sites[0]}'." if sites else ""
        yield Finding(
            f"The gradient of parameter '{parameter}' is NaN or infinite at the start, though every density is "
            f"finite.{at}",
            "Look for sqrt, log, a norm or a division at 0 before that site: clamp its argument (x.clamp(min=1e-6)), "
            "also in the branch that torch.where throws away.",
            site=sites[0] if sites else None,
            parameter=parameter,
            where=look.of_model.where(sites[0]) or look.of_guide.where(sites[0]) if sites else None,
        )


def _breaks(value: Tensor, leaf: Tensor) -> bool:
    if not value.requires_grad:
        return False
    [found] = torch.autograd.grad(value.sum(), [leaf], allow_unused=True, retain_graph=True)
    return found is not None and not _finite(found)


def _finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def flat(look: Look) -> Iterator[Finding]:
    """A prior that is improper, or nearly so."""
    for name, one in look.latent.items():
        fn = one.fn
        while type(fn).__name__ in ("Independent", "MaskedDistribution", "ExpandedDistribution"):
            fn = fn.base_dist
        if type(fn).__name__ in ("FlatPrior", "ImproperUniform"):
            said = "is flat (ImproperUniform), which is no probability distribution"
        elif (width := _width(fn)) >= _IMPROPER:
            said = f"has a scale of {width:.3g}, which is as good as flat"
        else:
            continue
        yield Finding(
            f"The prior of site '{name}' {said}.",
            "Give it a prior of the size that you would believe, such as dist.Normal(0.0, 10.0).",
            site=name,
            where=one.where,
            line=one.where and one.where.corrected(with_argument(1, lambda _: "dist.Normal(0.0, 10.0)")),
        )


def _width(fn: Any) -> float:
    if type(fn).__name__ in ("Normal", "Cauchy", "StudentT", "HalfNormal", "HalfCauchy", "Laplace"):
        return float(torch.as_tensor(fn.scale).detach().max())
    if type(fn).__name__ == "Uniform":
        return float((torch.as_tensor(fn.high) - torch.as_tensor(fn.low)).detach().max()) / 4
    return 0.0


def improper_posterior(look: Look) -> Iterator[Finding]:
    """A flat prior, and no datum that says anything about the site."""
    for name, one in look.latent.items():
        value = one.message["value"]
        base = one.fn
        while type(base).__name__ in ("Independent", "MaskedDistribution"):
            base = base.base_dist
        if type(base).__name__ != "FlatPrior" or not (isinstance(value, Tensor) and value.requires_grad):
            continue
        others = [
            v.sum() for (role, n), v in look.log_probs.items() if role == "model" and n != name and v.requires_grad
        ]
        found = [torch.autograd.grad(v, [value], allow_unused=True, retain_graph=True)[0] for v in others]
        if all(gradient is None for gradient in found):
            yield Finding(
                f"Site '{name}' has a flat prior, and no other site depends on it.",
                "Use its value in the distribution of what is observed, or give it a proper prior, such as "
                "dist.Normal(0.0, 10.0).",
                site=name,
                where=one.where,
                line=one.where and one.where.corrected(with_argument(1, lambda _: "dist.Normal(0.0, 10.0)")),
            )


def far_from_the_prior(look: Look) -> Iterator[Finding]:
    """The data lie where the prior expects none, or in a speck of where it does."""
    if not look.sound or look.has("flat-prior") or not any(_is_measured(one.fn) for one in look.observed.values()):
        return
    drawn = look.prior_data()
    for name, one in look.observed.items():
        value = one.message["value"]
        if name not in drawn or not isinstance(value, Tensor) or is_delta(one.fn) or value.numel() < 1:
            continue
        data, prior = value.detach().double().flatten(), drawn[name].double().flatten()
        if not _is_measured(one.fn) or not _finite(data) or _is_masked(one):
            continue
        centre, spread = _robust(prior)
        away = (data.median() - centre).abs() / max(spread, 1e-300)
        own = _robust(data)[1] if data.numel() > 4 else 0.0
        ratio = spread / own if own > 0 else 0.0
        if away < _FAR and ratio < _WIDE:
            continue
        yield Finding(
            f"Site '{name}': the data are around {data.median():.3g}, and the model before it has seen data expects "
            f"them around {centre:.3g}, within {2 * spread:.3g} or so.",
            "Standardise the data, x = (x - x.mean()) / x.std(), inputs as well as outputs; or give the priors the "
            "scale of the data.",
            site=name,
            where=one.where,
        )


def _is_measured(fn: Any) -> bool:
    try:
        return not fn.support.is_discrete
    except (NotImplementedError, AttributeError):
        return False


def _is_masked(one: Statement) -> bool:
    return one.message["mask"] is not None or getattr(one.fn, "_mask", None) is not None


def _robust(values: Tensor) -> tuple[Tensor, float]:
    """Median, and the median distance from it as a standard deviation."""
    values = values[torch.isfinite(values)]
    if not len(values):
        return torch.tensor(0.0), float("inf")
    centre = values.median()
    return centre, 1.4826 * float((values - centre).abs().median())
