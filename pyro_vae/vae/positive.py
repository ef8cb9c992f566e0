"""From a net's real numbers to scales and concentrations."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

LEAST = 1e-6
_ONE = math.log(math.expm1(1 - LEAST))


def positive(raw: Tensor) -> Tensor:
    """``log(1 + e^(raw + c)) + 1e-6``, with c such that 0 gives 1: it grows linearly, where exp would run away.

    >>> import torch
    >>> positive(torch.tensor([-100.0, 0.0, 100.0]))
    tensor([1.0000e-06, 1.0000e+00, 1.0054e+02])
    """
    return softplus(raw + _ONE) + LEAST


def unpositive(value: float) -> float:
    """The number of which :func:`positive` is ``value``."""
    return value - LEAST + math.log(-math.expm1(LEAST - value)) - _ONE
