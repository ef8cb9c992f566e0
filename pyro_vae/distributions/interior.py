"""From the log or logit scale to the nearest float inside an open support.

A value that float32 cannot hold is put on the edge of what it can: the smallest normal number, the largest finite one,
or the last number before 1. Its gradient is that of a value which lies there, and not zero as ``clamp`` has it, so the
gradient of log x (or of the logit) is still the exact one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def exp_interior(log_x: Tensor) -> Tensor:
    """exp(log x), kept inside the positive floats.

    >>> exp_interior(torch.tensor([0.0, -1e4]))
    tensor([1.0000e+00, 1.1755e-38])
    """
    info = torch.finfo(log_x.dtype)
    x = log_x.clamp(max=math.log(info.max)).exp()
    edge = x.detach().clamp(min=info.tiny, max=info.max)
    return torch.where((x == edge) & (x < info.max), x, edge + edge * _passing(log_x))


def sigmoid_interior(logit: Tensor) -> Tensor:
    """1 / (1 + exp(-logit)), kept inside the floats between 0 and 1.

    >>> sigmoid_interior(torch.tensor([0.0, 50.0])) < 1
    tensor([True, True])
    """
    info = torch.finfo(logit.dtype)
    x = logit.sigmoid()
    edge = x.detach().clamp(min=info.tiny, max=1 - info.eps / 2)
    return torch.where(x == edge, x, edge + edge * (1 - edge) * _passing(logit))


def _passing(x: Tensor) -> Tensor:
    """Zero, with the gradient of ``x``."""
    return x - x.detach()
