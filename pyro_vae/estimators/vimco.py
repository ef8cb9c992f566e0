"""VIMCO: the score-function gradient of the importance-weighted bound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator, check_particles
from pyro_vae.estimators.weights import multi_sample_estimate
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class VIMCO(Estimator):
    r"""The importance-weighted bound's gradient for discrete latents, each particle with a baseline made of the others.

    .. math:: \nabla_\phi \approx \sum_k \nabla_\phi \log q(z_k)\,\bigl[\hat L - \hat L_{-k}\bigr] + \nabla_\phi \hat L

    where :math:`\hat L = \log \frac1K \sum_k w_k` and :math:`\hat L_{-k}` has :math:`\log w_k` replaced by the mean
    of the others. Unbiased for the K-sample bound, nothing to tune. Every site takes the score function;
    ``pathwise=True`` keeps reparameterised sites pathwise.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` for K < 2, and when a plate that
    not all sites share is subsampled. Source: Mnih and Rezende, "Variational Inference for Monte Carlo Objectives",
    ICML 2016.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> logit = torch.tensor(0.0, requires_grad=True)
    >>> b = torch.tensor([0.0, 1.0])
    >>> log_q = torch.distributions.Bernoulli(logits=logit).log_prob(b)
    >>> site = Site("b", b, log_p=Factor(3 * b), log_q=Factor(log_q), reparameterised=False)
    >>> VIMCO()(Particles({"b": site}, 2)).loss().backward()
    >>> bool(logit.grad < 0)  # descending the loss makes b = 1, of higher density, more probable
    True
    """

    pathwise: bool = False

    claims = Claims(unbiased=True, shift_invariant=True, order=0.0)

    @property
    def passes(self) -> frozenset[Pass]:
        """Values are stopped unless reparameterised sites are to stay pathwise."""
        return frozenset() if self.pathwise else frozenset({Pass.SCORE})

    @property
    def min_particles(self) -> int:
        """The baseline needs another particle."""
        return 2

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        check_particles(particles, self)
        return multi_sample_estimate(particles)
