"""Logarithms that keep their digits where the number itself, or one minus it, would round to 0 or 1.

Without branches, so that no NaN of a branch that was not taken reaches a gradient, and each is a few passes over the
data. Differentiable twice, and finite wherever the value is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log1mexp(t: Tensor) -> Tensor:
    """log(1 - e^t) for t < 0; -inf at 0.

    log(-expm1(t)) is right near 0 and, far to the left, rounds 1 - e^t. What that lost is known, and is added back.
    """
    one_minus = -torch.expm1(t)
    return one_minus.log() + ((1 - one_minus) - t.exp())


def log1mexpexp(s: Tensor) -> Tensor:
    """log(1 - exp(-e^s)) for any real s: s itself far to the left, -exp(-e^s) far to the right."""
    reach = _reach(s)
    return log1mexp(-s.clamp(-reach, reach).exp()) + (s + reach).clamp(max=0)


def log_neg_log1mexp(w: Tensor) -> Tensor:
    """log(-log(1 - e^w)) for w < 0: w itself far to the left."""
    reach = _reach(w)
    return (-log1mexp(w.clamp(min=-reach))).log() + (w + reach).clamp(max=0)


def log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + e^x)) for any real x: x itself far to the left, log x far to the right."""
    reach = _reach(x)
    return (-torch.nn.functional.logsigmoid(-x.clamp(min=-reach))).log() + (x + reach).clamp(max=0)


def _reach(x: Tensor) -> float:
    """How far e^-x may go before its square leaves the floats; beyond it, the first term is all there is."""
    return -0.45 * math.log(torch.finfo(x.dtype).tiny)
