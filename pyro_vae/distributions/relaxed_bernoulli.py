"""``RelaxedBernoulli``: the Bernoulli variable relaxed to the interval (0, 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.interior import sigmoid_interior
from pyro_vae.distributions.logit_relaxed_bernoulli import logistic_log_prob, logistic_quantile
from pyro_vae.distributions.relaxation import BernoulliRelaxation
from pyro_vae.distributions.supports import open_unit_interval


class RelaxedBernoulli(BernoulliRelaxation):
    r"""The binary Concrete distribution: a Bernoulli variable relaxed to the open interval (0, 1).

    .. math:: p(x) = \frac{T\, \alpha\, x^{-T-1} (1-x)^{-T-1}}{(\alpha x^{-T} + (1-x)^{-T})^2}, \qquad \alpha = e^\ell

    Draws are put on the nearest float inside the interval; at temperatures below about .1 most of them are
    within rounding of an end, and :class:`LogitRelaxedBernoulli`, which keeps their logits, is what a guide should
    use.

    Args:
        temperature: T > 0, ``[*batch]``.
        probs: the probability of a one, ``[*batch]``; or
        logits: its log-odds ℓ.

    Raises:
        ValueError: a temperature that is not positive, both or neither of probs and logits, probs outside [0, 1],
            shapes that do not broadcast; names the argument and the value.

    Source: Maddison, Mnih, Teh, "The Concrete Distribution", ICLR 2017, appendix B.

    >>> _ = torch.manual_seed(0)
    >>> d = RelaxedBernoulli(1e-3, probs=torch.tensor(0.3))
    >>> round((d.sample((10_000,)) > 0.5).float().mean().item(), 2)
    0.3
    """

    support = open_unit_interval

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Values in (0, 1) from exponential noise, ``[...]``."""
        return sigmoid_interior(self.relaxed_logit(noise))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        log_x, log_rest = value.log(), torch.log1p(-value)
        return logistic_log_prob(log_x - log_rest, self.temperature, self.logits) - log_x - log_rest

    def cdf(self, value: Tensor) -> Tensor:
        """P(X <= value)."""
        if self._validate_args:
            self._validate_sample(value)
        return in_double(
            lambda x, T, logits: (T * (x.log() - torch.log1p(-x)) - logits).sigmoid(),
            value,
            self.temperature,
            self.logits,
        )

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``."""
        return in_double(lambda *args: logistic_quantile(*args).sigmoid(), value, self.temperature, self.logits)
