"""The pathwise gradient: differentiate through the samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_sites
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.particles.data import Particles


@dataclass(frozen=True)
class Reparameterized(Estimator):
    r"""The ELBO's gradient through reparameterised samples.

    .. math:: \nabla \approx \frac1K \sum_k \nabla_{\phi,\theta}
              \bigl[\log p_\theta(x, z_k) - \log q_\phi(z_k)\bigr], \qquad z_k = g(\phi, \epsilon_k)

    The workhorse for continuous latents. Even at the posterior its variance is not zero: the score of q stays in it.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site that is not
    reparameterised. Source: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014; Rezende, Mohamed,
    Wierstra, ICML 2014.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> loc = torch.tensor(0.0, requires_grad=True)
    >>> z = loc + torch.tensor([-1.0, 1.0])
    >>> site = Site("z", z, log_p=Factor(-((z - 3) ** 2) / 2), log_q=Factor(-((z - loc) ** 2) / 2))
    >>> Reparameterized()(Particles({"z": site}, 2)).loss().backward()
    >>> loc.grad  # -(3 - loc): the loss falls as loc rises towards 3
    tensor(-3.)
    """

    claims = Claims(unbiased=True, shift_invariant=True)

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        refuse_sites(scored_sites(particles), self)
        return Estimate.of_mean(particles.log_w())
