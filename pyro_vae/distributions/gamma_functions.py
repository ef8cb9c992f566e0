"""What is left of the log-Gamma function after Stirling's leading term: the part that does not cancel.

A Gamma, Beta or Dirichlet density with large concentrations is a small difference of terms like a log a. Written with
:func:`stirling_excess` these terms are gone before anything is rounded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.parameters import widen

LEAST = 5e-324  # added to a value before its log: 0, into which exp underflows on the way to a prior, stays finite
# B_{2k} / (2k (2k - 1)), k = 1..6: log Γ(a) = (a - 1/2) log a - a + log(2π)/2 + Σ_k c_k a^{1-2k}
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_HALF_LOG_TWO_PI = 0.9189385332046727


def stirling_excess(a: Tensor) -> Tensor:
    r"""c(a) = a log a - a - log Γ(a), to working precision for every a > 0; its derivative is log a - ψ(a).

    For large a it is ½ log(a / 2π) - 1/(12a) + ..., where the three terms themselves are of the size of a log a.

    >>> stirling_excess(torch.tensor([1.0, 1e6], dtype=torch.float64))
    tensor([-1.0000,  5.9888], dtype=torch.float64)
    """
    return with_derivatives(_stirling_excess, lambda needed, a: (log_minus_digamma(a),), a)


def _stirling_excess(a: Tensor) -> Tensor:
    pairs, a_far, near, shift, coefficients = _shifted(a)
    inverse = a_far.reciprocal()
    square = inverse * inverse
    series = _polynomial(coefficients, square).mul_(inverse)
    # log Γ(a + m) - log Γ(a), less m log(a + m) - m
    product = torch.ones_like(a)
    for pair in pairs:
        product.mul_(pair.mul_(square))
    value = product.log_().add_(shift).mul_(near)
    value.add_((a / a_far).log_().mul_(a)).sub_(series)
    return value.add_(a_far.log_(), alpha=0.5).sub_(_HALF_LOG_TWO_PI)


def log_minus_digamma(a: Tensor) -> Tensor:
    """log a - ψ(a), the derivative of :func:`stirling_excess`: about 1/a at 0, and 1/(2a) + 1/(12a²) far out."""
    return with_derivatives(_log_minus_digamma, lambda needed, a: (a.reciprocal() - torch.polygamma(1, a),), a)


def _log_minus_digamma(a: Tensor) -> Tensor:
    pairs, a_far, near, shift, coefficients = _shifted(a)
    inverse = a_far.reciprocal()
    square = inverse * inverse
    derivatives = tuple(c * (2 * k + 1) for k, c in enumerate(coefficients))
    far = _polynomial(derivatives, square).mul_(square).add_(inverse, alpha=0.5)
    # ψ(a + m) - ψ(a), the sum of 1 / (a + k)
    total = torch.zeros_like(a)
    for pair in pairs:
        total.add_(pair.reciprocal_())
    total.mul_(a.clamp(max=shift).mul_(2).add_(shift - 1)).mul_(near)
    return total.add_((a / a_far).log_()).add_(far)


def _shifted(a: Tensor) -> tuple[list[Tensor], Tensor, Tensor, int, tuple[float, ...]]:
    """What takes a below m to a + m, where Stirling's series has reached working precision: the products
    (a + k)(a + m - 1 - k), k < m / 2; a + m, or a where that is above m; 1 or 0, which of the two; m; the series."""
    shift, terms = (4, 3) if a.dtype == torch.float32 else (10, 6)
    near = (a < shift).to(a.dtype)
    below = a.clamp(max=shift)
    least = (below + (shift - 1)).mul_(below)
    pairs = [least + k * (shift - 1 - k) for k in range(shift // 2)]
    return pairs, torch.add(a, near, alpha=shift), near, shift, _STIRLING[:terms]


def trigamma(a: Tensor) -> Tensor:
    """ψ'(a), as the Hurwitz zeta function at 2: torch's own trigamma is off by 5e-10."""
    return torch.special.zeta(2.0, a)


def standard_gamma_entropy(a: Tensor) -> Tensor:
    """The entropy of Gamma(a, 1): a + log Γ(a) + (1 - a) ψ(a), without its cancellation."""
    return (a - 1) * log_minus_digamma(a) + a.log() - stirling_excess(a)


def gamma_kl(a: Tensor, b: Tensor, rates: Tensor | float = 1.0) -> Tensor:
    """KL(Gamma(a, r) || Gamma(b, s)) with ``rates`` s / r: two terms that are never negative, one for the means and one
    for the shapes."""
    means = rates * a / b
    shapes = stirling_excess(a) - stirling_excess(b) - (a - b) * log_minus_digamma(a)
    return b * (means - 1 - means.log()) + shapes


def beta_normaliser(a: Tensor, b: Tensor) -> Tensor:
    """-log B(a, b) less a log(1 + b/a) + b log(1 + a/b): c(a) + c(b) - c(a + b)."""
    return stirling_excess(a) + stirling_excess(b) - stirling_excess(a + b)


def beta_entropy(a: Tensor, b: Tensor) -> Tensor:
    """The entropy of Beta(a, b): that of two Gammas, less that of their total, which is independent of their ratio."""
    gammas = standard_gamma_entropy(a) + standard_gamma_entropy(b)
    return gammas - _total_entropy(a + b, 2)


def beta_kl(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """KL(Beta(a, b) || Beta(c, d)), by the chain rule over the total of two Gammas."""
    return gamma_kl(a, c) + gamma_kl(b, d) - gamma_kl(a + b, c + d)


def dirichlet_normaliser(a: Tensor) -> Tensor:
    """:func:`beta_normaliser` for K concentrations in the last dimension."""
    return stirling_excess(a).sum(-1) - stirling_excess(a.sum(-1))


def dirichlet_entropy(a: Tensor) -> Tensor:
    """:func:`beta_entropy` for K concentrations in the last dimension."""
    return standard_gamma_entropy(a).sum(-1) - _total_entropy(a.sum(-1), a.shape[-1])


def dirichlet_kl(a: Tensor, b: Tensor) -> Tensor:
    """:func:`beta_kl` for K concentrations in the last dimension."""
    return gamma_kl(a, b).sum(-1) - gamma_kl(a.sum(-1), b.sum(-1))


def _total_entropy(total: Tensor, count: int) -> Tensor:
    """The entropy of Gamma(total, 1), and the mean log-Jacobian from ``count`` Gammas to their total and ratios."""
    return standard_gamma_entropy(total) + (count - 1) * (total.log() - log_minus_digamma(total))


def log_relative_density(log_u: Tensor) -> Tensor:
    """log u - (u - 1), from log u.

    The density of a narrow Gamma, Beta or Dirichlet is a large concentration times this, u being the value over its
    mean. Both terms are taken at the same rounded log u, so that its rounding hardly matters.
    """
    return log_u - log_u.expm1()


def in_double(function, *tensors: Tensor) -> Tensor:
    """``function`` of the tensors in float64, rounded once to their own dtype."""
    return function(*widen(*tensors)).to(tensors[0].dtype)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Horner's rule, outside any graph; ``coefficients`` from the constant up."""
    value = x * coefficients[-1]
    for coefficient in reversed(coefficients[1:-1]):
        value.add_(coefficient).mul_(x)
    return value.add_(coefficients[0])
