"""A written step as machine code, and blocks of many such steps with no Pyro and no autograd in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx

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

    What changes with the steps lies in tensors: learning-rate factors, noise, minibatches. The tail average is taken
    between the steps, and the parameters before the last one are kept.
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
        self._good, self._average = ([torch.zeros_like(one) for one in self._params.wholes] for _ in range(2))
        self.noise = Noise(written.draws, self.capacity)
        self.factors = torch.zeros(self.capacity, dtype=torch.float64)
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
        into = [(factor, self.factors), *zip(noise, self.noise.rows, strict=True)]
        self._steps = built.on(inputs, into, outof=[(numbers, self.numbers)])

    @property
    def views(self) -> list[Tensor]:
        """The state's copies, in the order in which it was written."""
        return [*self._params.views, *self._rest.views]

    @property
    def good(self) -> list[Tensor]:
        """New tensors: the parameters before the last step."""
        return [view.clone() for view in self._params.unpack(self._good)]

    @property
    def average(self) -> list[Tensor]:
        """New tensors: the tail average of the parameters."""
        return [view.clone() for view in self._params.unpack(self._average)]

    def load(self, state: Sequence[Tensor], average: Sequence[Tensor] = ()) -> None:
        """Copy the state in, and the average so far."""
        params, rest = _split(state, len(self._params.views))
        self._params.load(params)
        self._rest.load(rest)
        if average:
            torch._foreach_copy_(self._params.unpack(self._average), list(average))

    def store(self, state: Sequence[Tensor]) -> None:
        """Copy the state out into ``state``."""
        params, rest = _split(state, len(self._params.views))
        self._params.store(params)
        self._rest.store(rest)

    def run(
        self, factors: Sequence[float], weights: Sequence[float], batches: Sequence[Sequence[Tensor]]
    ) -> list[list[float]]:
        """As many steps as there are factors; (bound, gradient norm, ELBO) of each. Draws from torch's generator.

        ``weights`` are the iterates' in the tail average, 0 where one does not enter; ``batches`` the tensors of each
        step's minibatch.
        """
        count = len(factors)
        self.factors[:count] = torch.tensor(factors, dtype=torch.float64)
        self.noise.draw(count)
        begin = 0
        for step in range(count):
            last = step == count - 1
            if not (self._batch or weights[step] or last or step == count - 2):
                continue  # nothing to do before the next step
            self._play(begin, step + 1, batches[step], keep=last)
            begin = step + 1
            if weights[step] == 1:
                torch._foreach_copy_(self._average, self._params.wholes)
            elif weights[step]:
                torch._foreach_lerp_(self._average, self._params.wholes, weights[step])
        return self.numbers[:count].tolist()

    def _play(self, begin: int, stop: int, batch: Sequence[Tensor], keep: bool) -> None:
        if keep:
            torch._foreach_copy_(self._good, self._params.wholes)
        for fixed, value in zip(self._batch, batch, strict=True):
            fixed.copy_(value)
        self._steps(begin, stop)

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
