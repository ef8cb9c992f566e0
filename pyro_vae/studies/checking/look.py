"""``Look``: what all checks of a pair look at, collected once; what costs more is collected when it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.replay_messenger import ReplayMessenger
from torch import Tensor

from pyro_vae.errors import ModelError, PyroVaeError
from pyro_vae.particles.handlers import with_flat_priors
from pyro_vae.particles.packing import evaluate, masked
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.runs import Run, Setting, run_pair, sample_sites
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.untouched import modules_used, tensors_in
from pyro_vae.studies.checking.visiting import Statement, Visit, watched
from pyro_vae.training.parameters import Seen


@dataclass
class Look:
    """One pair, run once under watch: the guide, then the model at the guide's values.

    ``guide`` is None when the model is looked at alone. ``run`` has both traces, None where a program failed. Where the
    model fails at the guide's values, ``alone`` is the model on its own, and ``pair`` has the two side by side.
    ``found`` are the findings so far.
    """

    model: Callable
    guide: Callable | None
    args: tuple
    kwargs: Mapping[str, Any]
    data: Any = None
    estimator: Any = None
    num_particles: int | None = None
    seed: int = 0
    of_model: Visit = field(default_factory=lambda: Visit("model"))
    of_guide: Visit = field(default_factory=lambda: Visit("guide"))
    alone: Visit | None = None
    run: Run | None = None
    pair: Run | None = None
    found: list[Finding] = field(default_factory=list)
    _runs: dict[tuple, dict[tuple[str, str], Tensor]] = field(default_factory=dict)

    @property
    def visits(self) -> tuple[Visit, ...]:
        """Guide and model, where they were run."""
        return (self.of_guide, self.of_model) if self.guide is not None else (self.of_model,)

    @property
    def visited(self) -> Visit:
        """The model's run that got further: on its own where it fails at the guide's values."""
        return self.alone or self.of_model

    @property
    def sound(self) -> bool:
        """No error has been found so far, and both programs ran."""
        return self.run is not None and all(finding.severity == "warning" for finding in self.found)

    def has(self, *codes: str, site: str | None = None) -> bool:
        """Whether one of these has been found, at this site if one is given."""
        return any(one.code in codes and site in (None, one.site) for one in self.found)

    @cached_property
    def arrays(self) -> dict[str, Tensor | np.ndarray]:
        """The tensors and arrays among the arguments, by the words that name them."""
        return arrays_of(self.model, self.args, self.kwargs)

    @cached_property
    def modules(self) -> dict[str, torch.nn.Module]:
        """The modules that the programs use."""
        return modules_used(*(fn for fn in (self.model, self.guide) if fn is not None))

    @property
    def observed(self) -> dict[str, Statement]:
        """The model's observed sites, factors aside."""
        sites = self.visited.sites.items()
        return {name: one for name, one in sites if one.message["is_observed"] and not is_factor(one.fn)}

    @property
    def latent(self) -> dict[str, Statement]:
        """The model's latent sites."""
        return {name: one for name, one in self.visited.sites.items() if not one.message["is_observed"]}

    @cached_property
    def seen(self) -> Seen:
        """The parameters that the pair uses."""
        sites = {name: one.message for visit in self.visits for name, one in visit.params.items()}
        return Seen({name: message for name, message in sites.items() if message["value"] is not None})

    @cached_property
    def log_probs(self) -> dict[tuple[str, str], Tensor]:
        """The masked log-probability of each site by role and name; a site that cannot be scored is left out."""
        found = {}
        for visit in self.visits:
            for name, one in visit.sites.items():
                with suppress(Exception):  # shapes and supports have checks of their own
                    found[visit.role, name] = masked(one.message, evaluate(one.message))
        return found

    @property
    def size(self) -> int:
        """How many log-densities a run has."""
        return sum(value.numel() for value in self.log_probs.values())

    @cached_property
    def total(self) -> Tensor | None:
        """The sum of all log-probabilities that have a derivative; None where none has."""
        live = [value.sum() for value in self.log_probs.values() if value.requires_grad]
        return torch.stack([value.to(live[0]) for value in live]).sum() if live else None

    @cached_property
    def gradients(self) -> dict[str, Tensor | None]:
        """The derivative of ``total`` by each parameter; None where there is none."""
        leaves = self.seen.leaves
        if self.total is None or not leaves:
            return dict.fromkeys(leaves)
        found = torch.autograd.grad(self.total, list(leaves.values()), allow_unused=True, retain_graph=True)
        return dict(zip(leaves, found, strict=True))

    def prior_data(self) -> dict[str, Tensor]:
        """What the model would observe before it has seen data, draws of the prior one after the other, by site."""
        rows: dict[str, list[Tensor]] = {}
        with torch.no_grad():
            for _ in range(max(8, min(50, 100_000 // max(self.size, 1)))):
                try:
                    setting = Setting(self.args, self.kwargs)
                    run = run_pair(with_flat_priors(self.model), None, setting, draw_observations=True)
                except Exception:
                    return {}
                for name, site in run.model.items():
                    if site["infer"].get("_drawn_observation"):
                        rows.setdefault(name, []).append(site["value"])
        return {name: torch.stack(values) for name, values in rows.items() if len({v.shape for v in values}) == 1}

    def again(self, seed: int, *, python_seed: int | None = None, repeat: int = 0) -> dict[tuple[str, str], Tensor]:
        """Log-probabilities of another run from ``seed``; NumPy's and Python's generators may get another. The same
        run is there once for each ``repeat``."""
        key = (seed, python_seed, repeat)
        if key not in self._runs:
            self._runs[key] = self._run_again(seed, python_seed)
        return self._runs[key]

    def _run_again(self, seed: int, python_seed: int | None) -> dict[tuple[str, str], Tensor]:
        other = Look(self.model, self.guide, self.args, self.kwargs)
        pyro.set_rng_seed(seed if python_seed is None else python_seed)
        torch.manual_seed(seed)
        with torch.no_grad():
            return other.collect().log_probs

    @cached_property
    def plan(self) -> Plan | PyroVaeError:
        """The plan of the pair for several particles, with validation on; or why there is none."""
        assert self.guide is not None  # asked for pairs
        try:
            with pyro.validation_enabled(True), torch.no_grad():
                return plan_pair(self.model, self.guide, self.args, self.kwargs, num_particles=2)
        except PyroVaeError as error:
            return error

    def collect(self) -> Look:
        """Run the programs."""
        setting = Setting(self.args, self.kwargs)
        try:
            self.run = self.pair = self._pair(setting)
        except (ModelError, Exception) as error:
            if isinstance(error, PyroVaeError) and not any(visit.error for visit in self.visits):
                self.visits[0].error = error  # before or after a program: while it was made, say
        if self.of_guide.error is not None:
            self.of_model = Visit("model")
            with suppress(Exception):
                setting.trace(self._watched(self.model, self.of_model), "model")
        elif self.of_model.error is not None and self.guide is not None:
            self.alone = Visit("model")
            with suppress(Exception):
                trace = setting.trace(self._watched(self.model, self.alone), "model")
                guide = {name: one.message for name, one in self.of_guide.sites.items()}
                self.pair = Run(sample_sites(trace), guide, setting)
        return self

    def _pair(self, setting: Setting) -> Run:
        model = self._watched(self.model, self.of_model)
        if self.guide is None:
            return Run(sample_sites(setting.trace(model, "model")), {}, setting)
        if isinstance(poutine.unwrap(self.guide), Messenger):
            trace = setting.trace(self._watched(self.guide, self.of_guide), "guide")
            model_trace, trace = poutine.unwrap(self.guide).get_traces()
            self.of_model.statements = [Statement(site, None) for site in model_trace.nodes.values() if "fn" in site]
        else:
            trace = setting.trace(self._watched(self.guide, self.of_guide), "guide")
            model_trace = setting.on_rows(trace).trace(model, "model", inner=ReplayMessenger(trace=trace))
        return Run(sample_sites(model_trace), sample_sites(trace), setting.on_rows(trace, model_trace))

    def _watched(self, program: Callable, visit: Visit) -> Callable:
        run = watched(program, visit, self.arrays)
        return with_flat_priors(run) if visit.role == "model" else run


def is_factor(fn: Any) -> bool:
    """Whether a site is a ``pyro.factor``."""
    return type(fn).__name__ == "Unit"


def argument_names(program: Callable, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by the names that the program gives them."""
    try:
        bound = inspect.signature(callable_of(program)).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{f"argument {index}": value for index, value in enumerate(args)}, **kwargs}
    return dict(bound.arguments)


def callable_of(program: Callable) -> Callable:
    """What has the signature that a person wrote."""
    owner = poutine.unwrap(program)
    return owner.forward if isinstance(owner, torch.nn.Module) else owner


def arrays_of(program: Callable, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Tensor | np.ndarray]:
    """The tensors and arrays among the arguments, however nested, by the words that name them."""
    named = argument_names(program, args, kwargs)
    return {label: value for name, part in named.items() for label, value in tensors_in(name, part)}
