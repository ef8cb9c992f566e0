"""``StraightThroughOneHot``: a one-hot draw with the gradient of its relaxation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import OneHotCategorical, constraints, register_kl
from torch.nn.functional import one_hot

from pyro_vae.distributions.relaxation import CategoricalRelaxation


class StraightThroughOneHot(CategoricalRelaxation):
    r"""A one-hot variable whose draw carries the gradient of a :class:`Concrete` draw from the same noise.

    .. math:: x = \text{one-hot}(\arg\max_k (\ell_k + g_k)), \qquad
              \frac{\partial x}{\partial \ell} := \frac{\partial}{\partial \ell} \text{softmax}((\ell + g) / T)

    The law is the categorical one: draws, log-density, entropy and KL do not depend on the temperature, so an ELBO with
    such a site is the exact one of a discrete variable. **Its gradient is biased**, at every temperature, and can
    have the wrong sign; low temperatures trade some bias for variance. The log-density is linear in the value, so that
    gradients pass through it too.

    Where an estimator wants no path (``ScoreFunction``, ``VIMCO``), it is a one-hot categorical like any other, and
    unbiased. It can be enumerated.

    Args:
        temperature: T > 0 of the gradient; one number, or ``[*batch, 1]``.
        probs: probabilities of the K classes, ``[*batch, K]``; or
        logits: their logarithms up to a constant, ℓ.

    Raises:
        ValueError: a temperature that is not positive or not of such a shape, both or neither of probs and logits,
            probs that do not sum to one; names the argument and the value.

    Source: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, section 2.2.

    >>> _ = torch.manual_seed(0)
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> x = StraightThroughOneHot(0.5, logits=logits).rsample()
    >>> (x @ torch.tensor([1.0, 2.0, 3.0])).backward()
    >>> x.detach(), bool((logits.grad != 0).all())
    (tensor([1., 0., 0.]), True)
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """One-hot vectors from exponential noise, ``[..., K]``."""
        soft = self.log_weights(noise).exp()
        hard = one_hot(soft.argmax(-1), self.event_shape[0]).to(soft.dtype)
        return hard + (soft - soft.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of a one-hot ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        return (value * self._log_probs).sum(-1)

    @property
    def _log_probs(self) -> Tensor:
        return self.logits.log_softmax(-1)

    @property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.logits.softmax(-1)

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.mean * (1 - self.mean)

    @property
    def mode(self) -> Tensor:
        """The likeliest class, one-hot."""
        return one_hot(self.logits.argmax(-1), self.event_shape[0]).to(self.logits.dtype)

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""
        return -(self.mean * self._log_probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The K one-hot vectors, ``[K, *batch or 1s, K]``."""
        K = self.event_shape[0]
        values = torch.eye(K, dtype=self.logits.dtype, device=self.logits.device)
        values = values.view(K, *(1,) * len(self.batch_shape), K)
        return values.expand(K, *self.batch_shape, K) if expand else values


@register_kl(StraightThroughOneHot, StraightThroughOneHot)
@register_kl(StraightThroughOneHot, OneHotCategorical)
@register_kl(OneHotCategorical, StraightThroughOneHot)
def _kl_one_hot(p, q) -> Tensor:
    log_p = p.logits.log_softmax(-1)
    return (log_p.exp() * (log_p - q.logits.log_softmax(-1))).sum(-1)
