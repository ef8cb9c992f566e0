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

from pyro_vae.compiling import is_random

aten = torch.ops.aten
Fill = Callable[[Tensor], Any]
# Numbers that a draw depends on, and the value as a function of them and of the tensors that the program gave.
_TRANSFORMED: dict[Any, tuple[Fill, Callable[..., Tensor]]] = {
    aten.bernoulli.default: (Tensor.uniform_, lambda noise, p: (noise < p).to(p.dtype)),
    aten.normal.Tensor_Tensor: (Tensor.normal_, lambda noise, mean, std: mean + std * noise),
    aten.normal.Tensor_float: (Tensor.normal_, lambda noise, mean, std=1.0: mean + std * noise),
    aten.normal.float_Tensor: (Tensor.normal_, lambda noise, mean, std: mean + std * noise),
    aten.rand_like.default: (Tensor.uniform_, lambda noise, like, **_: noise),
    aten.randn_like.default: (Tensor.normal_, lambda noise, like, **_: noise),
}
# The exponential race by which torch itself draws one category per row.
_RACE: tuple[Fill, Callable[..., Tensor]] = (
    Tensor.exponential_,
    lambda noise, p, *_: (p / noise).argmax(-1, keepdim=True),
)


class UnliftableError(Exception):
    """Random numbers that depend on the parameters in a way that cannot be undone; the text names the operation."""


@dataclass(frozen=True)
class Draw:
    """One random tensor of a step: what it is like, and how torch fills it."""

    like: Tensor
    fill: Fill


class Noise:
    """The random numbers of up to ``steps`` steps: one tensor ``[steps, *shape]`` for each draw of a step."""

    def __init__(self, draws: Sequence[Draw], steps: int):
        self.values = [draw.like.new_empty((steps, *draw.like.shape)) for draw in draws]
        self._fills = [
            [(draw.fill, value[step]) for draw, value in zip(draws, self.values, strict=True)] for step in range(steps)
        ]

    @torch.no_grad()
    def draw(self, steps: int) -> None:
        """Draw for the next ``steps`` steps, in the order in which they would."""
        for fills in self._fills[:steps]:
            for fill, row in fills:
                fill(row)


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
    if not sources:  # rand, randn, randperm, ...
        return value, lambda row: row.copy_(target(*node.args, **node.kwargs)), noise
    rule = _RACE if target is aten.multinomial.default and node.args[1] == 1 else _TRANSFORMED.get(target)
    if rule is not None:
        fill, transform = rule
        like = sources[0].meta["val"] if rule is _RACE else value
        return like, fill, graph.call_function(transform, (noise, *node.args), dict(node.kwargs))
    written = name.split(".")[1].endswith("_") and sources == [node.args[0]]
    if written and value.is_contiguous():  # normal_, uniform_, exponential_, bernoulli_, ... with numbers alone
        numbers, options = node.args[1:], dict(node.kwargs)
        return (
            value,
            lambda row: target(row, *numbers, **options),
            graph.call_function(aten.copy_.default, (node.args[0], noise)),
        )
    raise UnliftableError(name)
