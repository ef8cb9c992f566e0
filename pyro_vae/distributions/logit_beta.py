"""``LogitBeta``: the logit of a Beta variable, which carries log x and log(1 - x) to the last digit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl
from torch.nn.functional import logsigmoid

from pyro_vae.distributions.beta_functions import by_concentrations, logit_beta_log_prob, trigamma_drop
from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.gamma_draws import log_gamma_over_mean
from pyro_vae.distributions.gamma_functions import (
    beta_entropy,
    beta_kl,
    in_double,
    log_minus_digamma,
    trigamma,
)
from pyro_vae.distributions.incomplete_beta import log_beta_tails, logit_beta_quantile
from pyro_vae.distributions.parameters import expand_parameters, widen
from pyro_vae.distributions.two_concentrations import TwoConcentrations


class LogitBeta(TwoConcentrations):
    r"""The logit of a Beta variable: v = log x - log(1 - x) with x ~ Beta(a, b), on the whole real line.

    .. math:: \log p(v) = a \log x + b \log(1 - x) - \log B(a, b), \qquad x = \frac{1}{1 + e^{-v}}

    ``logsigmoid(v)`` is log x and ``logsigmoid(-v)`` is log(1 - x), neither of them rounded to 0: what stick-breaking
    needs. It is the additive log-ratio of a :class:`LogDirichlet` with two coordinates, and with a = b = 1 the logistic
    distribution.

    Args:
        concentration1: a > 0, the weight of x, ``[*batch]``.
        concentration0: b > 0, the weight of 1 - x, ``[*batch]``.

    Raises:
        ValueError: a parameter that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: the difference of two log-Gammas; their gradients by implicit differentiation (Figurnov, Mohamed, Mnih,
    NeurIPS 2018).

    >>> _ = torch.manual_seed(0)
    >>> v = LogitBeta(torch.tensor(1e-3), torch.tensor(1e-3)).sample((1000,))
    >>> bool((v.abs() > 100).float().mean() > 0.85)  # x is within 1e-43 of 0 or 1
    True
    """

    support = constraints.real

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return expand_parameters(self, batch_shape, _instance)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape]``, through which gradients flow."""
        return logit_beta_draw(self.concentration1, self.concentration0, self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)

        return with_derivatives(_log_prob, _derivatives, value, self.concentration1, self.concentration0)

    @property
    def mean(self) -> Tensor:
        """ψ(a) - ψ(b)."""
        return in_double(
            lambda a, b: (a / b).log() - log_minus_digamma(a) + log_minus_digamma(b),
            self.concentration1,
            self.concentration0,
        )

    @property
    def variance(self) -> Tensor:
        """ψ'(a) + ψ'(b)."""
        return in_double(lambda a, b: trigamma(a) + trigamma(b), self.concentration1, self.concentration0)

    def mean_logs(self) -> tuple[Tensor, Tensor]:
        """E log x = ψ(a) - ψ(a + b) and E log(1 - x) = ψ(b) - ψ(a + b), ``[*batch]`` each."""

        def log_mean(a, b):
            return -torch.log1p(b / a) - log_minus_digamma(a) + log_minus_digamma(a + b)

        a, b = self.concentration1, self.concentration0
        return in_double(log_mean, a, b), in_double(log_mean, b, a)

    def variance_logs(self) -> tuple[Tensor, Tensor]:
        """Var log x = ψ'(a) - ψ'(a + b) and Var log(1 - x) = ψ'(b) - ψ'(a + b), ``[*batch]`` each."""
        a, b = self.concentration1, self.concentration0
        return in_double(trigamma_drop, a, b), in_double(trigamma_drop, b, a)

    @property
    def mode(self) -> Tensor:
        """log(a / b)."""
        return (self.concentration1 / self.concentration0).log()

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""

        def of_logit(a, b):
            # That of x, less E log x + E log(1 - x).
            logs = 2 * log_minus_digamma(a + b) - log_minus_digamma(a) - log_minus_digamma(b)
            return beta_entropy(a, b) - logs - (a / (a + b)).log() - (b / (a + b)).log()

        return in_double(of_logit, self.concentration1, self.concentration0)

    def cdf(self, value: Tensor) -> Tensor:
        """P(V <= value), differentiable in the value and the concentrations."""
        return in_double(lambda *args: _log_cdf(*args).exp(), value, self.concentration1, self.concentration0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(V <= value), also where the probability is below the least float."""
        return in_double(_log_cdf, value, self.concentration1, self.concentration0)

    def log_survival(self, value: Tensor) -> Tensor:
        """log P(V > value), also where the probability is below the least float."""
        return in_double(_log_survival, value, self.concentration1, self.concentration0)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``, differentiable once; -inf at 0 and inf at 1."""
        return in_double(logit_beta_quantile, value, self.concentration1, self.concentration0)


def logit_beta_draw(a: Tensor, b: Tensor, shape: torch.Size) -> Tensor:
    """The logit of a draw from Beta(a, b), as a difference of two log-Gammas."""
    ratio = log_gamma_over_mean(a.expand(shape)) - log_gamma_over_mean(b.expand(shape))
    return ratio + (a / b).log()


def _log_cdf(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return log_beta_tails(logsigmoid(v), logsigmoid(-v), a, b)[0]


def _log_survival(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return log_beta_tails(logsigmoid(v), logsigmoid(-v), a, b)[1]


def _log_prob(value: Tensor, a: Tensor, b: Tensor) -> Tensor:
    (v,) = widen(value)
    return logit_beta_log_prob(logsigmoid(v), logsigmoid(-v), a, b)


def _derivatives(needed: tuple[bool, ...], value: Tensor, a: Tensor, b: Tensor):
    v, a64, b64 = widen(value, a, b)
    by_value = a64 - (a64 + b64) * v.sigmoid() if needed[0] else None
    return by_value, *by_concentrations(needed[1:], logsigmoid(v), logsigmoid(-v), a, b)


@register_kl(LogitBeta, LogitBeta)
def _kl_logit_beta(p: LogitBeta, q: LogitBeta) -> Tensor:
    return in_double(beta_kl, p.concentration1, p.concentration0, q.concentration1, q.concentration0)
