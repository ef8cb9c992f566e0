"""DReG: the doubly reparameterised gradient of the importance-weighted bound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_sites
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.estimators.weights import (
    log_weights,
    model_path,
    normalised,
    renyi_bound,
    shared_frame,
    unweighted_score,
    weighted,
)
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class DReG(Estimator):
    r"""The importance-weighted bound's gradient with the guide's score reparameterised away.

    .. math:: \nabla_\phi \approx \sum_k \tilde w_k^2\, \frac{\partial \log w_k}{\partial z_k}
              \frac{\partial z_k}{\partial \phi},
              \qquad \nabla_\theta \approx \sum_k \tilde w_k \nabla_\theta \log p_\theta(x, z_k),
              \qquad \tilde w_k = \frac{w_k}{\sum_j w_j}

    The guide's signal-to-noise ratio rises as :math:`K^{1/2}` where IWAE's falls as :math:`K^{-1/2}`, with the same
    mean. The squared weights are right for what passes through the samples only: the model's parameters get the plain
    weights, and a parameter that guide and model share gets both. Costs one more run of guide and of model.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site that is not
    reparameterised, and when a plate that not all sites share is subsampled. Source: Tucker, Lawson, Gu, Maddison,
    "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", ICLR 2019.

    >>> from pyro_vae.estimators import by_name
    >>> by_name("dreg").claims.zero_variance_at_posterior
    True
    """

    claims = Claims(unbiased=True, shift_invariant=True, zero_variance_at_posterior=True, order=0.0)

    @property
    def passes(self) -> frozenset[Pass]:
        """log q and log p with their own parameters stopped."""
        return frozenset({Pass.FROZEN_GUIDE, Pass.FROZEN_MODEL})

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        refuse_sites(scored_sites(particles), self, "VIMCO()")
        frame = shared_frame(particles)
        log_w = log_weights(particles, frame).detach()
        weights = normalised(log_w)
        through_samples = log_weights(particles, frame, log_p="log_p_frozen", log_q="log_q_frozen")
        guide = weighted(weights**2, through_samples)
        excess = unweighted_score(particles, frame)
        if excess is not None:
            guide = guide + weighted(weights, excess)
        bound = renyi_bound(log_w).sum()
        return Estimate(
            guide_loss=-frame.scale * guide,
            model_loss=-frame.scale * weighted(weights, model_path(particles, frame)),
            bound=frame.scale * bound,
        )
