"""``Kumaraswamy``: the Beta's neighbour whose quantiles are in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import register_kl

from pyro_vae.distributions.beta_functions import log_mean_power, log_ratio_of_moments
from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.kumaraswamy_functions import entropy, kl_to_beta, kl_to_kumaraswamy, log_x_from_noise
from pyro_vae.distributions.log_space import log1mexp, log1mexpexp, log_neg_log1mexp
from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.parameters import widen
from pyro_vae.distributions.supports import open_unit_interval
from pyro_vae.distributions.two_concentrations import TwoConcentrations


class Kumaraswamy(TwoConcentrations, FromNoise):
    r"""The distribution on (0, 1) with 1 - F(x) = (1 - x^a)^b.

    .. math:: \log p(x) = \log a + \log b + (a - 1) \log x + (b - 1) \log(1 - x^a)

    Kumaraswamy(a, 1) = Beta(a, 1) and Kumaraswamy(1, b) = Beta(1, b); X^a ~ Beta(1, b). A draw comes from exponential
    noise E by the inverse of the survival function, in log space: :math:`\log x = \log(1 - e^{-E/b}) / a`.

    Floats have no numbers near 1: of 100 draws of Kumaraswamy(.05, .05), single precision must round 36 to 1. Such a
    draw is the nearest float inside (0, 1), with the gradient that it has in log space. Where that matters use
    :class:`LogKumaraswamy`, which loses none. Single precision is evaluated in double and rounded once.

    Args:
        concentration1: a > 0, ``[*batch]``.
        concentration0: b > 0, ``[*batch]``.

    Raises:
        ValueError: a parameter that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: Kumaraswamy, "A generalized probability density function for double-bounded random processes", Journal of
    Hydrology 46, 1980; Jones, "Kumaraswamy's distribution", Statistical Methodology 6, 2009.

    >>> d = Kumaraswamy(torch.tensor(5.0), torch.tensor(2.0))
    >>> d.log_prob(torch.tensor(1e-10))
    tensor(-89.8008)
    >>> Kumaraswamy(torch.tensor(2.0), torch.tensor(3.0)).mode
    tensor(0.4472)
    """

    support = open_unit_interval
    noise = Noise.EXPONENTIAL

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """exp(log(1 - e^(-noise / b)) / a), kept inside (0, 1); noise is Exponential(1)."""
        log_x = log_x_from_noise(*widen(noise, self.concentration1, self.concentration0))
        dtype = torch.promote_types(noise.dtype, self.concentration1.dtype)
        info = torch.finfo(dtype)
        x = _moved(log_x, log_x.detach().clamp(min=math.log(info.tiny))).exp().to(dtype)
        return _moved(x, x.detach().clamp(min=info.tiny, max=1 - info.eps / 2))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        return in_double(_log_density, value, self.concentration1, self.concentration0)

    def cdf(self, value: Tensor) -> Tensor:
        """F(value) = 1 - (1 - value^a)^b, for any real value: 0 up to 0, and 1 from 1 on."""
        return in_double(
            lambda *args: -torch.expm1(_log_survival(*args)),
            value.clamp(0, 1),
            self.concentration1,
            self.concentration0,
        )

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(X <= value) for a value in (0, 1), also where the probability is below the least float."""
        return in_double(_log_cdf, value, self.concentration1, self.concentration0)

    def log_survival(self, value: Tensor) -> Tensor:
        """log P(X > value) for a value in (0, 1), also where the probability is below the least float."""
        return in_double(_log_survival, value, self.concentration1, self.concentration0)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile (1 - (1 - value)^(1/b))^(1/a); 0 at 0 and 1 at 1."""
        return in_double(
            lambda u, a, b: log_x_from_noise(-torch.log1p(-u), a, b).exp(),
            value,
            self.concentration1,
            self.concentration0,
        )

    @property
    def mean(self) -> Tensor:
        """b B(1 + 1/a, b)."""
        return in_double(lambda a, b: log_mean_power(b, a.reciprocal()).exp(), self.concentration1, self.concentration0)

    @property
    def variance(self) -> Tensor:
        """b B(1 + 2/a, b) - mean², without the subtraction."""
        return in_double(_variance, self.concentration1, self.concentration0)

    @property
    def mode(self) -> Tensor:
        """((a - 1) / (ab - 1))^(1/a) where a >= 1 and b >= 1.

        NaN for a = b = 1, and where the density is unbounded at an end of the support: at 0 if a < 1, at 1 if b < 1.
        """
        return in_double(_mode, self.concentration1, self.concentration0)

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""
        return in_double(entropy, self.concentration1, self.concentration0)


def _log_density(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    log_x = x.log()
    return a.log() + b.log() + (a - 1) * log_x + (b - 1) * log1mexp(a * log_x)


def _cdf(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return -torch.expm1(_log_survival(x, a, b))


def _log_cdf(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return log1mexpexp(b.log() + log_neg_log1mexp(a * x.log()))


def _log_survival(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return b * log1mexp(a * x.log())


def _variance(a: Tensor, b: Tensor) -> Tensor:
    h = a.reciprocal()
    ratio = log_ratio_of_moments(b, h)
    return (2 * log_mean_power(b, h) + ratio).exp() * -torch.expm1(-ratio)


def _mode(a: Tensor, b: Tensor) -> Tensor:
    bounded = (a >= 1) & (b >= 1)
    # ab - 1, without cancellation
    return torch.where(bounded, ((a - 1) / ((a - 1) * b + (b - 1))) ** (1 / a), math.nan)


def _moved(x: Tensor, to: Tensor) -> Tensor:
    """The value ``to``, with the gradient of ``x``."""
    return x + (to - x.detach())


# Torch has no rule for its own class either, beyond that of two with the same exponents.
for _p in (Kumaraswamy, torch.distributions.Kumaraswamy):
    for _q in (Kumaraswamy, torch.distributions.Kumaraswamy):
        register_kl(_p, _q)(kl_to_kumaraswamy)
    register_kl(_p, torch.distributions.Beta)(kl_to_beta)
