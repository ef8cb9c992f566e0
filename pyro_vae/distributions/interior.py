"""From the log or logit scale to the nearest float inside an open support.

A value that float32 cannot hold is put on the edge of what it can: the smallest normal number, the largest finite one,
or the last number before 1. Its gradient is that of a value which lies there, and not zero as ``clamp`` has it, so the
gradient of log x (or of the logit) is still the exact one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def exp_interior(log_x: Tensor) -> Tensor:
    """exp(log x), kept inside the positive floats.

    >>> exp_interior(torch.tensor([0.0, -1e4]))
    tensor([1.0000e+00, 1.1755e-38])
    """
    return _ExpInterior.apply(log_x)  # type: ignore[return-value]


def sigmoid_interior(logit: Tensor) -> Tensor:
    """1 / (1 + exp(-logit)), kept inside the floats between 0 and 1.

    >>> sigmoid_interior(torch.tensor([0.0, 50.0])) < 1
    tensor([True, True])
    """
    return _SigmoidInterior.apply(logit)  # type: ignore[return-value]


class _ExpInterior(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(log_x: Tensor) -> Tensor:  # type: ignore[override]
        info = torch.finfo(log_x.dtype)
        return log_x.exp().clamp_(info.tiny, info.max)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad_output):  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad_output * x


class _SigmoidInterior(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(logit: Tensor) -> Tensor:  # type: ignore[override]
        info = torch.finfo(logit.dtype)
        return logit.sigmoid().clamp_(info.tiny, 1 - info.eps / 2)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad_output):  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad_output * x * (1 - x)
