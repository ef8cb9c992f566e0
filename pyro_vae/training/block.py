"""A written step as machine code, and blocks of many such steps with no Pyro and no autograd in between."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, fx

from pyro_vae.compiling import inductor, without_writes
from pyro_vae.training.flat import Flat
from pyro_vae.training.loop import CHECK_EVERY
from pyro_vae.training.noise import Noise
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.written import UnwritableError, WrittenStep

_LONGEST = 3000  # operations
_NUMBERS = 4_000_000  # random numbers drawn ahead, at most
_VECTORS_FROM = 512  # a fit takes thousands of steps: vector instructions pay early


class Block:
    """Up to ``capacity`` steps on a copy of the state: ``load`` the state, ``run``, ``store`` it back, or leave it.

    Numbers that change with the steps are tensors: learning-rate factors, weights in the tail average, noise.
    """

    def __init__(self, written: WrittenStep):
        operations = len(written.graph.graph.nodes)
        if operations > _LONGEST:
            raise UnwritableError(f"a step is {operations} operations long, which would take minutes to compile")
        each = sum(draw.like.numel() for draw in written.draws)
        self.capacity = max(1, min(CHECK_EVERY, _NUMBERS // max(each, 1)))
        self.state = Flat(written.state)
        self.noise = Noise(written.draws, self.capacity)
        self.plans = torch.zeros(self.capacity, 2, dtype=torch.float64)
        self.numbers = torch.zeros(self.capacity, 3, dtype=torch.float64)
        self._arguments = [
            [*self.state.wholes, self.numbers[step], self.plans[step], *(value[step] for value in self.noise.values)]
            for step in range(self.capacity)
        ]
        with kept_randomness():
            self.noise.draw(1)
        self._step = _compiled(written, self.state, self._arguments[0])

    def run(self, factors: Sequence[float], weights: Sequence[float]) -> list[list[float]]:
        """As many steps as there are factors; (bound, gradient norm, ELBO) of each. Draws from torch's generator."""
        count = len(factors)
        self.plans[:count] = torch.tensor([factors, weights], dtype=torch.float64).T
        self.noise.draw(count)
        for arguments in self._arguments[:count]:
            self._step(list(arguments))
        return self.numbers[:count].tolist()


def _compiled(written: WrittenStep, flat: Flat, arguments: Sequence[Tensor]):
    """One step that moves the flat state in place and writes its numbers into their row."""
    wholes = len(flat.wholes)

    def step(*inputs: Tensor) -> tuple:
        state, (numbers, plan), noise = inputs[:wholes], inputs[wholes : wholes + 2], inputs[wholes + 2 :]
        *new, row = written.graph(*flat.unpack(state), plan[0], plan[1], *noise)
        for whole, values in zip(state, flat.pack(new), strict=True):
            whole.copy_(values)
        numbers.copy_(row)
        return ()

    examples = [argument.clone() for argument in arguments]
    with warnings.catch_warnings():  # torch warns of its own parts: deprecated here, experimental there
        warnings.simplefilter("ignore")
        graph: fx.GraphModule = without_writes(step, examples)
        return inductor(graph, examples, long=_VECTORS_FROM)
