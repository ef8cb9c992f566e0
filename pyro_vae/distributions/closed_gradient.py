"""A function whose derivatives are written out, so that no graph of its steps is kept and walked back.

On a million numbers a step costs about what its memory does. A density in 64 bits has fifty of them; its derivatives,
written out, have five each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_BLOCK = 2**16  # numbers
Derivatives = Callable[..., Sequence[Tensor | None]]


def with_derivatives(value: Callable[..., Tensor], derivatives: Derivatives, *tensors: Tensor) -> Tensor:
    """``value(*tensors)``, with ``derivatives(needed, *tensors)`` for its derivatives by each.

    The value is elementwise, or is summed over the last dimension, which the derivatives then have and it has not.
    ``needed`` says of each tensor whether its derivative is asked for; the others may be None. Derivatives are
    differentiable where their own steps are, and so to second order.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> with_derivatives(lambda x: x * x, lambda needed, x: (2 * x,), x).backward()
    >>> x.grad
    tensor(6.)
    """
    return _Closed.apply(value, derivatives, *tensors)  # type: ignore[return-value]


def in_blocks(function: Callable[..., Any], *tensors: Tensor, per_row: tuple[Tensor, ...] = ()) -> Any:
    """``function(*per_row, *tensors)`` of large tensors, some rows at a time, if each row is a matter of its own.

    A processor then keeps the intermediate results in its cache, where each would else be written out to memory and
    read back: half of the time and more. ``per_row`` are tensors that may lack the last dimension. The output is a
    tensor, or a sequence of tensors and Nones. Where a graph is recorded, or the tensors are not on a processor or not
    of one shape, it is one call.
    """
    first = tensors[0]
    size = 1 if first.dim() == 0 else max(1, _BLOCK * first.shape[0] // max(1, first.numel()))
    whole = first.numel() <= 2 * _BLOCK or size >= first.shape[0] or any(each.shape != first.shape for each in tensors)
    if whole or first.device.type != "cpu" or torch.is_grad_enabled() or _is_traced():
        return function(*per_row, *tensors)
    parts: list[Any] = []
    blocks = zip(*(each.split(size) for each in (*per_row, *tensors)), strict=True)
    for start, block in zip(range(0, first.shape[0], size), blocks, strict=True):
        results = function(*block)
        for number, result in enumerate([results] if isinstance(results, Tensor) else results):
            if start == 0:
                parts.append(None if result is None else result.new_empty((first.shape[0], *result.shape[1:])))
            if result is not None:
                parts[number][start : start + size] = result
    return parts[0] if isinstance(results, Tensor) else parts  # type: ignore[possibly-unbound]


def _is_traced() -> bool:
    """Whether operations are being written down: a compiler makes one loop of all of them anyway."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


class _Closed(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value, derivatives, *tensors):  # type: ignore[override]
        return in_blocks(value, *tensors)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, ctx.derivatives, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx, grad_output):  # type: ignore[override]
        tensors, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]

        def pulled_back(grad_output: Tensor, *blocks: Tensor) -> list[Tensor | None]:
            derivatives = ctx.derivatives(needed, *blocks)
            return [
                _pulled_back(grad_output, derivative, tensor) if need else None
                for derivative, tensor, need in zip(derivatives, blocks, needed, strict=True)
            ]

        parts = in_blocks(pulled_back, *tensors, per_row=(grad_output,))
        return (
            None,
            None,
            *(
                part.sum_to_size(tensor.shape) if need else None
                for part, tensor, need in zip(parts, tensors, needed, strict=True)
            ),
        )


def _pulled_back(grad_output: Tensor, derivative: Tensor, tensor: Tensor) -> Tensor:
    if derivative.dim() > grad_output.dim():
        grad_output = grad_output.unsqueeze(-1)
    return grad_output * derivative.to(tensor.dtype)
