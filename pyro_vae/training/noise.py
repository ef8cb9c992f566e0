"""Random numbers lifted out of a step that was written down: they become its inputs, drawn ahead for many steps.

They are drawn by the operations that the eager step uses and in its order, so that from one random state both see the
same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from pyro_vae.compiling.writing import copied, is_random
from pyro_vae.training.flat import Flat
from pyro_vae.training.randomness import kept_randomness

aten = torch.ops.aten
Fill = Callable[[Tensor], Any]


def _bernoulli(noise: Tensor, p: Tensor) -> Tensor:
    return (noise < p).to(p.dtype)


def _normal(noise: Tensor, mean: Any, std: Any = 1.0) -> Tensor:
    return mean + std * noise


def _itself(noise: Tensor, like: Tensor, **_: Any) -> Tensor:
    return noise


def _race(noise: Tensor, p: Tensor, *_: Any) -> Tensor:
    """The exponential race by which torch itself draws one category per row."""
    return (p / noise).argmax(-1, keepdim=True)


# Numbers that a draw depends on, and the value as a function of them and of the tensors that the program gave.
_TRANSFORMED: dict[Any, tuple[Fill, Callable[..., Tensor]]] = {
    aten.bernoulli.default: (Tensor.uniform_, _bernoulli),
    aten.normal.Tensor_Tensor: (Tensor.normal_, _normal),
    aten.normal.Tensor_float: (Tensor.normal_, _normal),
    aten.normal.float_Tensor: (Tensor.normal_, _normal),
    aten.rand_like.default: (Tensor.uniform_, _itself),
    aten.randn_like.default: (Tensor.normal_, _itself),
}
_NEW: dict[Any, Fill] = {aten.randn.default: Tensor.normal_, aten.rand.default: Tensor.uniform_}
_STANDARD: dict[Any, Fill] = {aten.normal_.default: Tensor.normal_, aten.uniform_.default: Tensor.uniform_}
_EVERYWHERE_ALIKE = (Tensor.normal_, Tensor.uniform_)  # of any shape


class UnliftableError(Exception):
    """Random numbers that depend on the parameters in a way that cannot be undone; the text names the operation."""


@dataclass(frozen=True)
class Draw:
    """One random tensor of a step: what it is like, and how torch fills it."""

    like: Tensor
    fill: Fill


class Noise:
    """The random numbers of up to ``steps`` steps: flat rows ``[steps, numbers of a step]``, one for each dtype.

    ``row`` lays a step's draws out in them.
    """

    def __init__(self, draws: Sequence[Draw], steps: int):
        self.row = Flat([draw.like for draw in draws])
        self.rows = [whole.new_empty((steps, len(whole))) for whole in self.row.wholes]
        self._fills = [
            [(draw.fill, value) for draw, value in zip(draws, self.row.unpack(row), strict=True)]
            for row in zip(*self.rows, strict=True)
        ]
        self._at_once = self._whole_fill(draws)

    @torch.no_grad()
    def draw(self, steps: int) -> None:
        """Draw for the next ``steps`` steps, in the order in which they would."""
        if self._at_once is not None:
            self._at_once(self.rows[0][:steps])
            return
        self._one_by_one(steps)

    def _one_by_one(self, steps: int) -> None:
        for fills in self._fills[:steps]:
            for fill, value in fills:
                fill(value)

    def _whole_fill(self, draws: Sequence[Draw]) -> Fill | None:
        """How all steps are filled by one call, where that gives the same numbers.

        Torch draws normal numbers by sixteens: where every draw is a multiple of that, many are as one.
        """
        fills = {draw.fill for draw in draws}
        if len(self.rows) != 1 or len(fills) != 1 or not fills <= set(_EVERYWHERE_ALIKE):
            return None
        (rows,), (fill,) = self.rows, fills
        steps = 2 + 32 // max(1, rows.shape[1])  # torch has another way for less than sixteen
        if steps > len(rows):
            return None
        with kept_randomness(), torch.no_grad():
            before = torch.get_rng_state()
            self._one_by_one(steps)
            wanted, after = rows[:steps].clone(), torch.get_rng_state()
            torch.set_rng_state(before)
            fill(rows[:steps])
            same = torch.equal(rows[:steps], wanted) and torch.equal(torch.get_rng_state(), after)
        return fill if same else None


def all_liftable(graph: fx.GraphModule) -> bool:
    """True if every random operation of ``graph`` can be lifted; draws of Gamma, Dirichlet, Poisson cannot."""
    try:
        lift_noise(copied(graph))
    except UnliftableError:
        return False
    return True


def lift_noise(graph: fx.GraphModule) -> list[Draw]:
    """Turn every random operation of ``graph`` into a further input, in place; returns how to draw them, in order.

    Raises :class:`UnliftableError` naming the operation (Gamma, Dirichlet, Poisson draws and others).
    """
    first = next(node for node in graph.graph.nodes if node.op != "placeholder")
    draws = []
    for node in [node for node in graph.graph.nodes if is_random(node)]:
        with graph.graph.inserting_before(first):
            noise = graph.graph.placeholder(f"noise_{len(draws)}")
        with graph.graph.inserting_before(node):
            like, fill, value = _lifted(node, noise)
        draws.append(Draw(torch.empty(like.shape, dtype=like.dtype, device=like.device), fill))
        node.replace_all_uses_with(value)
        graph.graph.erase_node(node)
    graph.recompile()
    return draws


def _lifted(node: fx.Node, noise: fx.Node) -> tuple[Tensor, Fill, fx.Node]:
    """What the noise of a random operation is like, how it is filled, and the operation's value from it."""
    target: Any = node.target
    graph, value = node.graph, node.meta["val"]
    name = str(target)
    plain = [argument for argument in (*node.args, *node.kwargs.values()) if not isinstance(argument, fx.Node)]
    if any(isinstance(argument, torch.Generator) for argument in plain):
        raise UnliftableError(f"{name} with a generator of its own")
    sources = node.all_input_nodes
    if target in _NEW:
        return value, _NEW[target], noise
    if not sources:  # randperm, randint, ...
        return value, lambda row: row.copy_(target(*node.args, **node.kwargs)), noise
    if target is aten.multinomial.default and node.args[1] == 1:
        return sources[0].meta["val"], Tensor.exponential_, graph.call_function(_race, (noise, *node.args))
    if target in _TRANSFORMED:
        fill, transform = _TRANSFORMED[target]
        return value, fill, graph.call_function(transform, (noise, *node.args), dict(node.kwargs))
    if name.split(".")[1].endswith("_") and sources == [node.args[0]] and value.is_contiguous():
        # normal_, uniform_, exponential_, bernoulli_, ... with numbers alone
        return value, _filling(node), graph.call_function(aten.copy_.default, (node.args[0], noise))
    raise UnliftableError(name)


def _filling(node: fx.Node) -> Fill:
    """How torch fills a tensor in place; standard numbers by the one function that is known to be theirs."""
    target: Any = node.target
    numbers, options = node.args[1:], {key: value for key, value in node.kwargs.items() if value is not None}
    fill = _STANDARD.get(target)
    if fill is not None and not options and tuple(numbers) in ((), (0, 1)):
        return fill
    return lambda row: target(row, *numbers, **options)
