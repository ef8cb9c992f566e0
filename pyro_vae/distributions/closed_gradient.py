"""A function whose derivatives are written out, so that no graph of its steps is kept and walked back.

On a million numbers a step costs about what its memory does. A density in 64 bits has fifty of them; its derivatives,
written out, have five each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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


class _Closed(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value, derivatives, *tensors):  # type: ignore[override]
        return value(*tensors)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, ctx.derivatives, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx, grad_output):  # type: ignore[override]
        tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        parts = [
            _pulled_back(grad_output, derivative, tensor) if need else None
            for derivative, tensor, need in zip(ctx.derivatives(needed, *tensors), tensors, needed, strict=True)
        ]
        return None, None, *parts


def _pulled_back(grad_output: Tensor, derivative: Tensor, tensor: Tensor) -> Tensor:
    if derivative.dim() > grad_output.dim():
        grad_output = grad_output.unsqueeze(-1)
    return (grad_output * derivative).to(tensor.dtype).sum_to_size(tensor.shape)
