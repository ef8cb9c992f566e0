"""``LogitRelaxedBernoulli``: the relaxed Bernoulli variable on the logit scale, where no temperature is too low."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from pyro_vae.distributions.gamma_functions import in_double
from pyro_vae.distributions.relaxation import BernoulliRelaxation


class LogitRelaxedBernoulli(BernoulliRelaxation):
    r"""The logit of a :class:`RelaxedBernoulli` variable: logistic, with mean ℓ / T and scale 1 / T.

    .. math:: \log p(v) = \log T - |z| - 2 \log(1 + e^{-|z|}), \qquad z = T v - \ell

    Args:
        temperature: T > 0, ``[*batch]``.
        probs: the probability of a one, ``[*batch]``; or
        logits: its log-odds ℓ.

    Raises:
        ValueError: a temperature that is not positive, both or neither of probs and logits, probs outside [0, 1],
            shapes that do not broadcast; names the argument and the value.

    Source: Maddison, Mnih, Teh, "The Concrete Distribution", ICLR 2017, appendix B.

    >>> LogitRelaxedBernoulli(0.5, logits=torch.tensor(1.0)).mean
    tensor(2.)
    """

    support = constraints.real

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Logits from exponential noise, ``[...]``."""
        return self.relaxed_logit(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        return logistic_log_prob(value, self.temperature, self.logits)

    @property
    def mean(self) -> Tensor:
        """ℓ / T."""
        return self.logits / self.temperature

    @property
    def variance(self) -> Tensor:
        """π² / (3 T²)."""
        return math.pi**2 / 3 / self.temperature.square()

    @property
    def mode(self) -> Tensor:
        """ℓ / T."""
        return self.mean

    def entropy(self) -> Tensor:
        """2 - log T nats, ``[*batch]``."""
        return 2 - self.temperature.log()

    def cdf(self, value: Tensor) -> Tensor:
        """P(V <= value)."""
        if self._validate_args:
            self._validate_sample(value)
        return in_double(lambda v, T, logits: (T * v - logits).sigmoid(), value, self.temperature, self.logits)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at a probability, ``[*batch]``."""
        return in_double(logistic_quantile, value, self.temperature, self.logits)


def logistic_log_prob(logit: Tensor, temperature: Tensor, logits: Tensor) -> Tensor:
    """The density of :class:`LogitRelaxedBernoulli`."""
    z = temperature * logit - logits
    return temperature.log() + logsigmoid(z) + logsigmoid(-z)


def logistic_quantile(u: Tensor, temperature: Tensor, logits: Tensor) -> Tensor:
    """The quantile of :class:`LogitRelaxedBernoulli`."""
    return (logits + u.log() - torch.log1p(-u)) / temperature
