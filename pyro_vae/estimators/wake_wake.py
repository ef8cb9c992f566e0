"""Reweighted wake-sleep, both updates awake: the guide is fitted to weighted draws of the posterior."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator, check_particles
from pyro_vae.estimators.weights import log_weights, normalised, renyi_bound, shared_frame, weighted_sum
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class WakeWake(Estimator):
    r"""Fit the guide by maximum likelihood to self-normalised weighted draws: KL(p || q) instead of KL(q || p).

    .. math:: \nabla_\phi \approx \sum_k \tilde w_k \nabla_\phi \log q_\phi(z_k), \qquad
              \nabla_\theta \approx \sum_k \tilde w_k \nabla_\theta \log p_\theta(x, z_k), \qquad
              \tilde w_k = \frac{w_k}{\sum_j w_j}

    The values are stopped: no pathwise derivative is needed, and discrete sites are no different. As K grows the
    guide's mean gradient becomes that of :math:`-\mathrm{KL}(p(z \mid x) \| q)`; at K = 1 it is zero. Guide and model
    follow different objectives: ``bound`` is the K-sample importance-weighted bound, of which the model's gradient is
    an unbiased estimate. A parameter that both share gets the sum of the two.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` for K < 2, and when a plate that
    not all sites share is subsampled. Source: Bornschein and Bengio, "Reweighted Wake-Sleep", ICLR 2015; Le et al.,
    "Revisiting Reweighted Wake-Sleep", UAI 2019.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Site
    >>> logit = torch.tensor(0.0, requires_grad=True)
    >>> b = torch.tensor([0.0, 1.0])
    >>> log_q = torch.distributions.Bernoulli(logits=logit).log_prob(b)
    >>> site = Site("b", b, log_p=Factor(3 * b), log_q=Factor(log_q), reparameterised=False)
    >>> WakeWake()(Particles({"b": site}, 2)).loss().backward()
    >>> logit.grad  # -(sigmoid(3) - sigmoid(0))
    tensor(-0.4526)
    """

    claims = Claims(unbiased=False, shift_invariant=True, order=0.0, guide_objective="wake")

    @property
    def passes(self) -> frozenset[Pass]:
        """Values are stopped."""
        return frozenset({Pass.SCORE})

    @property
    def min_particles(self) -> int:
        """A single normalised weight is 1, whatever the draw."""
        return 2

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        check_particles(particles, self)
        frame = shared_frame(particles)
        log_w = log_weights(particles, frame).detach()
        weights, sites = normalised(log_w), particles.sites.values()
        return Estimate(
            guide_loss=-frame.scale * weighted_sum((site.score for site in sites), frame, weights),
            model_loss=-frame.scale * weighted_sum((site.log_p for site in sites), frame, weights),
            bound=frame.scale * renyi_bound(log_w).sum(),
        )
