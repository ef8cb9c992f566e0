"""The log-Beta function, the Beta's density, and what a Kumaraswamy's moments and divergences are made of."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from pyro_vae.distributions.gamma_functions import (
    beta_normaliser,
    log_minus_digamma,
    log_relative_density,
    trigamma,
)
from pyro_vae.distributions.parameters import widen

EULER = 0.5772156649015329


def log_beta(p: Tensor, q: Tensor) -> Tensor:
    """log B(p, q), to the last digits: no large log-Gammas are subtracted."""
    return -p * torch.log1p(q / p) - q * torch.log1p(p / q) - beta_normaliser(p, q)


def logit_beta_log_prob(log_x: Tensor, log_rest: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The log-density of the logit of x, from log x and log(1 - x) in double precision."""
    a64, b64 = widen(a, b)
    heads = log_relative_density(log_x - (a64 / (a64 + b64)).log()).mul(a64)
    tails = log_relative_density(log_rest - (b64 / (a64 + b64)).log()).mul(b64)
    return (heads + tails).to(a.dtype) + beta_normaliser(a, b)


def by_concentrations(needed: tuple[bool, ...], log_x: Tensor, log_rest: Tensor, a: Tensor, b: Tensor):
    """The derivatives of log Beta(x; a, b) by a and by b, from log x and log(1 - x) in double precision."""
    if not any(needed):
        return None, None
    a64, b64 = widen(a, b)
    total = log_minus_digamma(a + b)
    return tuple(
        (log - (c64 / (a64 + b64)).log()).to(a.dtype) + log_minus_digamma(c) - total if need else None
        for need, log, c, c64 in zip(needed, (log_x, log_rest), (a, b), (a64, b64), strict=True)
    )


def log_mean_power(b: Tensor, h: Tensor) -> Tensor:
    """log E Y^h for Y ~ Beta(1, b)."""
    return b.log() + log_beta(1 + h, b)


def log_ratio_of_moments(b: Tensor, h: Tensor) -> Tensor:
    r"""log (E Y^2h / (E Y^h)^2) for Y ~ Beta(1, b), to the last digits also where it is nearly 0.

    It is the second difference of :func:`log_mean_power` in h. For small h it is integrated from the second
    derivative, :math:`\psi'(1 + z) - \psi'(1 + z + b)`, as the difference itself would have no digits left.
    """
    near = h.clamp(max=1.0)
    total = torch.zeros_like(near)
    for node, weight in zip(*gauss_legendre(12), strict=True):
        for point, height in ((node, node), (1 + node, 1 - node)):
            z = 1 + near * point
            total = total + weight * height * (trigamma(z) - trigamma(z + b))
    far = h.clamp(min=1.0)
    direct = log_mean_power(b, 2 * far) - 2 * log_mean_power(b, far)
    return torch.where(h <= 1, near * near * total, direct)


@functools.cache
def gauss_legendre(count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nodes and weights on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return tuple(((nodes + 1) / 2).tolist()), tuple((weights / 2).tolist())


def trigamma_drop(a: Tensor, b: Tensor) -> Tensor:
    """ψ'(a) - ψ'(a + b), the variance of log X for X ~ Beta(a, b), to the last digits also where b is much the smaller:
    there it is the integral of minus ψ'', twice the Hurwitz zeta function at 3."""
    near = torch.minimum(a, b)
    total = torch.zeros_like(near)
    for node, weight in zip(*gauss_legendre(12), strict=True):
        total = total + 2 * weight * torch.special.zeta(3.0, a + near * node)
    return torch.where(b <= a, near * total, trigamma(a) - trigamma(a + b))


def minus_mean_log(b: Tensor) -> Tensor:
    """-E log Y for Y ~ Beta(1, b): the harmonic number of b."""
    return torch.digamma(b + 1) + EULER


def mean_log_ratio(b: Tensor, c: Tensor, nodes: int) -> Tensor:
    r"""D(b, c) = E log((1 - Y) / (1 - Y^c)) for Y ~ Beta(1, b), for any positive b and c; it is 0 at c = 1.

    1/b + D is the series :math:`b \sum_{m \ge 1} B(mc, b) / (m + b/c)` of the Kumaraswamy's divergence from the Beta,
    whose terms fall as :math:`m^{-1-b}`: no number of terms will do for small b. Here it is an integral over
    :math:`\eta = \operatorname{logit} Y`, after one integration by parts,

    .. math:: \frac1b + D = \int (1 - Y)^b \, \frac{c\tau}{e^{c\tau} - 1} \, \frac{1 - Y}{\tau} \, d\eta,
              \qquad \tau = -\log Y,

    from which an integral that is known and has the same tail is taken away, with its turn at the same place, log c.
    It is summed by the trapezoidal rule in u, :math:`\eta = \eta_0 + \sinh u`, where it converges exponentially.
    Where the nodes lie, and what is taken away, depends on c but is no business of the gradients'.

    Shapes: b and c broadcast. Memory and time: a few exponentials per node and element. Differentiable to any order.
    """
    with torch.no_grad():
        turn = c.clamp(min=1).log().unsqueeze(-1)
        eta, step = _nodes(b, c, nodes)
        w, tau, _, rest = _logs_of_sigmoid(eta)
        w_known, _, known, _ = _logs_of_sigmoid(eta - turn)
        weight, known = step * rest / tau, step * known
    b, z = b.unsqueeze(-1), c.unsqueeze(-1) * tau
    slope = z * torch.exp(-z) / -torch.expm1(-z)
    value = weight * torch.exp(-b * w) * slope - known * torch.exp(-b * (w_known + turn))
    return value.sum(-1) + (torch.expm1(-b * turn) / b).squeeze(-1)


def _logs_of_sigmoid(eta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """-log(1 - Y), -log Y, Y and 1 - Y for Y = sigmoid(eta), each to the last digit and none of them 0."""
    small = torch.exp(-eta.abs().clamp(max=300))
    log_sum = torch.log1p(small)
    larger = (1 + small).reciprocal()
    smaller, right = small * larger, eta > 0
    logs = eta.clamp(min=0) + log_sum, (-eta).clamp(min=0) + log_sum
    return *logs, torch.where(right, larger, smaller), torch.where(right, smaller, larger)


def _nodes(b: Tensor, c: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where the integrand is evaluated, and the step of the rule there, ``[*batch, count]`` each."""
    b, c = torch.broadcast_tensors(b, c)
    centre = torch.log((1 + c) / (1 + b))
    low, high = -torch.asinh(3 + 40 / c.clamp(max=1)), torch.asinh(3 + 40 / b.clamp(min=1))
    step = (high - low) / (count - 1)
    u = low.unsqueeze(-1) + step.unsqueeze(-1) * torch.arange(count, dtype=b.dtype, device=b.device)
    up = u.exp()
    down = up.reciprocal()
    return centre.unsqueeze(-1) + (up - down) / 2, step.unsqueeze(-1) * (up + down) / 2
