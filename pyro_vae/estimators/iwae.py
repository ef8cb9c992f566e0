"""The importance-weighted bound of K samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_sites
from pyro_vae.estimators.score_function import scored_sites
from pyro_vae.estimators.weights import multi_sample_estimate
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class IWAE(Estimator):
    r"""The gradient of the K-sample importance-weighted bound.

    .. math:: \mathcal L_K = \mathbb E \Bigl[\log \frac1K \sum_k w_k\Bigr], \qquad w_k = \frac{p(x, z_k)}{q(z_k)}

    Tighter as K grows: :math:`K(\log Z - \mathcal L_K) \to \chi^2(p\|q)/2`. The weights are taken per row of the
    plates that all sites share (per datapoint for a VAE) and N/B multiplies the bound of a row, outside the
    logarithm. The guide's signal-to-noise ratio falls as
    :math:`K^{-1/2}`: for the guide prefer :class:`~pyro_vae.estimators.DReG`. Discrete sites take VIMCO's score terms.

    Args:
        sticking_the_landing: stop the guide's parameters in log q. Less noise, but *biased*: not the gradient of this
            bound.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` when a plate that not all sites
    share is subsampled. Source: Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016;
    Rainforth et al., ICML 2018.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> site = Site("z", torch.zeros(2), log_p=Factor(torch.tensor([0.0, 1.0])), log_q=Factor(torch.zeros(2)))
    >>> IWAE()(Particles({"z": site}, 2)).bound  # log((1 + e) / 2)
    tensor(0.6201)
    """

    sticking_the_landing: bool = False

    @property
    def claims(self) -> Claims:  # type: ignore[override]
        """Unbiased for its own K-sample bound, but not with the landing stuck."""
        stuck = self.sticking_the_landing
        return Claims(
            unbiased=not stuck, zero_variance_at_posterior=stuck, order=0.0, guide_objective="IWAE" if stuck else ""
        )

    @property
    def passes(self) -> frozenset[Pass]:
        """A frozen guide when the landing is to be stuck."""
        return frozenset({Pass.FROZEN_GUIDE}) if self.sticking_the_landing else frozenset()

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        if self.sticking_the_landing:
            refuse_sites(scored_sites(particles), self, "VIMCO(), or IWAE() without sticking_the_landing")
        return multi_sample_estimate(particles, log_q="log_q_frozen" if self.sticking_the_landing else "log_q")
