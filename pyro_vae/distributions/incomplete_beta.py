r"""The regularised incomplete Beta function and its inverse, on the logit scale and in logarithms: no tail is lost.

With v the logit of x, its density is :math:`e^{φ(v)} / B(a, b)`, :math:`φ(v) = a v - (a + b) \log(1 + e^v)`, and the
lower tail is that density times

.. math:: J(v) = \int_0^\infty e^{φ(v - s) - φ(v)} \, ds,

which is about the width of what is left, and in which no large terms cancel. φ is concave. To the far left it is a
straight line with slope a, to the far right one with slope -b: there J is a series of positive, falling terms (DLMF
8.17.8) and an expansion in e^-v. Between them the integrand falls within a few units, and is summed by Gauss's rule.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pyro_vae.distributions.beta_functions import gauss_legendre, log_beta, logit_beta_log_prob
from pyro_vae.distributions.gamma_functions import log_minus_digamma
from pyro_vae.distributions.log_space import log1mexp

_NODES = 32  # 28 reach the last bits at any parameters, 24 do not
_DROP = 42.0  # e^-42 is below the last bit of a double
_SERIES_TERMS = 54  # the terms at least halve
_FLAT = 8.0  # on the flat side the terms fall to an eighth
_FLAT_TERMS = 19


def log_beta_tails(log_x: Tensor, log_rest: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """log P(X <= x) and log P(X >= x) for X ~ Beta(a, b), from log x and log(1 - x), in double precision.

    Each to about 1e-13, for parameters from 1e-6 to 1e6 and any x, also where the probability is far below the least
    float. One tail is summed, the other is what it leaves of 1: which one is decided at the mean of the logit, on
    either side of which a log-concave variable has at least 1/e, so that the difference costs no digits.

    Differentiable in everything, and twice. Some microseconds per element; where a gradient is asked for, some hundreds
    of numbers are kept for each.

    >>> x = torch.tensor(1e-4, dtype=torch.float64)
    >>> lower, upper = log_beta_tails(x.log(), torch.log1p(-x), *torch.tensor([2.0, 1.0], dtype=torch.float64))
    >>> lower.exp(), upper  # x² and log(1 - x²)
    (tensor(1.0000e-08, dtype=torch.float64), tensor(-1.0000e-08, dtype=torch.float64))
    """
    most = torch.finfo(log_x.dtype).max / 4
    log_x, log_rest = log_x.clamp(min=-most), log_rest.clamp(min=-most)
    v = log_x - log_rest
    with torch.no_grad():
        left = v <= (a / b).log() - log_minus_digamma(a) + log_minus_digamma(b)
    near, far = torch.where(left, a, b), torch.where(left, b, a)
    ratio = _tail_over_density(torch.where(left, v, -v), near, far)
    small = logit_beta_log_prob(log_x, log_rest, a, b) + ratio.log()
    large = log1mexp(small)
    return torch.where(left, small, large), torch.where(left, large, small)


def logit_beta_quantile(u: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The logit at which the lower tail of Beta(a, b) is u: -inf at 0, inf at 1. In double precision.

    Newton's method for the log of the smaller tail, which is concave: from the left it never overshoots, and it takes
    at most 16 steps. Differentiable once, in u and the parameters, by the implicit function.
    """
    u, a, b = torch.broadcast_tensors(u, a, b)
    lower = u <= 0.5
    near, far = torch.where(lower, a, b), torch.where(lower, b, a)
    log_tail = torch.where(lower, u, 1 - u).log()

    def residual(v: Tensor) -> tuple[Tensor, Tensor]:
        log_x, log_rest = logsigmoid(v), logsigmoid(-v)
        found, _ = log_beta_tails(log_x, log_rest, near, far)
        slope = (logit_beta_log_prob(log_x, log_rest, near, far) - found).detach().exp()
        return found - log_tail, slope

    with torch.no_grad():
        v, least = _start(log_tail, near, far)
        inside = (u > 0) & (u < 1)
        for _ in range(30):
            off, slope = residual(v)
            step = torch.where(inside, off / slope, 0.0)
            v = torch.maximum(v - step, least)
            if (step.abs() <= 1e-9 * v.abs()).all():  # and the next step, below, squares it
                break
        v = torch.where(inside, v, 0.0)
    off, slope = residual(v)
    v = torch.where(inside, v - off / slope, -torch.inf)
    return torch.where(lower, v, -v)


def _start(log_tail: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A first guess of the quantile of the lower tail, and a bound below it."""
    normaliser = log_beta(a, b)
    least = (log_tail + a.log() + normaliser) / a  # the tail is at most x^a / (a B)
    most = -(torch.log1p(-log_tail.exp()) + b.log() + normaliser) / b
    # Abramowitz and Stegun 26.5.22
    z = torch.special.ndtri(log_tail.exp())
    first, second = (2 * a - 1).reciprocal(), (2 * b - 1).reciprocal()
    h, third = 2 / (first + second), (z * z - 3) / 6
    w = z * (h + third).sqrt() / h + (second - first) * (third + 5 / 6 - 2 / (3 * h))
    normal = (a / b).log() + 2 * w
    guess = torch.where((a > 1) & (b > 1) & torch.isfinite(normal), normal, torch.where(b < 1, most, least))
    return torch.maximum(guess, least), least


def _tail_over_density(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """J(v), for v up to the mean of the logit."""
    n = a + b
    with torch.no_grad():
        knee = (n.clamp(min=1) * _FLAT).log()
        limit = ((a + 1) / n / 2).clamp(max=0.5)  # up to this x the terms of the series halve
    top = torch.minimum(v, knee)
    flat = _flat(v, knee, b, n)
    with torch.no_grad():  # how far Gauss's rule goes is no business of the gradients'
        depth, reach = (top - torch.logit(limit)).clamp(min=0), _reach(top, a, b)
        cut = depth > reach
        depth = torch.where(cut, reach, depth)
    middle = torch.zeros_like(top)
    for node, weight in zip(*gauss_legendre(_NODES), strict=True):
        middle = middle + weight * (-_drop(depth * node, top, a, b)).exp()
    end = torch.where(cut, limit, torch.sigmoid(top - depth))
    rest = (-_drop(depth, top, a, b)).exp() * _series(end, a, n)
    return flat + (depth * middle + rest) * _drop(top - v, top, a, b).exp()


def _drop(s: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """φ(v) - φ(v - s), by the side that v is on: neither x nor 1 - x is near 1."""
    right = v > 0
    change = torch.expm1(torch.where(right, s, -s))
    return (a + b) * torch.log1p(torch.sigmoid(-v.abs()) * change) - torch.where(right, b, -a) * s


def _reach(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The s at which the integrand has fallen to e^-42, within some per cent: Newton's method on a log-log scale."""
    n = a + b
    s = (_DROP + n * -logsigmoid(-v)) / a  # an upper bound
    for _ in range(12):
        drop = _drop(s, v, a, b)
        slope = s * (a - n * torch.sigmoid(v - s)) / drop
        s = s * ((_DROP / drop).log() / slope).clamp(-3, 3).exp()
    return s


def _series(x: Tensor, a: Tensor, n: Tensor) -> Tensor:
    """J where the density is a power of x and little else."""
    term = torch.ones_like(x)
    total = term
    for j in range(_SERIES_TERMS):
        term = term * x * ((n + j) / (a + 1 + j))
        total = total + term
    return total / a


def _flat(v: Tensor, knee: Tensor, b: Tensor, n: Tensor) -> Tensor:
    """J's part down to ``knee``, where the density is e^-bv and little else: (1 + e^-v)^-n is expanded."""
    y, beyond = torch.exp(-knee), torch.maximum(v, knee)
    length = beyond - knee
    term = torch.ones_like(y)
    total = torch.zeros_like(y)
    for j in range(_FLAT_TERMS):
        total = total - term * torch.expm1(-(b + j) * length) / (b + j)
        term = term * y * (-(n + j) / (j + 1))
    return total * (b * length + n * torch.log1p(torch.exp(-beyond))).exp()
