"""What ``Kumaraswamy`` and ``LogKumaraswamy`` share, in double precision: draws in log space, entropy, divergences.

X ~ Kumaraswamy(a, b) is Y^(1/a) with Y ~ Beta(1, b); H_b is the harmonic number of b, -E log Y.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from pyro_vae.distributions.beta_functions import log_beta, mean_log_ratio, minus_mean_log
from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.log_space import log1mexp, log1mexpexp, log_neg_log1mexp, log_softplus

_BEND_NODES = 128


def log_x_from_noise(noise: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """log x, where minus the log of the survival function is ``noise``: log(1 - e^(-noise / b)) / a."""
    return log1mexp(-noise / b) / a


def logit_from_noise(noise: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """log x - log(1 - x), where minus the log of the survival function is ``noise``."""
    log_neg_log_x = log_neg_log1mexp(-noise / b) - a.log()
    return -log_neg_log_x.exp() - log1mexpexp(log_neg_log_x)


def entropy(a: Tensor, b: Tensor) -> Tensor:
    """Of X: 1 - 1/b + (1 - 1/a) H_b - log ab."""
    return 1 - 1 / b + (1 - 1 / a) * minus_mean_log(b) - a.log() - b.log()


def mean_logit(a: Tensor, b: Tensor, nodes: int) -> Tensor:
    """E log X - E log(1 - X)."""
    return 1 / b - minus_mean_log(b) / a + mean_log_ratio(b, a.reciprocal(), nodes)


def entropy_of_logit(a: Tensor, b: Tensor, nodes: int) -> Tensor:
    """Of log X - log(1 - X): that of X, less E log X + E log(1 - X)."""
    return 1 + minus_mean_log(b) - a.log() - b.log() + mean_log_ratio(b, a.reciprocal(), nodes)


def mean_logs(a: Tensor, b: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """E log X and E log(1 - X)."""
    return -minus_mean_log(b) / a, -1 / b - mean_log_ratio(b, a.reciprocal(), nodes)


def variances(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of log X, of log(1 - X) and of their difference, to about 1e-12.

    They are integrals over the logit of Y, of which the density and both logarithms bend at 0, -log b or -log a and are
    smooth in between: the trapezoidal rule takes even steps from the first bend to the last, and ever longer ones
    beyond. The mean is summed with the same weights, so that nothing cancels.
    """
    with torch.no_grad():
        eta, weight = _bends(a, b)
    a, b = a.unsqueeze(-1), b.unsqueeze(-1)
    weight = weight * (b.log() + logsigmoid(eta) + b * logsigmoid(-eta)).exp()
    log_x, log_rest = logsigmoid(eta) / a, log1mexpexp(log_softplus(-eta) - a.log())

    def variance(values: Tensor) -> Tensor:
        mean = (weight * values).sum(-1, keepdim=True)
        return (weight * (values - mean).square()).sum(-1)

    return variance(log_x), variance(log_rest), variance(log_x - log_rest)


def _bends(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The nodes of that rule and their weights, ``[*batch, 128]`` each."""
    bends = torch.stack([torch.zeros_like(b), -a.clamp(max=1).log(), -b.clamp(min=1).log()])
    first, last = bends.amin(0) - 1, bends.amax(0) + 1
    # The density falls with rate 1 to the left and b to the right, and e^-45 is nothing.
    low, high = first - math.log(45), last + (45 / b.clamp(max=1)).log()
    step = ((high - low) / (_BEND_NODES - 1)).unsqueeze(-1)
    u = low.unsqueeze(-1) + step * torch.arange(_BEND_NODES, dtype=b.dtype, device=b.device)
    down, up = (first.unsqueeze(-1) - u).exp(), (u - last.unsqueeze(-1)).exp()
    return u - down + up, step * (1 + down + up)


def kl_to_kumaraswamy(p, q) -> Tensor:
    r"""KL(Kumaraswamy(a, b) || Kumaraswamy(α, β)).

    .. math:: \log\frac{ab}{\alpha\beta} + \Bigl(\frac{\alpha}{a} - 1\Bigr) H_b + \frac{\beta}{b} - 1
              + (\beta - 1)\, D(b, \alpha/a)
    """

    def kl(a, b, alpha, beta):
        return _kl(a, b, alpha, beta, alpha / a, nodes_for(p)) - alpha.log() - beta.log()

    return in_double(kl, *_concentrations(p, q))


def kl_to_beta(p, q) -> Tensor:
    r"""KL(Kumaraswamy(a, b) || Beta(α, β)).

    .. math:: \log ab + \log B(\alpha, \beta) + \Bigl(\frac{\alpha}{a} - 1\Bigr) H_b + \frac{\beta}{b} - 1
              + (\beta - 1)\, D(b, 1/a)
    """

    def kl(a, b, alpha, beta):
        return _kl(a, b, alpha, beta, a.reciprocal(), nodes_for(p)) + log_beta(alpha, beta)

    return in_double(kl, *_concentrations(p, q))


def nodes_for(distribution: Distribution) -> int:
    """How many points of the integral give the precision that the distribution's parameters have."""
    return 128 if distribution.concentration1.dtype == torch.float64 else 64  # type: ignore[attr-defined]


def _concentrations(p, q) -> tuple[Tensor, ...]:
    return p.concentration1, p.concentration0, q.concentration1, q.concentration0


def _kl(a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor, power: Tensor, nodes: int) -> Tensor:
    first, rest = (alpha / a - 1) * minus_mean_log(b), (beta - 1) * mean_log_ratio(b, power, nodes)
    return a.log() + b.log() + first + beta / b - 1 + rest
