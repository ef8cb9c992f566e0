"""The tail-adaptive f-divergence: particles weighted by how rare a weight as large as theirs is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, check_particles, refuse_sites
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.estimators.weights import log_weights, model_path, normalised, renyi_bound, shared_frame, weighted
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class TailAdaptive(Estimator):
    r"""The guide's gradient of an f-divergence that adapts to the tail of the importance weights.

    .. math:: \nabla_\phi \approx \sum_k \tilde\gamma_k\, \frac{\partial \log w_k}{\partial z_k}
              \frac{\partial z_k}{\partial \phi}, \qquad
              \tilde\gamma_k \propto \hat F(w_k)^{\beta}, \qquad \hat F(w) = \frac1K \#\{j : w_j \ge w\}

    With the exponent :math:`\beta = -1` the largest of K weights counts K times the smallest, however large it is:
    mass-covering without the variance of :math:`w^\alpha`. There is no fixed divergence whose value could be
    reported: ``bound`` is the K-sample importance-weighted bound, of which the *model's* gradient is an unbiased
    estimate and the guide's is not one. (Pyro's ``TraceTailAdaptive_ELBO`` takes the permutation that sorts the
    weights for their ranks, upwards: for K = 2 the smaller weight counts double.)

    Args:
        exponent: :math:`\beta`; 0 is :class:`~pyro_vae.estimators.StickingTheLanding`.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` for K < 2, naming a site that is
    not reparameterised, and when a plate that not all sites share is subsampled. Source: Wang, Liu, Liu, "Variational
    Inference with Tail-adaptive f-Divergence", NeurIPS 2018.

    >>> tail_adaptive_weights(torch.tensor([0.0, 3.0, -1.0]))  # proportional to 3/2, 3, 1
    tensor([0.2727, 0.5455, 0.1818])
    """

    exponent: float = -1.0

    claims = Claims(
        unbiased=False,
        shift_invariant=True,
        zero_variance_at_posterior=True,
        order=0.0,
        guide_objective="tail-adaptive",
    )

    def __post_init__(self) -> None:
        if not isinstance(self.exponent, (int, float)) or not math.isfinite(self.exponent):
            raise OptionError(f"TailAdaptive(exponent={self.exponent!r}): expected a finite number, such as -1.")

    @property
    def passes(self) -> frozenset[Pass]:
        """log q and log p with their own parameters stopped."""
        return frozenset({Pass.FROZEN_GUIDE, Pass.FROZEN_MODEL})

    @property
    def min_particles(self) -> int:
        """One weight has no tail."""
        return 2

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        check_particles(particles, self)
        refuse_sites(scored_sites(particles), self, "VIMCO() or WakeWake()")
        frame = shared_frame(particles)
        log_w = log_weights(particles, frame).detach()
        weights = tail_adaptive_weights(log_w, self.exponent)
        through_samples = log_weights(particles, frame, log_p="log_p_frozen", log_q="log_q_frozen")
        return Estimate(
            guide_loss=-frame.scale * weighted(weights, through_samples),
            model_loss=-frame.scale * weighted(normalised(log_w), model_path(particles, frame)),
            bound=frame.scale * renyi_bound(log_w).sum(),
        )


def tail_adaptive_weights(log_w: Tensor, exponent: float = -1.0) -> Tensor:
    """The share of weights at least as large, to the power ``exponent``, normalised over particles: ``[K, ...]``.

    An impossible particle (-inf) has no derivative to give: its weight is 0.
    """
    tail = (log_w.unsqueeze(0) >= log_w.unsqueeze(1)).to(log_w.dtype).mean(1)
    weights = tail**exponent * ~log_w.isneginf()
    return weights / weights.sum(0, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
