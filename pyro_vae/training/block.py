"""A written step as machine code, and blocks of many such steps with no Pyro and no autograd in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, fx

from pyro_vae.compiling.beside import Beside
from pyro_vae.compiling.building import build
from pyro_vae.compiling.writing import without_writes, written_elsewhere
from pyro_vae.training.flat import Flat
from pyro_vae.training.loop import CHECK_EVERY
from pyro_vae.training.noise import Noise
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.written import UnwritableError, WrittenStep

_LONGEST = 3000  # operations
_NUMBERS = 4_000_000  # random numbers drawn ahead, at most
_ALONE = 2048  # elements from which a tensor of the state is not packed together with others


class Block:
    """Up to ``capacity`` steps on a copy of the state: ``load`` the state, ``run``, ``store`` it back, or leave it.

    What changes with the steps lies in tensors: learning-rate factors, noise, minibatches, weights in the tail average.
    The average is taken between the steps, and the parameters before the last one are kept.
    """

    def __init__(self, written: WrittenStep, parameters: int):
        operations = len(written.graph.graph.nodes)
        if operations > _LONGEST:
            raise UnwritableError(f"a step is {operations} operations long, which would take minutes to compile")
        values = [node.meta.get("val") for node in written.graph.graph.nodes]
        self.terms = max((value.numel() for value in values if isinstance(value, Tensor)), default=1)
        likes = [draw.like for draw in written.draws]
        each = sum(like.numel() for like in likes)
        self.capacity = max(1, min(CHECK_EVERY, _NUMBERS // max(each, 1)))
        self._params, self._rest = (Flat(part, _ALONE) for part in _split(written.state, parameters))
        if any(whole.element_size() not in (4, 8) for whole in self._params.wholes):
            raise UnwritableError("some parameters have 16 bits, and only those of 32 and 64 are compiled")
        self._good, self._average = ([torch.zeros_like(one) for one in self._params.wholes] for _ in range(2))
        self.averaged: object = None  # whatever stands for the tail average that is in here
        self._held: tuple[list[Tensor], int] | None = None
        self.noise = Noise(written.draws, self.capacity)
        self.factors, self.weights = torch.zeros(2, self.capacity, dtype=torch.float64)
        self.numbers = torch.zeros(self.capacity, 3, dtype=torch.float64)
        with kept_randomness():
            self.noise.draw(1)
        factor, numbers = torch.zeros((), dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
        noise = [rows[0].clone() for rows in self.noise.rows]
        self._batch = [value.clone(memory_format=torch.contiguous_format) for value in written.batch]
        state = [*self._params.wholes, *self._rest.wholes]
        inputs = [*state, numbers, factor, *self._batch, *noise, *written.constants]
        said = f"{parameters} parameters, {written.buffers} buffers, {_layouts(written.state)}, noise {_layouts(likes)}"
        # Random numbers inside are drawn by torch's own operations, in the eager step's order.
        options = {"fallback_random": True} if written.inside else {}
        with kept_randomness():
            built = build(self._in_place(written), inputs, text=(written.graph, said), **options)
        beside = Beside(
            into=[(factor, self.factors), *zip(noise, self.noise.rows, strict=True)],
            outof=[(numbers, self.numbers)],
            given=self._batch,
            means=list(zip(self._average, self._params.wholes, strict=True)),
            weights=self.weights,
            kept=list(zip(self._good, self._params.wholes, strict=True)),
        )
        self._steps = built.on(inputs, beside)

    @property
    def views(self) -> list[Tensor]:
        """The state's copies, in the order in which it was written."""
        return [*self._params.views, *self._rest.views]

    def good(self) -> Callable[[], list[Tensor]]:
        """The parameters before the last step, copied now and laid out when they are asked for."""
        return partial(self._params.unpack, [whole.clone() for whole in self._good])

    def average(self) -> Callable[[], list[Tensor]]:
        """The tail average of the parameters, copied now and laid out when it is asked for."""
        return partial(self._params.unpack, [whole.clone() for whole in self._average])

    def load(self, state: list[Tensor]) -> None:
        """Copy the state in, unless it is still what :meth:`store` put there: tensors count what is written to them."""
        if self._held is not None and self._held[0] is state and self._held[1] == _writes(state):
            return
        params, rest = _split(state, len(self._params.views))
        self._params.load(params)
        self._rest.load(rest)

    def load_average(self, average: Sequence[Tensor]) -> None:
        """Copy the tail average so far in."""
        torch._foreach_copy_(self._params.unpack(self._average), list(average))

    def store(self, state: list[Tensor]) -> None:
        """Copy the state out into ``state``."""
        params, rest = _split(state, len(self._params.views))
        self._params.store(params)
        self._rest.store(rest)
        self._held = (state, _writes(state))

    def run(
        self, factors: Sequence[float], weights: Sequence[float], batches: Sequence[Sequence[Tensor]]
    ) -> np.ndarray:
        """As many steps as there are factors; (bound, gradient norm, ELBO) of each, float64 ``[steps, 3]``.

        Draws from torch's generator. ``weights`` are the iterates' in the tail average, 0 where one does not enter;
        ``batches`` the tensors of each step's minibatch. The numbers are those of the last run: copy what is kept.
        """
        count, self._held = len(factors), None
        self.factors.numpy()[:count] = factors
        self.weights.numpy()[:count] = weights
        self.noise.draw(count)
        self._steps(0, count, batches if self._batch else ())
        return self.numbers.numpy()[:count]

    def _in_place(self, written: WrittenStep) -> Callable[[Sequence[Tensor]], fx.GraphModule]:
        """How to write down one step that moves the flat state in place and writes its numbers into theirs."""
        params, rest = self._params, self._rest
        first, wholes = len(params.wholes), len(params.wholes) + len(rest.wholes)
        noises, batches = len(self.noise.rows), len(self._batch)

        def step(*inputs: Tensor) -> tuple:
            numbers, factor, *others = inputs[wholes:]
            batch, noise, constants = others[:batches], others[batches:][:noises], others[batches + noises :]
            state = [*params.unpack(inputs[:first]), *rest.unpack(inputs[first:wholes])]
            new, found = written(*state, factor, *batch, *self.noise.row.unpack(noise), *constants)
            packed = [*params.pack(new[: len(params.views)]), *rest.pack(new[len(params.views) :])]
            for whole, values in zip(inputs, packed, strict=False):
                whole.copy_(values)
            numbers.copy_(found)
            return ()

        def write(examples: Sequence[Tensor]) -> fx.GraphModule:
            graph = without_writes(step, examples)
            elsewhere = written_elsewhere(graph, 0, wholes + 1)
            if elsewhere:
                raise UnwritableError(
                    f"the programs write in place ({elsewhere}) into a tensor that is no buffer of theirs, or one of "
                    "a module to which only a function refers: make the model a method of the module, or a PyroModule"
                )
            return graph

        return write


def _layouts(tensors: Sequence[Tensor]) -> list:
    """What the places of tensors in flat ones depend on."""
    return [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]


def _split(state: Sequence[Tensor], parameters: int) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    return state[:parameters], state[parameters:]


def _writes(tensors: Sequence[Tensor]) -> int:
    """How often all of them have been written to."""
    return sum(tensor._version for tensor in tensors)
