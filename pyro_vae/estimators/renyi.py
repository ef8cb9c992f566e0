"""The variational Renyi bound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator
from pyro_vae.estimators.weights import multi_sample_estimate
from pyro_vae.particles.data import Particles


@dataclass(frozen=True)
class Renyi(Estimator):
    r"""The gradient of the K-sample variational Renyi bound.

    .. math:: \mathcal L_\alpha = \frac1{1-\alpha} \mathbb E\Bigl[\log \frac1K \sum_k w_k^{1-\alpha}\Bigr]

    ``alpha`` 0 is IWAE, 1 the ELBO; between them the fit moves from mass-covering to mode-seeking. Below 0 it is not
    a lower bound. Weights factor over the plates that all sites share, as for :class:`~pyro_vae.estimators.IWAE`;
    discrete sites take leave-one-out score terms. (Pyro's ``RenyiELBO(alpha=0)`` gives a discrete site a gradient of
    exactly zero, and scales subsamples inside the logarithm.)

    Args:
        alpha: the order, any real number.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` when a plate that not all sites
    share is subsampled. Source: Li and Turner, "Renyi Divergence Variational Inference", NeurIPS 2016.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> site = Site("z", torch.zeros(2), log_p=Factor(torch.tensor([0.0, 1.0])), log_q=Factor(torch.zeros(2)))
    >>> Renyi(alpha=1.0)(Particles({"z": site}, 2)).bound
    tensor(0.5000)
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.alpha, (int, float)) or self.alpha != self.alpha or abs(self.alpha) == float("inf"):
            raise OptionError(f"Renyi(alpha={self.alpha!r}): expected a finite number, such as 0 (IWAE) or 1 (ELBO).")

    @property
    def claims(self) -> Claims:  # type: ignore[override]
        """Unbiased for its own K-sample objective; a bound for alpha >= 0."""
        return Claims(unbiased=True, bound=self.alpha >= 0, order=float(self.alpha))

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        return multi_sample_estimate(particles, float(self.alpha))
