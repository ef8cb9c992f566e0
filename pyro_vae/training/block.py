"""A written step as machine code, and blocks of many such steps with no Pyro and no autograd in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx

from pyro_vae.compiling.building import build
from pyro_vae.compiling.writing import is_mutating, without_writes
from pyro_vae.training.flat import Flat
from pyro_vae.training.loop import CHECK_EVERY
from pyro_vae.training.noise import Noise
from pyro_vae.training.randomness import kept_randomness
from pyro_vae.training.written import UnwritableError, WrittenStep

_LONGEST = 3000  # operations
_NUMBERS = 4_000_000  # random numbers drawn ahead, at most


class Block:
    """Up to ``capacity`` steps on a copy of the state: ``load`` the state, ``run``, ``store`` it back, or leave it.

    What changes with the steps lies in tensors: learning-rate factors, weights in the tail average, noise, minibatches.
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
        with kept_randomness():
            self.noise.draw(1)
        plan, numbers = torch.zeros(2, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
        noise = [rows[0].clone() for rows in self.noise.rows]
        self._batch = [torch.empty_like(value, memory_format=torch.contiguous_format) for value in written.batch]
        for fixed, value in zip(self._batch, written.batch, strict=True):
            fixed.copy_(value)
        inputs = [*self.state.wholes, numbers, plan, *noise, *self._batch, *written.constants]
        built = build(
            _in_place(written, self.state, self.noise.row),
            inputs,
            text=(written.graph, f"{written.buffers} of {len(written.state)} are buffers"),
        )
        into = [(plan, self.plans), *zip(noise, self.noise.rows, strict=True)]
        self._steps = built.on(inputs, into, outof=[(numbers, self.numbers)])

    def run(
        self, factors: Sequence[float], weights: Sequence[float], batches: Sequence[Sequence[Tensor]] | None = None
    ) -> list[list[float]]:
        """As many steps as there are factors; (bound, gradient norm, ELBO) of each. Draws from torch's generator.

        ``batches`` are the tensors of each step's minibatch, where the step was written for minibatches.
        """
        count = len(factors)
        self.plans[:count] = torch.tensor([factors, weights], dtype=torch.float64).T
        self.noise.draw(count)
        if not self._batch:
            self._steps(0, count)
            return self.numbers[:count].tolist()
        assert batches is not None
        for step, batch in enumerate(batches):
            for fixed, value in zip(self._batch, batch, strict=True):
                fixed.copy_(value)
            self._steps(step, step + 1)
        return self.numbers[:count].tolist()


def _in_place(written: WrittenStep, flat: Flat, row: Flat) -> Callable[[Sequence[Tensor]], fx.GraphModule]:
    """How to write down one step that moves the flat state in place and writes its numbers into theirs."""
    wholes, noises = len(flat.wholes), len(row.wholes)

    def step(*inputs: Tensor) -> tuple:
        state, (numbers, plan) = inputs[:wholes], inputs[wholes : wholes + 2]
        noise, others = inputs[wholes + 2 :][:noises], inputs[wholes + 2 :][noises:]
        batch, constants = others[: len(written.batch)], others[len(written.batch) :]
        new, found = written(*flat.unpack(state), plan[0], plan[1], *batch, *row.unpack(noise), *constants)
        for whole, values in zip(state, flat.pack(new), strict=True):
            whole.copy_(values)
        numbers.copy_(found)
        return ()

    def write(examples: Sequence[Tensor]) -> fx.GraphModule:
        graph = without_writes(step, examples)
        allowed = [node for node in graph.graph.nodes if node.op == "placeholder"][: wholes + 1]
        for node in graph.graph.nodes:
            if is_mutating(node) and node.args[0] not in allowed:
                raise UnwritableError(
                    f"the programs write in place into a tensor that is no buffer of theirs ({node.target})"
                )
        return graph

    return write
