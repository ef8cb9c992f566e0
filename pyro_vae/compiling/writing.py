"""A function of tensors written down as a list of operations.

``make_fx`` runs the function once and writes down every tensor operation, those of autograd included, without Pyro and
autograd around them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, fx


def write_down(function: Callable, inputs: Sequence[Tensor], *, decompose: bool = True) -> fx.GraphModule:
    """The operations of ``function(*inputs)``; a tensor that is not among ``inputs`` becomes a constant.

    The very objects in ``inputs`` are what is followed: a function that finds one of them by another way (a parameter
    in a module or in Pyro's store) uses an input of the graph too. ``decompose`` writes in terms of the fewer
    operations that Inductor compiles.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    table = None
    if decompose:
        from torch._inductor.decomposition import select_decomp_table

        table = select_decomp_table()
    # The lambda, because make_fx counts the arguments of a bound method wrongly.
    with _no_questions():
        graph = make_fx(lambda *args: function(*args), decomposition_table=table)(*inputs)
    _state_dtypes(graph)
    return graph


@contextmanager
def _no_questions() -> Iterator[None]:
    """torch's ``one_hot`` asks its categories for the smallest and the largest, which a written function cannot."""

    def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
        if num_classes < 1:
            return asking(tensor, num_classes)
        return (tensor.unsqueeze(-1) == torch.arange(num_classes, device=tensor.device)).to(torch.int64)

    asking = torch.nn.functional.one_hot
    torch.nn.functional.one_hot = one_hot
    try:
        yield
    finally:
        torch.nn.functional.one_hot = asking


def without_writes(function: Callable, inputs: Sequence[Tensor]) -> fx.GraphModule:
    """The same with no operation that writes in place, but for a last ``copy_`` into each input that was changed.

    Autograd itself writes in place (the derivative of cumprod does), and a compiler expects that nothing does.
    """
    written = write_down(torch.func.functionalize(function), inputs)
    if any(is_mutating(node) and node.args[0].op != "placeholder" for node in written.graph.nodes):
        # What an operation is decomposed into may itself write in place (binary cross-entropy's derivative does).
        written = write_down(torch.func.functionalize(written), inputs)
    return written


def being_written() -> bool:
    """True inside of :func:`write_down`: values cannot be asked for then."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None


def copied(graph: fx.GraphModule) -> fx.GraphModule:
    """The same operations to work on, with the same constants."""
    return fx.GraphModule(graph, copy.deepcopy(graph.graph))


def written_elsewhere(graph: fx.GraphModule, first: int, stop: int) -> str:
    """The first operation that writes into anything but inputs ``first`` to ``stop``, exclusive; empty if none does."""
    allowed = [node for node in graph.graph.nodes if node.op == "placeholder"][first:stop]
    writing = (node for node in graph.graph.nodes if is_mutating(node) and node.args[0] not in allowed)
    return next((str(node.target) for node in writing), "")


def is_mutating(node: fx.Node) -> bool:
    """True for an operation that writes into one of its arguments."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def is_random(node: fx.Node) -> bool:
    """True for an operation that draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _state_dtypes(graph: fx.GraphModule) -> None:
    """Write down the dtype of every new tensor: the default is another one when the operations are run again."""
    for node in graph.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or node.all_input_nodes or node.kwargs.get("dtype") is not None:
            continue
        if any(argument.name == "dtype" for argument in schema.arguments):
            node.kwargs = {**node.kwargs, "dtype": node.meta["val"].dtype}
    graph.recompile()


def first_line(error: BaseException) -> str:
    """The first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
