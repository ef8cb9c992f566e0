"""Parameters from the prior and data from the model: one run with nothing observed, put where the data were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro
import torch
from pyro.distributions import ImproperUniform
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.calls import call_arguments
from pyro_vae.particles.data import Particles
from pyro_vae.particles.handlers import is_function, with_flat_priors
from pyro_vae.particles.plan import Plan
from pyro_vae.particles.runs import Run, Setting, run_pair
from pyro_vae.particles.state import unobserved
from pyro_vae.particles.table import tabulate
from pyro_vae.posterior.collecting import quiet_plan
from pyro_vae.studies.calibration.observed import REMEDY, Slot, filled, find_slots

Simulate = Callable[[Mapping[str, Tensor], Any], Any]
_CHECKS = 5  # data sets that the model is tried on, until it takes one
_AGREEMENT = 1e-4  # of log-probabilities, relative and absolute


@dataclass(frozen=True)
class Simulated:
    """``data`` as the model takes them; ``truth`` of each latent and deterministic site, ``[*plates, *event]``.

    ``log_likelihood`` is that of the data given the truth; ``latents`` names what the model draws.
    """

    data: Any
    truth: dict[str, np.ndarray]
    log_likelihood: float
    latents: tuple[str, ...]


class Simulator:
    """Draws data sets of one model, shaped as the data at hand. Nothing outside can tell that it runs the model.

    Raises :class:`~pyro_vae.errors.ModelError` naming the site that has no proper prior, or whose observed values
    cannot be found among the arguments.
    """

    def __init__(self, model: Callable, data: Any, simulate: Simulate | None = None):
        self.model = model
        self.data = data
        self.simulate = simulate
        self.args, self.kwargs = call_arguments(data)
        with unobserved(model), torch.no_grad():
            self.plan: Plan = quiet_plan(model, None, self.args, self.kwargs)
            run = run_pair(with_flat_priors(model), None, Setting(self.args, self.kwargs))
            _refuse(run)
            observed = {name: torch.as_tensor(site["value"]) for name, site in run.model.items() if _is_data(site)}
        self.slots: list[Slot] = [] if simulate is not None else find_slots(observed, self.args, self.kwargs)
        if simulate is None:
            any(self._check(seed) for seed in range(_CHECKS))

    def draw(self, seed: int) -> Simulated:
        """One data set, and the parameters that it came from."""
        _, table, data = self._run(seed)
        values = {name: site.value for name, site in table.sites.items() if not site.observed}
        truth = {name: value[0] for name, value in {**values, **table.deterministic}.items()}
        score = sum(float(site.log_p.total().sum()) for site in table.observed if site.log_p is not None)
        arrays = {name: value.detach().cpu().numpy() for name, value in truth.items()}
        return Simulated(data, arrays, score, tuple(values))

    def _run(self, seed: int) -> tuple[Run, Particles, Any]:
        with unobserved(self.model), torch.no_grad(), pyro.validation_enabled(False):
            pyro.set_rng_seed(seed)
            run = run_pair(self.model, None, Setting(self.args, self.kwargs), draw_observations=True)
            return run, tabulate(run, shapes=self.plan.deterministic), self._data(run)

    def _data(self, run: Run) -> Any:
        """The data of one run, in the form of those at hand; a person's function goes on with the random numbers."""
        if self.simulate is not None:
            return self.simulate({name: site["value"] for name, site in run.model.items()}, self.data)
        args, kwargs = self._filled(run)
        if self.data is None or isinstance(self.data, dict):
            return kwargs or None
        return args if isinstance(self.data, (tuple, list)) else args[0]

    def _filled(self, run: Run) -> tuple[tuple, dict[str, Any]]:
        drawn = {name: site["value"] for name, site in run.model.items() if site["infer"].get("_drawn_observation")}
        missing = [slot.site for slot in self.slots if slot.site not in drawn]
        if missing:
            raise ModelError(f"Site '{missing[0]}' is not in every run of the model. {REMEDY}")
        return filled(self.slots, drawn, self.args, self.kwargs)

    def _check(self, seed: int) -> bool:
        """Run the model on simulated data at their parameters: every site must have the density it was drawn from.

        False where the model fails on these data, which says nothing of others."""
        _, table, data = self._run(seed)
        args, kwargs = call_arguments(data, check=False)
        latents = {site.name: site.value for site in table.latent}
        with unobserved(self.model), torch.no_grad(), pyro.validation_enabled(False):
            try:
                run = run_pair(self.model, None, Setting(args, kwargs, values=latents))
            except ModelError:
                return False
            again = tabulate(run, shapes=self.plan.deterministic)
        arguments = " and ".join(dict.fromkeys(slot.argument for slot in self.slots))
        for name, site in table.sites.items():
            other = again.sites[name].log_p if name in again.sites else None
            if site.log_p is None or (other is not None and _agree(site.log_p.log_prob, other.log_prob)):
                continue
            raise ModelError(
                f"Site '{name}': with simulated data as argument {arguments}, its log-probability is another than when "
                "it was drawn. The model uses these data in another place too (as predictors of the next ones, or in a "
                "prior), so that one run of it does not simulate them. Give simulate=, a function of (sites, data) "
                "that returns simulated data, where sites[name] is the value of each site in one run of the model."
            )
        return True


def _agree(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(
        one.double(), other.double(), rtol=_AGREEMENT, atol=_AGREEMENT, equal_nan=True
    )


def _is_data(site: Mapping[str, Any]) -> bool:
    return site["is_observed"] and not is_function(site) and type(site["fn"]).__name__ != "Unit"


def _refuse(run: Run) -> None:
    """What has no draws cannot be simulated, and what is weighted is not drawn from its density."""
    for name, site in run.model.items():
        fn = site["fn"]
        while hasattr(fn, "base_dist"):
            fn = fn.base_dist
        if isinstance(fn, ImproperUniform):
            raise ModelError(
                f"Site '{name}' has a flat prior, from which no parameters can be drawn: calibration asks whether the "
                "posterior is right on average over the prior. Give it a proper prior, such as a wide Normal."
            )
        if type(fn).__name__ == "Unit":
            raise ModelError(
                f"Site '{name}' is a factor, of which there are no draws: data cannot be simulated from this model. "
                "Write it with pyro.sample statements alone."
            )
        scale = torch.as_tensor(site["scale"])
        if bool((scale != 1).any()):
            raise ModelError(
                f"Site '{name}' is weighted by {scale.flatten()[0].item():g} (a plate that takes a part of its rows, "
                "or poutine.scale): its posterior is not that of the data it would be drawn with. Call the model with "
                "all rows and without weights."
            )
