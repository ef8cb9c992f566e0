"""CUBO: the chi upper bound on the log evidence, minimised over the guide."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, check_particles
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.estimators.weights import (
    log_weights,
    model_path,
    normalised,
    renyi_bound,
    scores,
    shared_frame,
    unweighted_score,
    weighted,
)
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class CUBO(Estimator):
    r"""Minimise the chi upper bound over the guide.

    .. math:: \mathrm{CUBO}_n = \frac1n \log \mathbb E_q[w^n] \ge \log p(x), \qquad
              \nabla_\phi \approx \frac{1-n}{n} \sum_k \tilde w_k \Bigl[ n\, \frac{\partial \log w_k}{\partial z_k}
              \frac{\partial z_k}{\partial \phi} + \nabla_\phi \log q(z_k^{\mathrm{discrete}}) \Bigr], \qquad
              \tilde w_k \propto w_k^n

    With the ELBO below it, it holds the log evidence from both sides; its guide covers the posterior's mass. ``bound``
    is :math:`\hat C = \frac1n \log \frac1K \sum_k w_k^n`, and *smaller is better*. What is unbiased: the mean of
    :math:`e^{n \hat C}` is :math:`e^{n\,\mathrm{CUBO}}`, and the mean of :math:`e^{n \hat C} \nabla_\phi` its
    gradient over n (per row of the plates that all sites share). What is not: the logarithm pulls
    :math:`\hat C` down, below the log evidence itself when K is small, and the gradient, taken relative to
    :math:`e^{n \hat C}` so that no weight overflows, is right as K grows. The score of reparameterised sites is
    reparameterised away: descending the plain gradient of :math:`\hat C` would push the guide to where no draw finds
    the posterior. Discrete sites take score terms with the other particles' mean subtracted.

    The model's own parameters maximise the K-sample importance-weighted *lower* bound of the same draws: pressing an
    upper bound down would fit them to the wrong side.

    Args:
        n: the order, above 1; 2 is the chi-square divergence.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` for K < 2, and when a plate that
    not all sites share is subsampled. Source: Dieng, Tran, Ranganath, Paisley, Blei, "Variational Inference via
    chi Upper Bound Minimization", NeurIPS 2017; the score reparameterised as by Tucker et al., ICLR 2019.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Site
    >>> p, q = Factor(torch.tensor([0.0, 1.0])), Factor(torch.zeros(2))
    >>> site = Site("z", torch.zeros(2), log_p=p, log_q=q, log_p_frozen=p, log_q_frozen=q)
    >>> CUBO()(Particles({"z": site}, 2)).bound  # log((1 + e^2) / 2) / 2
    tensor(0.7169)
    """

    n: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.n, (int, float)) or not math.isfinite(self.n) or self.n <= 1:
            raise OptionError(f"CUBO(n={self.n!r}): expected a finite number above 1, such as 2 (chi-square).")

    @property
    def claims(self) -> Claims:  # type: ignore[override]
        """An upper bound for the guide; the model follows the importance-weighted lower one."""
        return Claims(
            unbiased=False,
            bound=False,
            shift_invariant=True,
            zero_variance_at_posterior=True,
            upper_bound=True,
            order=0.0,
            guide_objective=f"CUBO {self.n:g}",
        )

    @property
    def passes(self) -> frozenset[Pass]:
        """log q and log p with their own parameters stopped."""
        return frozenset({Pass.FROZEN_GUIDE, Pass.FROZEN_MODEL})

    @property
    def min_particles(self) -> int:
        """Of one particle the logarithm undoes the power: its value would be the ELBO's."""
        return 2

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        check_particles(particles, self)
        frame, n, count = shared_frame(particles), float(self.n), particles.num_particles
        log_w = log_weights(particles, frame).detach()
        weights = normalised(n * log_w)
        through_samples = log_weights(particles, frame, log_p="log_p_frozen", log_q="log_q_frozen")
        guide = (1 - n) * weighted(weights, through_samples)
        scored = scored_sites(particles)
        if scored:
            total = weights.sum(0)  # 1, or 0 where every particle is impossible
            above_others = (count * weights - total) / (count - 1)
            guide = guide + (1 - n) / n * (above_others * scores(scored, frame)).sum()
        excess = unweighted_score(particles, frame)
        if excess is not None:
            guide = guide + weighted(weights, excess)
        return Estimate(
            guide_loss=frame.scale * guide,
            model_loss=-frame.scale * weighted(normalised(log_w), model_path(particles, frame)),
            bound=frame.scale * renyi_bound(log_w, 1 - n).sum(),
            upper_bound=True,
        )
