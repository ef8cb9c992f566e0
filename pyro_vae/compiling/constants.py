"""Constants of a written function: what depends on them alone is computed once, the rest are inputs or numbers."""

from __future__ import annotations

import operator

import torch
from torch import Tensor, fx

from pyro_vae.compiling.writing import is_mutating, is_random

aten = torch.ops.aten


def fold_constants(graph: fx.GraphModule) -> None:
    """Compute now what depends on constants alone, but for random numbers and memory that the function writes into."""
    written = _written_into(graph)
    known: dict[fx.Node, Tensor] = {}
    for node in list(graph.graph.nodes):
        if node in written:
            continue
        if node.op == "get_attr":
            known[node] = getattr(graph, node.target)
        elif (
            node.op == "call_function"
            and not is_random(node)
            and all(source in known for source in node.all_input_nodes)
        ):
            value = node.target(*fx.map_arg(node.args, known.get), **fx.map_arg(node.kwargs, known.get))
            if not isinstance(value, Tensor):
                continue
            with graph.graph.inserting_before(node):
                constant = _constant(graph, f"_folded_{node.name}", value, node)
            known[constant] = value
    graph.graph.eliminate_dead_code()
    graph.recompile()


def constants_as_inputs(graph: fx.GraphModule) -> list[Tensor]:
    """Turn the constants of ``graph`` into its last inputs, in place; returns their values, in that order.

    A constant of one value becomes a number in the graph, and one that repeats itself along an axis is given once: a
    prior's scale, written for every particle and row, is neither read from memory nor part of the inputs.
    """
    values, written = [], _written_into(graph)
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
        value = getattr(graph, node.target).detach()
        once = value if node in written else _once(value)
        with graph.graph.inserting_before(node):
            if once.numel() == 1 and node not in written and bool(torch.isfinite(once)):
                options = {"dtype": value.dtype, "device": value.device}
                stand_in = graph.graph.call_function(aten.full.default, (list(value.shape), once.item()), options)
            else:
                with graph.graph.inserting_after(last):
                    last = stand_in = graph.graph.placeholder(f"constant_{len(values)}")
                stand_in.meta["val"] = once
                values.append(once)
                if once.shape != value.shape:
                    stand_in = graph.graph.call_function(aten.expand.default, (stand_in, list(value.shape)))
        stand_in.meta["val"] = value
        node.replace_all_uses_with(stand_in)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return values


def _constant(graph: fx.GraphModule, name: str, value: Tensor, node: fx.Node) -> fx.Node:
    """A constant in the place of ``node``."""
    graph.register_buffer(name, value)
    constant = graph.graph.get_attr(name)
    constant.meta = node.meta
    node.replace_all_uses_with(constant)
    graph.graph.erase_node(node)
    return constant


def _once(value: Tensor) -> Tensor:
    """The tensor with every axis along which it repeats itself cut to length 1, contiguous."""
    for axis in range(value.dim()):
        first = value.narrow(axis, 0, min(1, value.shape[axis]))
        if value.shape[axis] > 1 and (value.stride(axis) == 0 or torch.equal(first.expand_as(value), value)):
            value = first
    return value.contiguous()


def _written_into(graph: fx.GraphModule) -> set[fx.Node]:
    """The nodes that share memory with an argument of an operation that writes in place."""
    parent: dict[fx.Node, fx.Node] = {}

    def root(node: fx.Node) -> fx.Node:
        while node in parent:
            node = parent[node]
        return node

    roots = []
    for node in graph.graph.nodes:
        sharing = list(_sharing(node))
        for source in sharing:
            if root(source) is not root(node):
                parent[root(source)] = root(node)
        if is_mutating(node):
            roots.extend(sharing or node.all_input_nodes)
    touched = {root(node) for node in roots}
    return {node for node in graph.graph.nodes if root(node) in touched}


def _sharing(node: fx.Node) -> list[fx.Node]:
    """The arguments of ``node`` whose memory it may give back or write into."""
    if node.target is operator.getitem:
        return list(node.all_input_nodes)
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return []
    given = [*zip(schema.arguments, node.args, strict=False)]
    given += [(argument, node.kwargs[argument.name]) for argument in schema.arguments if argument.name in node.kwargs]
    found: list[fx.Node] = []
    for argument, value in given:
        if argument.alias_info is not None:
            fx.map_arg(value, found.append)
    return found
