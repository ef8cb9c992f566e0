"""``Dream``: draw latents and data from the model, and score those latents under the guide at those data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import ImproperUniform
from pyro.infer.autoguide import AutoGuide
from pyro.ops.provenance import ProvenanceTensor, detach_provenance, get_provenance
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError, ModelError
from pyro_vae.particles.data import Dream, Factor, Particles, with_fields
from pyro_vae.particles.dependencies import UNTRACKABLE
from pyro_vae.particles.handlers import is_delta, is_function, is_subsample
from pyro_vae.particles.packing import make_factor
from pyro_vae.particles.runs import Run, Setting, run_pair
from pyro_vae.particles.table import tabulate


def add_dreams(particles: Particles, model: Callable, guide: Callable, setting: Setting, dream: Dream) -> Particles:
    """The table with ``log_q_dreamt`` of the guide's sites, ``[dreams, *plates]``.

    Dreams are drawn one at a time: a guide that reads data cannot be expected to read data with a particle axis.
    """
    rows: list[dict[str, Factor]] = []
    for _ in range(dream.count):
        with torch.no_grad():
            dreamt = run_pair(model, None, setting, draw_observations=True)
        rows.append(_scored(guide, dreamt, setting, dream))
    fields = {}
    for name in {name for row in rows for name in row}:
        if name not in particles.sites or any(name not in row for row in rows):
            raise EstimatorError(
                f"Site '{name}' is in some runs of the guide and not in others: dreams need a guide whose sites do not "
                "depend on data or values. Use WakeWake()."
            )
        factors = [row[name] for row in rows]
        log_prob = torch.cat([factor.log_prob for factor in factors])
        fields[name] = {"log_q_dreamt": replace(factors[0], log_prob=log_prob)}
    return with_fields(particles, fields)


def check_dream(model: Callable, guide: Callable, run: Run, dream: Dream) -> None:
    """Raise :class:`~pyro_vae.errors.EstimatorError` naming the site or argument that makes dreaming impossible."""
    owner = poutine.unwrap(guide)
    if isinstance(owner, (AutoGuide, Messenger)):
        raise EstimatorError(
            f"{type(owner).__name__} is an automatic guide, which ignores its arguments: what is dreamt would not "
            "reach it. Write a guide that computes q(z | x) from x, or use WakeWake()."
        )
    for name, site in run.model.items():
        fn = site["fn"]
        while hasattr(fn, "base_dist"):
            fn = fn.base_dist
        if isinstance(fn, ImproperUniform) or type(fn).__name__ == "Unit":
            what = "a flat prior" if isinstance(fn, ImproperUniform) else "a factor"
            raise EstimatorError(f"Site '{name}' of the model is {what}, of which there are no draws: use WakeWake().")
    for name, site in run.guide.items():
        if name not in run.model or is_delta(site["fn"]):
            what = "auxiliary" if name not in run.model else "a point mass"
            raise EstimatorError(
                f"Site '{name}' of the guide is {what}: a dream has no value with a density for it. Use WakeWake()."
            )
    _check_that_the_guide_looks(model, guide, run.setting, dream)


def _check_that_the_guide_looks(model: Callable, guide: Callable, setting: Setting, dream: Dream) -> None:
    """Tag the dreamt data and see whether the tag reaches a density: a weight that starts at zero still carries it."""
    dreamt = run_pair(model, None, setting, draw_observations=True)
    pairs = _pairs(guide, setting, dreamt, dream)
    at = _at(guide, dreamt, setting, dream, lambda value, argument: ProvenanceTensor(value, frozenset({argument})))
    try:
        trace = at.trace(guide, "guide")
        reached = [get_provenance(trace.nodes[name]["fn"].log_prob(value)) for name, value in _drawn(trace)]
    except (ModelError, *UNTRACKABLE):
        return  # it cannot be told
    if not frozenset().union(*reached):
        arguments = ", ".join(f"'{argument}'" for _, argument in pairs)
        raise EstimatorError(
            f"The guide ignores its argument {arguments}: it gives the same density whatever was observed, so there is "
            "nothing to learn from dreams. Compute its parameters from the data, or use WakeWake()."
        )


def _drawn(trace: Any) -> list[tuple[str, Tensor]]:
    """The guide's sample sites and their values, without tags."""
    sites = [(name, site) for name, site in trace.nodes.items() if site["type"] == "sample" and not is_subsample(site)]
    return [(name, detach_provenance(site["value"])) for name, site in sites]


def _scored(guide: Callable, dreamt: Run, setting: Setting, dream: Dream) -> dict[str, Factor]:
    """log q of the dreamt latents at the dreamt data."""
    trace = _at(guide, dreamt, setting, dream).trace(guide, "guide")
    return {name: make_factor(trace.nodes[name], None, 1) for name, _ in _drawn(trace)}


def _at(guide: Callable, dreamt: Run, setting: Setting, dream: Dream, wrap: Callable | None = None) -> Setting:
    """Where the guide is run: dreamt latents, and dreamt values in place of the arguments that hold the data."""
    bound = _signature(guide).bind(*setting.args, **setting.kwargs)
    for name, argument in _pairs(guide, setting, dreamt, dream):
        owner = bound.arguments
        if argument not in owner:  # among **kwargs
            rest = next(key for key, value in owner.items() if isinstance(value, dict) and argument in value)
            owner[rest] = dict(owner[rest])
            owner = owner[rest]
        value = _as_argument(name, argument, dreamt.model[name]["value"], owner[argument])
        owner[argument] = value if wrap is None else wrap(value, argument)
    table = tabulate(dreamt)
    values = {site.name: site.value for site in table.latent}
    return replace(setting, args=bound.args, kwargs=bound.kwargs, values=values, subsamples=table.subsamples)


def _as_argument(name: str, argument: str, value: Tensor, real: Any) -> Tensor:
    if not isinstance(real, Tensor) or real.shape != value.shape:
        got = tuple(real.shape) if isinstance(real, Tensor) else type(real).__name__
        raise EstimatorError(
            f"Site '{name}' is dreamt with shape {tuple(value.shape)}, but the guide's argument '{argument}' is {got}: "
            "the dream takes the argument's place, so both need the same shape. Give model and guide the rows of the "
            "plate as that argument (pyro.plate(..., subsample=batch))."
        )
    return value.to(real.dtype)


def _pairs(guide: Callable, setting: Setting, dreamt: Run, dream: Dream) -> tuple[tuple[str, str], ...]:
    """(site, argument) as asked for; where nothing was asked, every observed site with an argument of its name."""
    drawn = [
        name for name, site in dreamt.model.items() if site["infer"].get("_drawn_observation") and not is_function(site)
    ]
    arguments = _argument_names(guide, setting)
    known, has = ", ".join(drawn) or "nothing", ", ".join(arguments) or "none"
    if dream.observed is None:
        pairs = tuple((name, name) for name in drawn if name in arguments)
        if pairs:
            return pairs
        raise EstimatorError(
            f"WakeSleep: the model observes {known} and the guide has the arguments {has}: none has the name of an "
            "observed site. Say which is which, such as observed={'x': 'images'}."
        )
    for name, argument in dream.observed:
        if name not in drawn:
            raise EstimatorError(f"WakeSleep(observed=...): the model does not observe '{name}'; it observes {known}.")
        if argument not in arguments:
            raise EstimatorError(
                f"WakeSleep(observed=...): the guide has no argument '{argument}' for site '{name}'; it has {has}."
            )
    return dream.observed


def _argument_names(guide: Callable, setting: Setting) -> list[str]:
    signature = _signature(guide)
    names = []
    for name, value in signature.bind(*setting.args, **setting.kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            names += list(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            names.append(name)
    return names


def _signature(guide: Callable) -> inspect.Signature:
    owner = poutine.unwrap(guide)
    return inspect.signature(owner.forward if isinstance(owner, nn.Module) else owner)
