"""Sticking the landing: the reparameterised gradient without the guide's score."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_sites
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class StickingTheLanding(Estimator):
    r"""Drop the zero-mean score term of the reparameterised ELBO gradient.

    .. math:: \nabla_\phi \approx \frac1K \sum_k \nabla_\phi
              \bigl[\log p(x, z_k) - \log q_{\bar\phi}(z_k)\bigr], \qquad z_k = g(\phi, \epsilon_k)

    With the guide's own parameters stopped (:math:`\bar\phi`), every draw's gradient is zero once q is the posterior.
    Far from it the gradient can be noisier than ``Reparameterized``: for Gaussians, when :math:`\sigma_q^2 <
    \sigma_p^2 / 2`. A parameter that guide and model share keeps its gradient through log p. Costs one more run of
    the guide.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site that is not
    reparameterised. Source: Roeder, Wu, Duvenaud, "Sticking the Landing", NeurIPS 2017.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> loc = torch.tensor(0.5, requires_grad=True)
    >>> z = loc + torch.tensor([-1.0, 0.3])
    >>> log_p, log_q = -((z - 0.5) ** 2) / 2, -((z - loc) ** 2) / 2
    >>> frozen = -((z - loc.detach()) ** 2) / 2
    >>> site = Site("z", z, log_p=Factor(log_p), log_q=Factor(log_q), log_q_frozen=Factor(frozen))
    >>> StickingTheLanding()(Particles({"z": site}, 2)).loss().backward()
    >>> loc.grad.abs()  # q is the posterior
    tensor(0.)
    """

    claims = Claims(unbiased=True, shift_invariant=True, zero_variance_at_posterior=True)

    @property
    def passes(self) -> frozenset[Pass]:
        """log q with the guide's parameters stopped."""
        return frozenset({Pass.FROZEN_GUIDE})

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        refuse_sites(scored_sites(particles), self)
        surrogate = (particles.log_p() - particles.log_q_frozen()).mean()
        return Estimate(-surrogate, particles.log_w().mean().detach())
