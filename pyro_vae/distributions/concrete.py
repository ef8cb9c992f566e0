"""``Concrete``: the relaxed one-hot variable on the simplex."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.exp_concrete import exp_concrete_derivatives, exp_concrete_log_prob
from pyro_vae.distributions.gamma_functions import LEAST
from pyro_vae.distributions.interior import exp_interior
from pyro_vae.distributions.parameters import widen
from pyro_vae.distributions.relaxation import CategoricalRelaxation


class Concrete(CategoricalRelaxation):
    r"""The Concrete (Gumbel-softmax) distribution: a one-hot variable relaxed to the simplex.

    .. math:: p(x) = \Gamma(K)\, T^{K-1} \prod_k \frac{\pi_k x_k^{-T-1}}{\sum_j \pi_j x_j^{-T}}

    Torch's ``RelaxedOneHotCategorical``, whose log-density is NaN as soon as a weight underflows. Here each weight is
    put on the nearest positive float, in float32 1.2e-38 at the least. At temperatures below about .1 most draws have
    such weights, and their density is that of the point on the edge: a guide should use :class:`ExpConcrete` there,
    and exponentiate.

    Args:
        temperature: T > 0; one number, or ``[*batch, 1]`` as torch has it.
        probs: probabilities π of the K classes, ``[*batch, K]``; or
        logits: their logarithms up to a constant.

    Raises:
        ValueError: a temperature that is not positive or not of such a shape, both or neither of probs and logits,
            probs that do not sum to one; names the argument and the value.

    Source: Maddison, Mnih, Teh, "The Concrete Distribution", ICLR 2017; Jang, Gu, Poole, ICLR 2017.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> d = Concrete(torch.tensor([[0.01], [0.5]]), logits=torch.zeros(2, 10))
    >>> log_prob = d.log_prob(d.sample((1000,)))
    >>> tuple(log_prob.shape), bool(torch.isfinite(log_prob).all())
    ((1000, 2), True)
    """

    support = constraints.simplex

    def sample_from_noise(self, noise: Tensor) -> Tensor:
        """Weights from exponential noise, ``[..., K]``."""
        return exp_interior(self.log_weights(noise))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        inputs = torch.broadcast_tensors(value, self.temperature, self.logits)
        return with_derivatives(_log_prob, _derivatives, *inputs)


def _log(value: Tensor) -> Tensor:
    (x,) = widen(value)
    return (x + LEAST).log_()


def _log_prob(value: Tensor, temperature: Tensor, logits: Tensor) -> Tensor:
    log_x = _log(value)
    return (exp_concrete_log_prob(log_x, temperature, logits) - log_x.sum(-1)).to(value.dtype)


def _derivatives(needed: tuple[bool, ...], value: Tensor, temperature: Tensor, logits: Tensor):
    by_log, *by_parameters = exp_concrete_derivatives(needed, _log(value), temperature, logits, less=1.0)
    # A weight of 0 counts as the least number.
    by_value = None if by_log is None else by_log / value.clamp(min=torch.finfo(value.dtype).tiny)
    return by_value, *by_parameters
