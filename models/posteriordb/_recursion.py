"""A linear recursion, for the programs beside this file. Not a program itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def decaying_sum(values: Tensor, decay: Tensor) -> Tensor:
    r"""s of the recursion :math:`s_t = v_t + b s_{t-1}` along the last dim of ``values`` ``[..., T]``, without a loop.

    ``decay``, b, is ``[..., 1]`` or a scalar. The series is cut into :math:`\sqrt T` blocks. Two small matrices of
    powers of b sum within a block, and carry what a block ends with to those after it.
    """
    length = values.shape[-1]
    size = math.isqrt(length - 1) + 1
    decay = decay.expand(*values.shape[:-1], 1)
    rows = torch.nn.functional.pad(values, (0, -length % size)).unflatten(-1, (-1, size))
    within = rows @ _powers(decay, size)
    ends = within[..., :-1, -1].unsqueeze(-2) @ _powers(decay**size, rows.shape[-2] - 1)
    carried = torch.nn.functional.pad(ends.squeeze(-2), (1, 0)).unsqueeze(-1)
    sums = within + carried * decay.unsqueeze(-1) ** torch.arange(1.0, size + 1, dtype=values.dtype)
    return sums.flatten(-2)[..., :length]


def _powers(decay: Tensor, size: int) -> Tensor:
    """The matrix ``[..., size, size]`` with b to the power of (column - row), and 0 below the diagonal."""
    places = torch.arange(float(size), dtype=decay.dtype)
    lag = places - places[:, None]
    return torch.where(lag >= 0, decay.unsqueeze(-1) ** lag.clamp(min=0.0), 0.0)
