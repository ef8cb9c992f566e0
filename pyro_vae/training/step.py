"""Steps of a fit: draw, differentiate, move the parameters. Eager steps are here; compiled ones can stand in.

A stepper is a function from (state, batches, moments) to the same state moved on. It reads nothing else, so any
implementation that moves the state alike can take its place: see :class:`Stepper`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.training.averaging import TailAverage
from pyro_vae.training.batches import Arguments, Batches
from pyro_vae.training.objective import Evaluation, Objective
from pyro_vae.training.optimizers import StepOptimizer
from pyro_vae.training.parameters import Parameters, assign, copy_of, seen_parameters

Gradients = dict[str, Tensor | None]
Gradient = Callable[[Objective, Arguments], tuple[Parameters, Gradients, Tensor]]


@dataclass
class StepState:
    """Everything that a step changes, beside the random state: parameters (live leaves), optimiser, tail average.

    ``good`` holds the values at the last step whose bound and gradient were finite.
    """

    params: Parameters
    optimizer: StepOptimizer
    average: TailAverage = field(default_factory=TailAverage)
    good: Mapping[str, Tensor] = field(default_factory=dict)

    def restore_good(self) -> None:
        """Put the parameters back to the last good step's."""
        if self.good:
            assign({name: leaf for name, leaf in self.params.items() if name in self.good}, self.good)


class StepPlan(NamedTuple):
    """What is decided ahead of a step: the factor on the learning rate; whether its iterate enters the tail average."""

    factor: float
    averaged: bool


@dataclass(frozen=True)
class Fault:
    """A step that could not be taken.

    The parameters are those before it, but for an interrupt, which may come halfway through.
    """

    kind: str  # "bound", "gradient", "error" or "interrupt"
    arguments: Arguments = ((), {})
    random: Tensor | None = None
    parameters: tuple[str, ...] = ()
    error: Exception | None = None


class Taken(NamedTuple):
    """One step taken: the bound before it (nats), the gradient's norm before clipping, the learning rate.

    ``elbo`` is the plain ELBO of the same draws, whatever the objective is; NaN where a stepper does not know it.
    """

    bound: float
    gradient_norm: float
    learning_rate: float
    elbo: float = math.nan


class Stepper(Protocol):
    """Takes the planned steps in order, up to the first that cannot be taken."""

    def advance(
        self, state: StepState, batches: Batches, plans: Sequence[StepPlan]
    ) -> tuple[list[Taken], Fault | None]:
        """Move ``state`` and ``batches`` on; returns what was taken, and the fault that ended it early."""
        ...


@dataclass
class EagerStepper:
    """Steps in plain PyTorch: guide and model run anew each time."""

    objective: Objective
    clip: float | None = None
    first: bool = True
    gradient: Gradient | None = None  # of one draw from the step's batch, if nothing else is asked for

    def advance(
        self, state: StepState, batches: Batches, plans: Sequence[StepPlan]
    ) -> tuple[list[Taken], Fault | None]:
        taken: list[Taken] = []
        try:
            for plan in plans:
                epochs = batches.epochs
                outcome = self._step(state, batches.next(), plan)
                if isinstance(outcome, Fault):
                    return taken, outcome
                for _ in range(batches.epochs - epochs):
                    state.optimizer.epoch()
                taken.append(outcome)
        except KeyboardInterrupt:
            return taken, Fault("interrupt")
        return taken, None

    def _step(self, state: StepState, arguments: Arguments, plan: StepPlan) -> Taken | Fault:
        random = torch.get_rng_state()
        try:
            leaves, grads, numbers = (self.gradient or gradient_of)(self.objective, arguments)
        except ModelError as error:
            if self.first:
                raise
            return Fault("error", arguments, random, error=error)
        state.params.update({name: leaf for name, leaf in leaves.items() if name not in state.params})
        if self.first:
            _warn_unused(grads)
            self.first = False
        value, norm, plain = numbers.tolist()
        if not math.isfinite(value):
            return Fault("bound", arguments, random)
        if not math.isfinite(norm):
            broken = tuple(name for name, grad in grads.items() if grad is not None and not _finite(grad))
            if broken:
                return Fault("gradient", arguments, random, broken)
            norm = norm_of(grads, torch.float64).item()  # only its square was too large
        _keep(state)
        state.optimizer.step(state.params, _clipped(grads, norm, self.clip), plan.factor)
        if plan.averaged:
            state.average.add(state.params)
        return Taken(value, norm, state.optimizer.learning_rate, plain)


def gradient_of(objective: Objective, arguments: Arguments) -> tuple[Parameters, Gradients, Tensor]:
    """The leaves that one draw used, their gradients, and what :func:`differentiate` reports."""
    evaluation, leaves = evaluate(objective, arguments)
    return leaves, *differentiate(evaluation, leaves)


def evaluate(objective: Objective, arguments: Arguments) -> tuple[Evaluation, Parameters]:
    """One draw of the objective, and the leaves that it used."""
    with seen_parameters() as seen:
        evaluation = objective(*arguments)
    return evaluation, seen.leaves


def differentiate(evaluation: Evaluation, leaves: Parameters) -> tuple[dict[str, Tensor | None], Tensor]:
    """The gradients; and what a step reports, float64 ``[3]``: bound, the gradient's norm, plain ELBO."""
    grads = _gradients(evaluation.loss, leaves)
    numbers = (evaluation.bound, norm_of(grads), evaluation.elbo)
    return grads, torch.stack([number.double() for number in numbers])


def _gradients(loss: Tensor, leaves: Parameters) -> dict[str, Tensor | None]:
    if not loss.requires_grad or not leaves:
        raise ModelError(
            "There is nothing to fit: neither guide nor model has a parameter that the bound depends on. Add "
            'pyro.param to the guide, or use an automatic guide such as "auto_normal".'
        )
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return dict(zip(leaves, grads, strict=True))


def _warn_unused(grads: dict[str, Tensor | None]) -> None:
    unused = [name for name, grad in grads.items() if grad is None]
    if unused:
        warnings.warn(
            f"The bound does not depend on parameters {', '.join(unused)}: they stay as they are. If a module was made "
            "anew under an old name, pyro.clear_param_store() forgets the old one.",
            stacklevel=2,
        )


def norm_of(grads: Gradients, dtype: torch.dtype | None = None) -> Tensor:
    """The norm of all gradients together, in float64."""
    there: list[Tensor] = [grad if dtype is None else grad.to(dtype) for grad in grads.values() if grad is not None]
    return torch.stack([norm.double() for norm in torch._foreach_norm(there)]).norm()


def _finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _clipped(grads: dict[str, Tensor | None], norm: float, clip: float | None) -> dict[str, Tensor | None]:
    if clip is None or norm <= clip:
        return grads
    return {name: None if grad is None else grad * (clip / norm) for name, grad in grads.items()}


@torch.no_grad()
def _keep(state: StepState) -> None:
    """Remember the parameters that have just given a finite bound and gradient."""
    if state.good.keys() != state.params.keys():
        state.good = copy_of(state.params)
        return
    torch._foreach_copy_(list(state.good.values()), [leaf.detach() for leaf in state.params.values()])
