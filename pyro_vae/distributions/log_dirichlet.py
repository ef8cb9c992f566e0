"""``LogDirichlet``: the logarithms of Dirichlet weights, of which no float32 draw is lost."""

from __future__ import annotations

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints, register_kl

from pyro_vae.distributions.beta_functions import trigamma_drop
from pyro_vae.distributions.closed_gradient import with_derivatives
from pyro_vae.distributions.gamma_draws import log_gamma_over_mean
from pyro_vae.distributions.gamma_functions import (
    dirichlet_entropy,
    dirichlet_kl,
    dirichlet_normaliser,
    in_double,
    log_minus_digamma,
    log_relative_density,
)
from pyro_vae.distributions.parameters import expand_parameters, vector, widen
from pyro_vae.distributions.supports import log_simplex


class LogDirichlet(TorchDistribution):
    r"""The logarithms of Dirichlet weights: v = log x with x ~ Dirichlet(a), on the log-simplex.

    .. math:: \log p(v) = \sum_k a_k v_k - \log B(a)

    The density is with respect to Lebesgue measure on the log-ratios :math:`v_k - v_K`, k < K: it is that of x times
    the product of all weights, does not depend on which coordinate is last, and needs no Jacobian to be
    unconstrained. With K = 2 it is that of :class:`LogitBeta`. ``value`` is taken up to a constant, as rounding leaves
    it.

    With a = 1e-3, 99 % of draws have a weight below the smallest float32; its logarithm, about -1/a, is an ordinary
    number.

    Args:
        concentration: a > 0, ``[*batch, K]``.

    Raises:
        ValueError: a concentration that is not positive, or has no dimension; names the argument and the value.

    Source: normalised Gammas in log space; their gradients by implicit differentiation (Figurnov, Mohamed, Mnih,
    NeurIPS 2018). Log-ratios: Aitchison, The Statistical Analysis of Compositional Data, 1986.

    >>> _ = torch.manual_seed(0)
    >>> v = LogDirichlet(torch.full((3,), 1e-3)).sample((1000,))
    >>> bool(torch.isfinite(v).all()), bool((v.exp() == 1 / 3).any())
    (True, False)
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}  # type: ignore[assignment]
    support = log_simplex  # type: ignore[assignment]
    has_rsample = True

    def __init__(self, concentration: Tensor, *, validate_args: bool | None = None):
        self.concentration = vector(concentration=concentration)
        super().__init__(self.concentration.shape[:-1], self.concentration.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its parameters expanded to ``batch_shape``."""
        return expand_parameters(self, batch_shape, _instance)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Fresh draws ``[*sample_shape, *batch_shape, K]``, through which gradients flow."""
        return log_dirichlet_draw(self.concentration, self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of ``value`` by the log-ratios, ``[*batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        return with_derivatives(_log_prob, _derivatives, value, self.concentration)

    @property
    def mean(self) -> Tensor:
        """ψ(a) - ψ(Σ a)."""

        def mean(a):
            total = a.sum(-1, keepdim=True)
            return (a / total).log() - log_minus_digamma(a) + log_minus_digamma(total)

        return in_double(mean, self.concentration)

    @property
    def variance(self) -> Tensor:
        """ψ'(a) - ψ'(Σ a)."""
        return in_double(lambda a: trigamma_drop(a, a.sum(-1, keepdim=True) - a), self.concentration)

    @property
    def mode(self) -> Tensor:
        """log(a / Σ a): the highest point of the density by the log-ratios."""
        return (self.concentration / self.concentration.sum(-1, keepdim=True)).log()

    def entropy(self) -> Tensor:
        """The entropy in nats of the log-ratios, ``[*batch]``."""

        def entropy(a):
            total = a.sum(-1, keepdim=True)
            logs = log_minus_digamma(a) - log_minus_digamma(total) - (a / total).log()
            return dirichlet_entropy(a) + logs.sum(-1)

        return in_double(entropy, self.concentration)


def log_dirichlet_draw(concentration: Tensor, shape: torch.Size) -> Tensor:
    """The logarithms of weights from Dirichlet(a): log-Gammas, normalised."""
    log_mean = (concentration / concentration.sum(-1, keepdim=True)).log()
    return (log_gamma_over_mean(concentration.expand(shape)) + log_mean).log_softmax(-1)


def log_dirichlet_log_prob(log_x: Tensor, concentration: Tensor) -> Tensor:
    """The density of :class:`LogDirichlet`, from ``log_x`` up to a constant, in double precision."""
    relative, a = _relative(log_x, concentration)
    density = log_relative_density(relative).mul(a).sum(-1)
    return density.to(concentration.dtype) + dirichlet_normaliser(concentration)


def log_dirichlet_derivatives(needed: tuple[bool, ...], log_x: Tensor, concentration: Tensor, less: float = 0.0):
    """Its derivatives by ``log_x``, in double precision and less a number, and by the concentration."""
    relative, a = _relative(log_x, concentration)
    by_log_x = (a - less) - a * relative.exp()
    if not needed[1]:
        return by_log_x, None
    slopes = log_minus_digamma(concentration) - log_minus_digamma(concentration.sum(-1, keepdim=True))
    return by_log_x, relative.to(concentration.dtype) + slopes


def _relative(log_x: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    """log of x over its mean, and the concentration, in double precision."""
    (a,) = widen(concentration)
    return log_x.log_softmax(-1) - (a / a.sum(-1, keepdim=True)).log(), a


def _log_prob(value: Tensor, concentration: Tensor) -> Tensor:
    (log_x,) = widen(value)
    return log_dirichlet_log_prob(log_x, concentration)


def _derivatives(needed: tuple[bool, ...], value: Tensor, concentration: Tensor):
    (log_x,) = widen(value)
    return log_dirichlet_derivatives(needed, log_x, concentration)


@register_kl(LogDirichlet, LogDirichlet)
def _kl_log_dirichlet(p: LogDirichlet, q: LogDirichlet) -> Tensor:
    return in_double(dirichlet_kl, p.concentration, q.concentration)
