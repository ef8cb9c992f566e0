"""``Pass.RERUN``: guide and model again at other values of one guide site, with its ancestors kept.

What is done with the values (an antithetic draw, a relaxed one, a measure-valued one) is the estimators' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyro_vae.errors import EstimatorError
from pyro_vae.estimators.relaxations import finite_logits
from pyro_vae.particles.data import Particles, Site, with_fields
from pyro_vae.particles.families import canonical_parameters, family, uniform_noise, unwrapped
from pyro_vae.particles.handlers import is_delta
from pyro_vae.particles.plan import Plan
from pyro_vae.particles.runs import Run, run_pair
from pyro_vae.particles.table import stack_particles, tabulate


def add_reruns(particles: Particles, run: Run, model: Callable, guide: Callable, plan: Plan) -> Particles:
    """The table with ``canonical``, ``noise`` and ``rerun`` of the guide's random sites of known families."""
    if isinstance(poutine.unwrap(guide), Messenger):
        return particles  # such a guide runs the model itself; what it draws cannot be given
    fields: dict[str, Mapping[str, Any]] = {}
    order = [name for name, site in run.guide.items() if not is_delta(site["fn"]) and _has_one_value(particles[name])]
    for name in order:
        canonical = canonical_parameters(run.guide[name], run)
        if not canonical:
            continue
        below = _descendants(name, order, plan)
        with torch.no_grad():
            noise = uniform_noise(particles[name].family, next(iter(canonical.values())))
        rerun = _PairRerun(model, guide, run, plan, particles, name, below)
        fields[name] = {"canonical": canonical, "noise": noise, "rerun": rerun}
    return with_fields(particles, fields)


def _has_one_value(site: Site) -> bool:
    """Whether the site has one value per particle: no enumerated site has, and none that was drawn for each of its."""
    return not site.enumerated and not site.drawn_given


def _descendants(name: str, order: Sequence[str], plan: Plan) -> frozenset[str]:
    """The random guide sites to be drawn anew: those that the site's value can influence; where that is not known, and
    of sites that the plan's own run did not see, those that are drawn after it."""
    terms, after = plan.downstream.get(name), order[order.index(name) + 1 :]
    if terms is None:
        return frozenset(after)
    return frozenset(other for other in after if ("q", other) in terms or other not in plan.seen)


@dataclass(frozen=True)
class _PairRerun:
    """A :class:`~pyro_vae.particles.data.Rerun` of one site of one run."""

    model: Callable
    guide: Callable
    run: Run
    plan: Plan
    particles: Particles
    site: str
    below: frozenset[str]

    def __call__(self, values: Tensor, temperature: Tensor | float | None = None) -> Particles:
        repeats = len(values) // self.particles.num_particles
        given = {
            site.name: site.value.detach().repeat(repeats, *(1,) * (site.value.dim() - 1))
            for site in self.particles.latent
            if site.log_q is not None
            and not site.deterministic
            and site.name not in self.below
            and _has_one_value(site)
        }
        given[self.site] = values
        relaxing = nullcontext() if temperature is None else _RelaxedSites(self.site, self.below, temperature)
        tables = []
        with relaxing, pyro.validation_enabled(False):
            for setting in self.plan.settings(self.run.setting.args, self.run.setting.kwargs, len(values), given):
                run = run_pair(self.model, self.guide, replace(setting, subsamples=self.run.setting.subsamples))
                tables.append(tabulate(run, shapes=self.plan.deterministic))
        downstream = self.particles[self.site].downstream
        return with_fields(stack_particles(tables), {self.site: {"downstream": downstream}})


class _RelaxedSites(Messenger):
    """One discrete site has relaxed values; its discrete descendants are drawn from their Concrete relaxation."""

    def __init__(self, site: str, below: frozenset[str], temperature: Tensor | float):
        super().__init__()
        self.site = site
        self.below = below
        self.temperature = temperature

    def _pyro_sample(self, msg: dict) -> None:
        name, fn = msg["name"], msg["fn"]
        if msg["is_observed"] or name not in self.below | {self.site} or "_enumerate_dim" in msg["infer"]:
            return
        if family(fn) == "OneHotCategorical":
            msg["fn"] = _LinearScore(fn)
        if not msg["done"] and not fn.has_rsample:
            msg["value"] = self._relaxed(name, fn)
            msg["done"] = True

    def _relaxed(self, name: str, fn: Any) -> Tensor:
        kind = family(fn)
        if kind not in ("Bernoulli", "OneHotCategorical"):
            raise EstimatorError(
                f"Site '{name}' ({kind}) is drawn from site '{self.site}', which is relaxed, and has no relaxation of "
                "its own (Bernoulli and OneHotCategorical have). Use RELAX(relaxed=False), DisARM() or "
                "ScoreFunction(baseline='leave-one-out')."
            )
        logits = unwrapped(fn).logits
        uniform = torch.rand(fn.shape(), dtype=logits.dtype, device=logits.device)
        uniform = uniform.clamp(min=torch.finfo(logits.dtype).tiny)
        if kind == "Bernoulli":
            return torch.sigmoid((logits + torch.logit(uniform)) / self.temperature)
        return torch.softmax((logits - torch.log(-torch.log(uniform))) / self.temperature, -1)


class _LinearScore:
    """A one-hot distribution whose log-probability is linear in the value, as a Bernoulli's is: a function between the
    corners too. (Torch's takes the nearest corner's, whose derivative is zero.)"""

    def __init__(self, fn: Any):
        self._fn = fn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fn, name)

    def log_prob(self, value: Tensor) -> Tensor:
        """The mean of the categories' log-probabilities, weighted by ``value``."""
        weighted = (value * finite_logits(unwrapped(self._fn).logits)).sum(-1)
        return weighted.flatten(weighted.dim() - self._fn.event_dim + 1).sum(-1) if self._fn.event_dim > 1 else weighted
