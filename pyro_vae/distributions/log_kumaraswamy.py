"""``LogKumaraswamy``: a Kumaraswamy variable on the logit scale, where no draw is lost."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl
from torch.nn.functional import logsigmoid

from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.kumaraswamy_functions import (
    entropy_of_logit,
    kl_to_beta,
    kl_to_kumaraswamy,
    logit_from_noise,
    mean_logit,
    mean_logs,
    nodes_for,
    variances,
)
from pyro_vae.distributions.log_space import log1mexpexp, log_neg_log1mexp, log_softplus
from pyro_vae.distributions.logit_beta import LogitBeta
from pyro_vae.distributions.noise import FromNoise, Noise
from pyro_vae.distributions.parameters import widen
from pyro_vae.distributions.two_concentrations import TwoConcentrations


class LogKumaraswamy(TwoConcentrations, FromNoise):
    r"""The logit v = log x - log(1 - x) of x ~ Kumaraswamy(a, b), on the whole real line.

    .. math:: \log p(v) = \log a + \log b + a \log x + (b - 1) \log(1 - x^a) + \log(1 - x), \qquad
              x = \frac{1}{1 + e^{-v}}

    Its name is that of the family on a scale where no draw is lost; the value is the logit and not log x. The one
    number carries both logarithms to the last digit, neither of them rounded to 0: log x is ``logsigmoid(v)``,
    log(1 - x) is ``logsigmoid(-v)``, as for :class:`LogitBeta` and :class:`LogitRelaxedBernoulli`. That is what
    stick-breaking and the divergence from a Beta need. A draw comes
    from exponential noise E: :math:`\log x = \log(1 - e^{-E/b}) / a`, and log(1 - x) from the same, without x.

    Args:
        concentration1: a > 0, ``[*batch]``.
        concentration0: b > 0, ``[*batch]``.

    Raises:
        ValueError: a parameter that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: Kumaraswamy, "A generalized probability density function for double-bounded random processes", Journal of
    Hydrology 46, 1980.

    >>> _ = torch.manual_seed(0)
    >>> v = LogKumaraswamy(torch.tensor(0.05), torch.tensor(0.05)).sample((10_000,))
    >>> bool((v.sigmoid() == 1).float().mean() > 0.3), bool(torch.isfinite(v).all())
    (True, True)
    """

    support = constraints.real
    noise = Noise.EXPONENTIAL

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """The logit of (1 - e^(-noise / b))^(1/a); noise is Exponential(1)."""
        return in_double(logit_from_noise, noise, self.concentration1, self.concentration0)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value`` on the logit scale, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        return in_double(_log_density, value, self.concentration1, self.concentration0)

    def cdf(self, value: Tensor) -> Tensor:
        """P(V <= value), for any real value."""
        return in_double(
            lambda *args: -torch.expm1(_log_survival(*args)), value, self.concentration1, self.concentration0
        )

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(V <= value), also where the probability is below the least float."""
        return in_double(_log_cdf, value, self.concentration1, self.concentration0)

    def log_survival(self, value: Tensor) -> Tensor:
        """log P(V > value), also where the probability is below the least float."""
        return in_double(_log_survival, value, self.concentration1, self.concentration0)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability; -inf at 0 and inf at 1."""
        return in_double(
            lambda u, a, b: logit_from_noise(-torch.log1p(-u), a, b), value, self.concentration1, self.concentration0
        )

    @property
    def mean(self) -> Tensor:
        """E log X - E log(1 - X), by quadrature to working precision."""
        nodes = nodes_for(self)
        return in_double(lambda a, b: mean_logit(a, b, nodes), self.concentration1, self.concentration0)

    @property
    def variance(self) -> Tensor:
        """Var(log X - log(1 - X)), by quadrature to working precision."""
        return in_double(lambda a, b: variances(a, b)[2], self.concentration1, self.concentration0)

    def mean_logs(self) -> tuple[Tensor, Tensor]:
        """E log X and E log(1 - X), ``[*batch]`` each; the second by quadrature to working precision."""
        nodes, (a, b) = nodes_for(self), widen(self.concentration1, self.concentration0)
        return tuple(mean.to(self.concentration1.dtype) for mean in mean_logs(a, b, nodes))  # type: ignore[return-value]

    def variance_logs(self) -> tuple[Tensor, Tensor]:
        """Var log X and Var log(1 - X), ``[*batch]`` each, by quadrature to working precision."""
        a, b = widen(self.concentration1, self.concentration0)
        return tuple(variance.to(self.concentration1.dtype) for variance in variances(a, b)[:2])  # type: ignore[return-value]

    @property
    def mode(self) -> Tensor:
        """The highest point of the density on the logit scale, by bisection; no gradient.

        It exists for all parameters, and is not the logit of the Kumaraswamy's own mode.
        """
        with torch.no_grad():
            return _mode(*widen(self.concentration1, self.concentration0)).to(self.concentration1.dtype)

    def entropy(self) -> Tensor:
        """The entropy in nats on the logit scale, ``[*batch]``."""
        nodes = nodes_for(self)
        return in_double(lambda a, b: entropy_of_logit(a, b, nodes), self.concentration1, self.concentration0)


def _log1m_power(v: Tensor, a: Tensor) -> Tensor:
    """log(1 - x^a) at the logit v of x: a log x is -exp(s), and 1 - x^a may be far below the least float."""
    return log1mexpexp(a.log() + log_softplus(-v))


def _log_density(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    power = _log1m_power(v, a)
    # Far out both logarithms are about -v: their difference stays small, and b may be.
    return a.log() + b.log() + a * logsigmoid(v) + b * power + (logsigmoid(-v) - power)


def _cdf(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return -torch.expm1(_log_survival(v, a, b))


def _log_cdf(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return log1mexpexp(b.log() + log_neg_log1mexp(a * logsigmoid(v)))


def _log_survival(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return b * _log1m_power(v, a)


def _mode(a: Tensor, b: Tensor) -> Tensor:
    """Where the slope a (1 - x) (1 - (b - 1) x^a / (1 - x^a)) - x turns negative, sought on the scale of asinh v."""

    def rises(v: Tensor) -> Tensor:
        # The slope over 1 - x, in logarithms: a > a (b - 1) x^a / (1 - x^a) + x / (1 - x).
        odds = (a * logsigmoid(v) - _log1m_power(v, a)).exp()
        return a + a * odds > a * b * odds + v.exp()

    low, high = torch.full_like(a, -50.0), torch.full_like(a, 50.0)
    for _ in range(80):
        middle = (low + high) / 2
        up = rises(torch.sinh(middle))
        low, high = torch.where(up, middle, low), torch.where(up, high, middle)
    return torch.sinh((low + high) / 2)


register_kl(LogKumaraswamy, LogKumaraswamy)(kl_to_kumaraswamy)
register_kl(LogKumaraswamy, LogitBeta)(kl_to_beta)
