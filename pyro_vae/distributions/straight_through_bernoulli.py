"""``StraightThroughBernoulli``: a draw of 0 or 1 with the gradient of its relaxation."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Bernoulli, constraints, register_kl
from torch.nn.functional import logsigmoid

from pyro_vae.distributions.relaxation import BernoulliRelaxation


class StraightThroughBernoulli(BernoulliRelaxation):
    r"""A Bernoulli variable whose draw carries the gradient of a :class:`RelaxedBernoulli` draw from the same noise.

    .. math:: x = [\ell + \epsilon > 0], \qquad
              \frac{\partial x}{\partial \ell} := \frac{\partial}{\partial \ell} \sigma((\ell + \epsilon) / T), \qquad
              \epsilon \sim \text{Logistic}

    The law is Bernoulli's and does not depend on the temperature, so an ELBO with such a site is the exact one of a
    discrete variable. **Its gradient is biased**, at every temperature, and can have the wrong sign. Where an
    estimator wants no path (``ScoreFunction``, ``VIMCO``) it is unbiased. It can be enumerated.

    Args:
        temperature: T > 0 of the gradient, ``[*batch]``.
        probs: the probability of a one, ``[*batch]``; or
        logits: its log-odds ℓ.

    Raises:
        ValueError: a temperature that is not positive, both or neither of probs and logits, probs outside [0, 1],
            shapes that do not broadcast; names the argument and the value.

    Source: Bengio, Léonard, Courville, arXiv:1308.3432 (2013); Jang, Gu, Poole, ICLR 2017, section 2.2.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> logits = torch.zeros((), requires_grad=True)
    >>> x = StraightThroughBernoulli(0.5, logits=logits).rsample()
    >>> x.backward()
    >>> x.item() in (0.0, 1.0), bool(logits.grad > 0)
    (True, True)
    """

    support = constraints.boolean
    has_enumerate_support = True

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Zeros and ones from exponential noise, ``[...]``."""
        logit = self.relaxed_logit(noise)
        soft = logit.sigmoid()
        return (logit > 0).to(soft.dtype) + (soft - soft.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of a zero or one, ``[*batch]``; linear in ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        return value * self.logits + logsigmoid(-self.logits)

    @property
    def mean(self) -> Tensor:
        """The probability of a one."""
        return self.logits.sigmoid()

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.logits.sigmoid() * (-self.logits).sigmoid()

    @property
    def mode(self) -> Tensor:
        """The likelier of 0 and 1."""
        return (self.logits > 0).to(self.logits.dtype)

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""
        p = self.logits.sigmoid()
        return -p * logsigmoid(self.logits) - (-self.logits).sigmoid() * logsigmoid(-self.logits)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1, ``[2, *batch or 1s]``."""
        return dist.Bernoulli(logits=self.logits).enumerate_support(expand)


@register_kl(StraightThroughBernoulli, StraightThroughBernoulli)
@register_kl(StraightThroughBernoulli, Bernoulli)
@register_kl(Bernoulli, StraightThroughBernoulli)
def _kl_bernoulli(p, q) -> Tensor:
    ones = p.logits.sigmoid() * (logsigmoid(p.logits) - logsigmoid(q.logits))
    return ones + (-p.logits).sigmoid() * (logsigmoid(-p.logits) - logsigmoid(-q.logits))
