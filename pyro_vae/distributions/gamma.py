"""``Gamma`` with draws, gradients and densities that hold for any concentration."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints, register_kl

from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.gamma_draws import log_gamma_over_mean
from pyro_vae.distributions.gamma_functions import (
    LEAST,
    gamma_kl,
    in_double,
    log_minus_digamma,
    log_relative_density,
    standard_gamma_entropy,
    stirling_excess,
)
from pyro_vae.distributions.gamma_quantiles import gamma_cdf, gamma_quantile
from pyro_vae.distributions.interior import exp_interior
from pyro_vae.distributions.parameters import broadcast, widen


class Gamma(dist.Gamma):
    r"""The Gamma distribution with concentration a and rate r, on the open half-line.

    .. math:: p(x) = \frac{r^a}{\Gamma(a)} x^{a-1} e^{-rx}

    Draws are made in log space and then put on the nearest positive float. For a below about .1 that is often the
    smallest one, in float32 1.2e-38; :class:`LogGamma` keeps log x itself. It is a ``pyro.distributions.Gamma``, and
    takes part in its KL rules and conjugacy.

    Args:
        concentration: a > 0, ``[*batch]``.
        rate: r > 0 (one over the scale), ``[*batch]``.

    Raises:
        ValueError: a parameter that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: draws by Marsaglia and Tsang (ACM TOMS 2000), boosted in log space; gradients by implicit differentiation
    (Figurnov, Mohamed, Mnih, NeurIPS 2018).

    >>> _ = torch.manual_seed(0)
    >>> a = torch.tensor(1e-3, requires_grad=True)
    >>> x = Gamma(a, 1.0).rsample((2000,))
    >>> x.log().mean().backward()  # the mean of log x is ψ(a), its derivative about 1/a²
    >>> round(a.grad.item() / 1e6, 2)  # of a log x that the floats cut off at -87
    1.0
    """

    support = constraints.positive

    def __init__(self, concentration: Tensor | float, rate: Tensor | float, *, validate_args: bool | None = None):
        super().__init__(*broadcast(concentration=concentration, rate=rate), validate_args=validate_args)

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return super().expand(batch_shape, self._get_checked_instance(Gamma, _instance))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape]``, through which gradients flow."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return exp_interior(log_gamma_over_mean(self.concentration.expand(shape)) + self.mean.log())

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)

        return with_derivatives(_log_prob, _derivatives, value, self.concentration, self.rate)

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""
        return in_double(lambda a, r: standard_gamma_entropy(a) - r.log(), self.concentration, self.rate)

    def cdf(self, value: Tensor) -> Tensor:
        """P(X <= value): the regularised lower incomplete Gamma function; no gradient by the concentration."""
        if self._validate_args:
            self._validate_sample(value)
        return in_double(lambda x, a, r: gamma_cdf(x.log(), a, r), value, self.concentration, self.rate)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``; no gradient."""
        return in_double(lambda u, a, r: gamma_quantile(u, a, r).exp(), value, self.concentration, self.rate)


def _log_over_mean(x: Tensor, ratio: Tensor, single: bool) -> Tensor:
    """log of x times ``ratio``, the rate over the concentration; a product of single-precision numbers is a double."""
    return (x * ratio).add_(LEAST).log_() if single else (x + LEAST).log_() + ratio.log()


def _log_prob(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    x, a, r = widen(value, concentration, rate)
    log_u = _log_over_mean(x, r / a, value.dtype == torch.float32)
    density = log_relative_density(log_u).mul_(a).sub_((x + LEAST).log_())
    return density.to(value.dtype).add_(stirling_excess(concentration))


def _derivatives(needed: tuple[bool, ...], value: Tensor, concentration: Tensor, rate: Tensor):
    x, a, r = widen(value, concentration, rate)
    y = r * x
    # In this order: with a = 1 only y is left, however small.
    by_value = (a - 1 - y) / (x + LEAST) if needed[0] else None
    by_concentration = None
    if needed[1]:
        log_u = _log_over_mean(x, r / a, value.dtype == torch.float32)
        by_concentration = log_u.to(value.dtype) + log_minus_digamma(concentration)
    return by_value, by_concentration, (a - y) / r if needed[2] else None


@register_kl(Gamma, Gamma)
@register_kl(Gamma, torch.distributions.Gamma)
@register_kl(torch.distributions.Gamma, Gamma)
def _kl_gamma(p, q) -> Tensor:
    return in_double(gamma_kl, p.concentration, q.concentration, q.rate / p.rate)
