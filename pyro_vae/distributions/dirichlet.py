"""``Dirichlet`` with draws, gradients and densities that hold for any concentrations."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import register_kl

from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.gamma_functions import LEAST, dirichlet_entropy, dirichlet_kl, in_double
from pyro_vae.distributions.interior import exp_interior
from pyro_vae.distributions.log_dirichlet import log_dirichlet_derivatives, log_dirichlet_draw, log_dirichlet_log_prob
from pyro_vae.distributions.parameters import vector, widen


class Dirichlet(dist.Dirichlet):
    r"""The Dirichlet distribution with concentrations a, on the simplex.

    .. math:: p(x) = \frac{1}{B(a)} \prod_k x_k^{a_k - 1}

    Draws are normalised Gammas in log space, put on the nearest positive floats: with concentrations below about .1
    many weights are the smallest one, in float32 1.2e-38. :class:`LogDirichlet` keeps their logarithms. The log-density
    is evaluated as :math:`\sum_k a_k \log (x_k / \sum_j x_j) - \log B(a) - \sum_k \log x_k`, so that the rounding of K
    floats, which sum to one within 1e-7 only, costs no digits where concentrations are large. It is a
    ``pyro.distributions.Dirichlet``, and takes part in its KL rules and conjugacy.

    Args:
        concentration: a > 0, ``[*batch, K]``.

    Raises:
        ValueError: a concentration that is not positive, or has no dimension; names the argument and the value.

    Source: normalised Gammas; their gradients by implicit differentiation (Figurnov, Mohamed, Mnih, NeurIPS 2018).

    >>> _ = torch.manual_seed(0)
    >>> x = Dirichlet(torch.full((3,), 1e-3)).sample((1000,))
    >>> bool((x == x[:, :1]).all(-1).any())  # torch's own: one in eight is exactly uniform
    False
    """

    def __init__(self, concentration: Tensor, *, validate_args: bool | None = None):
        super().__init__(vector(concentration=concentration), validate_args=validate_args)

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return super().expand(batch_shape, self._get_checked_instance(Dirichlet, _instance))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, K]``, through which gradients flow."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return exp_interior(log_dirichlet_draw(self.concentration, shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value``, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)

        return with_derivatives(_log_prob, _derivatives, value, self.concentration)

    @property
    def mode(self) -> Tensor:
        """(a - 1) / (Σ a - K) where every concentration is at least 1, and one more; NaN where there is no one mode."""
        above = self.concentration - 1
        total = above.sum(-1, keepdim=True)
        return torch.where((above >= 0).all(-1, keepdim=True) & (total > 0), above / total, torch.nan)

    def entropy(self) -> Tensor:
        """The entropy in nats, ``[*batch]``."""
        return in_double(dirichlet_entropy, self.concentration)


def _log(value: Tensor) -> Tensor:
    (x,) = widen(value)
    return (x + LEAST).log()


def _log_prob(value: Tensor, concentration: Tensor) -> Tensor:
    log_x = _log(value)
    return log_dirichlet_log_prob(log_x, concentration) - log_x.sum(-1).to(value.dtype)


def _derivatives(needed: tuple[bool, ...], value: Tensor, concentration: Tensor):
    (x,) = widen(value)
    by_log, by_concentration = log_dirichlet_derivatives(needed, _log(value), concentration, less=1.0)
    return by_log / (x + LEAST) if needed[0] else None, by_concentration


@register_kl(Dirichlet, Dirichlet)
@register_kl(Dirichlet, torch.distributions.Dirichlet)
@register_kl(torch.distributions.Dirichlet, Dirichlet)
def _kl_dirichlet(p, q) -> Tensor:
    return in_double(dirichlet_kl, p.concentration, q.concentration)
