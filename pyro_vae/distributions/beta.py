"""``Beta`` with draws, gradients and densities that hold for any concentrations."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import register_kl

from pyro_vae.distributions.beta_functions import by_concentrations, logit_beta_log_prob
from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.gamma_functions import beta_entropy, beta_kl, in_double
from pyro_vae.distributions.incomplete_beta import log_beta_tails, logit_beta_quantile
from pyro_vae.distributions.interior import sigmoid_interior
from pyro_vae.distributions.logit_beta import logit_beta_draw
from pyro_vae.distributions.parameters import broadcast, widen
from pyro_vae.distributions.supports import open_unit_interval


class Beta(dist.Beta):
    r"""The Beta distribution with concentrations a and b, on the open interval (0, 1).

    .. math:: p(x) = \frac{x^{a-1} (1-x)^{b-1}}{B(a, b)}

    Draws are made on the logit scale and then put on the nearest float inside the interval: with small a that is
    often the smallest one, and with small b the last before 1. :class:`LogitBeta` keeps the logit itself. It is a
    ``pyro.distributions.Beta``, and takes part in its KL rules and conjugacy.

    Args:
        concentration1: a > 0, the weight of x, ``[*batch]``.
        concentration0: b > 0, the weight of 1 - x, ``[*batch]``.

    Raises:
        ValueError: a parameter that is not positive, or shapes that do not broadcast; names the argument and the value.

    Source: x = G / (G + H) of two Gammas, in log space; their gradients by implicit differentiation (Figurnov,
    Mohamed, Mnih, NeurIPS 2018).

    >>> _ = torch.manual_seed(0)
    >>> x = Beta(torch.tensor(1e-3), torch.tensor(1e-3)).sample((1000,))
    >>> (x == 0.5).sum().item(), round((x > 0.5).float().mean().item(), 1)  # torch's own: a quarter is exactly .5
    (0, 0.5)
    """

    support = open_unit_interval

    def __init__(
        self,
        concentration1: Tensor | float,
        concentration0: Tensor | float,
        *,
        validate_args: bool | None = None,
    ):
        super().__init__(
            *broadcast(concentration1=concentration1, concentration0=concentration0), validate_args=validate_args
        )

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return super().expand(batch_shape, self._get_checked_instance(Beta, _instance))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape]``, through which gradients flow."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return sigmoid_interior(logit_beta_draw(self.concentration1, self.concentration0, shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)

        return with_derivatives(_log_prob, _derivatives, value, self.concentration1, self.concentration0)

    @property
    def mode(self) -> Tensor:
        """(a - 1) / (a + b - 2) with a, b > 1; an end of the interval that the density rises to; otherwise NaN."""
        a, b = self.concentration1 - 1, self.concentration0 - 1
        inner = torch.where((a >= 0) & (b >= 0) & (a + b > 0), a / (a + b), torch.nan)
        inner = torch.where((a < 0) & (b >= 0), 0.0, inner)
        return torch.where((b < 0) & (a >= 0), 1.0, inner)

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""
        return in_double(beta_entropy, self.concentration1, self.concentration0)

    def cdf(self, value: Tensor) -> Tensor:
        """The regularised incomplete Beta function, for any real value: 0 up to 0, and 1 from 1 on.

        Differentiable in the value and the concentrations.
        """
        return in_double(lambda *args: _log_cdf(*args).exp(), value, self.concentration1, self.concentration0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(X <= value), also where the probability is below the least float."""
        return in_double(_log_cdf, value, self.concentration1, self.concentration0)

    def log_survival(self, value: Tensor) -> Tensor:
        """log P(X > value), also where the probability is below the least float."""
        return in_double(_log_survival, value, self.concentration1, self.concentration0)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``, differentiable once; 0 at 0 and 1 at 1."""
        return in_double(
            lambda *args: logit_beta_quantile(*args).sigmoid(), value, self.concentration1, self.concentration0
        )


def _log_cdf(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _tails(x, a, b, (-torch.inf, 0.0))[0]


def _log_survival(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _tails(x, a, b, (0.0, -torch.inf))[1]


def _tails(x: Tensor, a: Tensor, b: Tensor, beyond: tuple[float, float]) -> list[Tensor]:
    """The logarithms of both tails; ``beyond`` are what they are up to 0 and from 1 on."""
    inside = (x > 0) & (x < 1)
    within = torch.where(inside, x, 0.5)  # so that no gradient of an end is NaN
    tails = log_beta_tails(within.log(), torch.log1p(-within), a, b)
    return [torch.where(inside, tail, torch.where(x <= 0, *beyond)) for tail in tails]


def _log_prob(value: Tensor, a: Tensor, b: Tensor) -> Tensor:
    (x,) = widen(value)
    log_x, log_rest = x.log(), torch.log1p(-x)
    return logit_beta_log_prob(log_x, log_rest, a, b) - (log_x + log_rest).to(value.dtype)


def _derivatives(needed: tuple[bool, ...], value: Tensor, a: Tensor, b: Tensor):
    x, a64, b64 = widen(value, a, b)
    by_value = (a64 - 1) / x - (b64 - 1) / (1 - x) if needed[0] else None
    return by_value, *by_concentrations(needed[1:], x.log(), torch.log1p(-x), a, b)


@register_kl(Beta, Beta)
@register_kl(Beta, torch.distributions.Beta)
@register_kl(torch.distributions.Beta, Beta)
def _kl_beta(p, q) -> Tensor:
    return in_double(beta_kl, p.concentration1, p.concentration0, q.concentration1, q.concentration0)
