"""What is fitted: a model, a guide and an estimator as one function of a step's arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyro.infer
import torch
from torch import Tensor, nn

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Estimator
from pyro_vae.estimators.weighting import Weighting
from pyro_vae.training.parameters import modules_of

Elbo = TraceELBO | pyro.infer.ELBO


class Evaluation(NamedTuple):
    """One draw: the loss to differentiate and, detached, in nats, the objective's bound and the plain ELBO.

    ``elbo`` is the mean of log p - log q over the same particles, whatever the objective makes of them: the scale on
    which fits with different objectives can be compared. NaN for an ELBO of Pyro's, which does not show its draws.
    """

    loss: Tensor
    bound: Tensor
    elbo: Tensor


@dataclass(frozen=True)
class Objective:
    """One call runs guide and model once and gives the loss to differentiate and the bound to report."""

    model: Callable
    guide: Callable
    elbo: Elbo

    def __call__(self, args: tuple, kwargs: dict[str, Any]) -> Evaluation:
        """One draw; the gradient of its ``loss`` is the estimator's."""
        if isinstance(self.elbo, TraceELBO):
            particles = self.elbo.particles(self.model, self.guide, *args, **kwargs)
            estimate = self.elbo.estimate_from(particles)
            with torch.no_grad():
                elbo = particles.log_w().mean()
            return Evaluation(estimate.loss(), estimate.bound, elbo)
        differentiable_loss = self.elbo.differentiable_loss  # pyright: ignore[reportAttributeAccessIssue]
        loss = differentiable_loss(self.model, self.guide, *args, **kwargs)
        return Evaluation(loss, -loss.detach(), torch.full_like(loss, torch.nan).detach())

    @property
    def upper_bound(self) -> bool:
        """Whether the bound lies above the log evidence, so that smaller is better."""
        return isinstance(self.elbo, TraceELBO) and self.elbo.estimator.claims.upper_bound

    def unweighted(self) -> Objective:
        """The same at beta 1 and without free bits: its bound is one."""
        return replace(self, elbo=self.elbo.unweighted()) if isinstance(self.elbo, TraceELBO) else self

    @property
    def weighting(self) -> Weighting | None:
        """How the latents' terms are weighted."""
        return self.elbo.weighting if isinstance(self.elbo, TraceELBO) else None

    def worth(self, bound: float) -> float:
        """The bound as a number of which the greater is better."""
        return -bound if self.upper_bound else bound

    def modules(self) -> dict[str, nn.Module]:
        """Model and guide where they are modules, what the estimator learns, and the count of an annealing."""
        found = modules_of(self.model, self.guide)
        for label in ("control", "weighting"):
            module = getattr(self.elbo, label, None)
            if isinstance(module, nn.Module):
                found[label] = module
        return found

    def buffers(self) -> dict[str, Tensor]:
        """Their live buffers (a batch norm's running means, a baseline's moving average), by name."""
        return {
            f"{label}.{name}": buffer
            for label, module in self.modules().items()
            for name, buffer in module.named_buffers()
            if buffer is not None
        }

    @property
    def name(self) -> str:
        """The estimator, for people."""
        return repr(self.elbo.estimator) if isinstance(self.elbo, TraceELBO) else type(self.elbo).__name__


def elbo_from(
    estimator: Estimator | str | Elbo | None, num_particles: int | None, vectorize: bool | None, **weighting: Any
) -> Elbo:
    """The objective of what a person gave: an estimator, its name, a ``TraceELBO`` or another ``pyro.infer.ELBO``.

    ``weighting`` is ``beta``, ``annealing`` and ``free_bits``. An ELBO brings these and its own number of particles.
    Raises :class:`~pyro_vae.errors.OptionError` for anything else, and
    for Pyro's ELBOs that have no ``differentiable_loss``.
    """
    if not isinstance(estimator, pyro.infer.ELBO):
        if estimator is not None and not isinstance(estimator, (str, Estimator)):
            raise OptionError(
                f"estimator: expected an estimator, its name or a pyro.infer.ELBO, got {type(estimator).__name__}."
            )
        return TraceELBO(estimator, 16 if num_particles is None else num_particles, vectorize=vectorize, **weighting)
    if num_particles not in (None, estimator.num_particles):
        raise OptionError(
            f"num_particles: the ELBO given as estimator has {estimator.num_particles}, num_particles={num_particles} "
            "says otherwise. Set it in the ELBO."
        )
    for name, value in weighting.items():
        if value != {"beta": 1.0}.get(name):
            raise OptionError(f"{name}={value!r}: the ELBO given as estimator brings its own. Set it in the ELBO.")
    if not hasattr(estimator, "differentiable_loss"):
        raise OptionError(
            f"estimator: {type(estimator).__name__} has no differentiable_loss, so no optimiser can use it here. "
            "Use one of pyro_vae's estimators, such as ScoreFunction(baseline='leave-one-out')."
        )
    return estimator
