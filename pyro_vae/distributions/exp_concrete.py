"""``ExpConcrete``: the relaxed one-hot variable in log space, down to temperatures where its weights underflow."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyro_vae.distributions.beta_functions import EULER
from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.parameters import widen
from pyro_vae.distributions.relaxation import CategoricalRelaxation
from pyro_vae.distributions.supports import log_simplex


class ExpConcrete(CategoricalRelaxation):
    r"""The logarithms of the weights of a :class:`Concrete` (Gumbel-softmax) variable, on the log-simplex.

    .. math:: \log p(v) = \log\Gamma(K) + (K - 1) \log T + \sum_k s_k - K \log \sum_k e^{s_k}, \qquad
              s_k = \ell_k - T v_k

    The density is with respect to Lebesgue measure on the log-ratios :math:`v_k - v_K`, as that of
    :class:`LogDirichlet`. Draws are exact at any temperature: at T = 1e-3 their entries reach -1e4.

    Args:
        temperature: T > 0; one number, or ``[*batch, 1]`` as torch has it.
        probs: probabilities of the K classes, ``[*batch, K]``; or
        logits: their logarithms up to a constant, ℓ.

    Raises:
        ValueError: a temperature that is not positive or not of such a shape, both or neither of probs and logits,
            probs that do not sum to one; names the argument and the value.

    Source: Maddison, Mnih, Teh, "The Concrete Distribution", ICLR 2017, appendix C.

    >>> _ = torch.manual_seed(0)
    >>> d = ExpConcrete(1e-3, logits=torch.zeros(10))
    >>> bool(torch.isfinite(d.log_prob(d.sample((1000,)))).all())
    True
    """

    support = log_simplex

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Log-weights from exponential noise, ``[..., K]``."""
        return self.log_weights(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value`` by the log-ratios, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        inputs = torch.broadcast_tensors(value, self.temperature, self.logits)
        return with_derivatives(_log_prob, _derivatives, *inputs)

    @property
    def mode(self) -> Tensor:
        """log-softmax(ℓ / T): the highest point of the density by the log-ratios."""
        return (self.logits / self.temperature).log_softmax(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats of the log-ratios, ``[*batch]``: K (γ + ψ(K)) - log Γ(K) - (K - 1) log T."""
        K = self.event_shape[0]
        constant = K * (EULER + torch.digamma(torch.tensor(float(K))).item()) - math.lgamma(K)
        return constant - (K - 1) * self.temperature.squeeze(-1).log()


def exp_concrete_log_prob(log_x: Tensor, temperature: Tensor, logits: Tensor) -> Tensor:
    """The density of :class:`ExpConcrete`, in double precision; ``log_x`` up to a constant, all of one shape."""
    K, T = log_x.shape[-1], temperature[..., :1].to(log_x.dtype)
    score = _score(log_x, T, logits).log_softmax(-1).sum(-1)
    return score.add_(T[..., 0].log(), alpha=K - 1).add_(math.lgamma(K))


def exp_concrete_derivatives(
    needed: tuple[bool, ...], log_x: Tensor, temperature: Tensor, logits: Tensor, less: float = 0.0
):
    """Its derivatives by ``log_x``, less a number, by the temperature, a part for each weight, and by the logits."""
    K, T = log_x.shape[-1], temperature[..., :1]
    weights = _score(log_x, T.to(log_x.dtype), logits).softmax(-1).to(logits.dtype)
    by_logits = 1 - K * weights
    by_temperature = (K - 1) / K / T - log_x * by_logits if needed[1] else None
    return -T * by_logits - less if needed[0] else None, by_temperature, by_logits


def _score(log_x: Tensor, T: Tensor, logits: Tensor) -> Tensor:
    return (log_x * -T).add_(logits)


def _log_prob(value: Tensor, temperature: Tensor, logits: Tensor) -> Tensor:
    (log_x,) = widen(value)
    return exp_concrete_log_prob(log_x, temperature, logits).to(value.dtype)


def _derivatives(needed: tuple[bool, ...], value: Tensor, temperature: Tensor, logits: Tensor):
    (log_x,) = widen(value)
    return exp_concrete_derivatives(needed, log_x, temperature, logits)
