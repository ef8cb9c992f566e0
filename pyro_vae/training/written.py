"""One step of a fit written down: a list of tensor operations from a state and noise to the next state.

The step is the eager one (``step.evaluate``, ``step.differentiate``) run once; nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from pyro_vae.compiling.constants import constants_as_inputs, fold_constants
from pyro_vae.compiling.decompositions import decompose
from pyro_vae.compiling.writing import write_down
from pyro_vae.training.batches import Arguments
from pyro_vae.training.noise import Draw, Noise, all_liftable, lift_noise
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import Parameters
from pyro_vae.training.randomness import kept_randomness, random_state
from pyro_vae.training.step import differentiate, evaluate
from pyro_vae.training.updates import Update


class UnwritableError(Exception):
    """Why a step cannot be written down, in one line."""


@dataclass(frozen=True)
class WrittenStep:
    """``graph(*state, factor, *batch, *noise, *constants) -> (*new state but buffers, numbers)``.

    It writes into buffers, whose new values are thus not among its outputs.

    ``state`` are the live tensors: parameters, optimiser, and last ``buffers`` buffers. ``factor`` multiplies the
    learning rate, a float64 scalar. ``batch`` are the tensors of a minibatch; ``constants`` the whole data and what
    depends on them alone. Random numbers that cannot be drawn ahead are ``inside`` the graph, and all others with them:
    ``draws`` is empty then.
    ``numbers`` is float64 ``[3]``: bound, the gradient's norm before clipping, plain ELBO.
    """

    graph: fx.GraphModule
    state: list[Tensor]
    buffers: int
    batch: list[Tensor]
    draws: list[Draw]
    inside: bool
    constants: list[Tensor]

    def __call__(self, *inputs: Tensor) -> tuple[list[Tensor], Tensor]:
        """The whole new state and the numbers, by the operations of the graph."""
        *new, numbers = self.graph(*inputs)
        return [*new, *inputs[len(new) : len(self.state)]], numbers


@dataclass(frozen=True)
class StepTensors:
    """The live tensors that a step changes."""

    params: Parameters
    update: Update
    buffers: Parameters

    def kinds(self) -> dict[str, Parameters]:
        """By kind and name."""
        state = self.update.state
        kinds = dict.fromkeys(kind for kept in state.values() for kind in kept)
        return {
            "parameter": self.params,
            **{f"{kind} of": {name: kept[kind] for name, kept in state.items() if kind in kept} for kind in kinds},
            "buffer": self.buffers,
        }

    def all(self) -> list[Tensor]:
        """In the order of the graph's inputs."""
        return [tensor for named in self.kinds().values() for tensor in named.values()]


def write_step(
    objective: Objective,
    arguments: Arguments,
    tensors: StepTensors,
    clip: float | None,
    batch: Sequence[Tensor] = (),
) -> WrittenStep:
    """Write one step down. Nothing is changed by it: parameters, buffers and random numbers are as before.

    ``batch`` are those tensors of ``arguments`` that are others at the next step.
    Raises :class:`UnwritableError` with the reason, and whatever the programs raise when they are traced.
    """
    state = tensors.all()
    factor = torch.ones((), dtype=torch.float64)
    with _nothing_moved(tensors), kept_randomness():
        torch.rand(8)  # other draws than those of any step that what is written will be held against
        before = random_state()
        step = _Step(objective, arguments, tensors, clip)
        graph = write_down(step, [*state, factor, *batch], decompose=False)
        after = random_state()
    for generator, name in (("numpy", "NumPy"), ("python", "Python's random")):
        if not _same(before[generator], after[generator]):
            raise UnwritableError(f"the programs draw random numbers from {name}, which only torch's can stand for")
    inside = not all_liftable(graph)
    draws = [] if inside else lift_noise(graph)
    if not inside:
        _check_noise(draws, before, after)
    fold_constants(graph)
    decompose(graph)
    return WrittenStep(graph, state, len(tensors.buffers), list(batch), draws, inside, constants_as_inputs(graph))


@dataclass(frozen=True)
class _Step:
    """The step as a function of its tensors: those of ``tensors`` are the function's inputs by identity."""

    objective: Objective
    arguments: Arguments
    tensors: StepTensors
    clip: float | None

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        factor = inputs[len(self.tensors.all())]
        params, update = self.tensors.params, self.tensors.update
        evaluation, leaves = evaluate(self.objective, self.arguments)
        unknown = [name for name, leaf in leaves.items() if params.get(name) is not leaf]
        if unknown:
            raise UnwritableError(f"parameter '{unknown[0]}' is new or made anew at every step")
        grads, numbers = differentiate(evaluation, leaves)
        shrink = None if self.clip is None else (self.clip / numbers[1]).clamp(max=1.0)
        values, state = dict(params), dict(update.state)
        with torch.no_grad():
            for name, grad in grads.items():
                if grad is None:
                    continue
                grad = grad if shrink is None else grad * shrink.to(grad.dtype)
                kept = update.state.get(name, {})
                try:
                    values[name], state[name] = update(name, params[name].detach(), grad, kept, factor)
                except KeyError as error:
                    raise UnwritableError(f"parameter '{name}' had no gradient at the first step") from error
        moved = StepTensors(values, replace(update, state=state), {})
        return [*(value.detach().clone() for value in moved.all()), numbers]


@contextmanager
def _nothing_moved(tensors: StepTensors) -> Iterator[None]:
    """Put back the buffers that the programs write into."""
    before = {name: buffer.clone() for name, buffer in tensors.buffers.items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in before.items():
                tensors.buffers[name].copy_(value)


def _check_noise(draws: Sequence[Draw], before: dict, after: dict) -> None:
    """Noise drawn ahead must leave torch's generator where the step itself left it."""
    noise = Noise(draws, 1)
    with kept_randomness():
        torch.set_rng_state(before["torch"])
        noise.draw(1)
        same = torch.equal(torch.get_rng_state(), after["torch"])
    if not same:
        raise UnwritableError("its random numbers cannot be told apart from the rest of it")


def _same(one: dict, other: dict) -> bool:
    return all(
        torch.equal(value, other[key]) if isinstance(value, Tensor) else value == other[key]
        for key, value in one.items()
    )
