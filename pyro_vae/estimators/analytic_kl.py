"""The ELBO as reconstruction minus KL, with every KL that has a closed form taken in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator
from pyro_vae.estimators.costs import closed_form_costs
from pyro_vae.estimators.score_function import score_estimate
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class AnalyticKL(Estimator):
    r"""The ELBO with the KL of a site in closed form where a rule is registered, sampled where not.

    .. math:: \mathcal L = \mathbb E_q[\log p(x \mid z)] - \sum_i \mathbb E_q\,
              \mathrm{KL}\bigl(q(z_i \mid \mathrm{pa}_q) \,\|\, p(z_i \mid \mathrm{pa}_p)\bigr)

    A closed form is used only where it is right: no model parent of the site may descend from it in the guide, and
    plates, scale and mask must agree. Elsewhere the site is sampled, silently and correctly. ``AutoNormal``'s
    unconstrained Normals are recognised. Sites without a pathwise derivative take their score-function term.

    Shapes: sites ``[K, *plates]``.
    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014, appendix B.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> kl = Factor(torch.full((2,), 0.25))
    >>> z = Site("z", torch.zeros(2), log_p=Factor(torch.zeros(2)), log_q=Factor(torch.ones(2)), kl=kl)
    >>> x = Site("x", torch.zeros(()), log_p=Factor(torch.tensor([-1.0, -2.0])), observed=True)
    >>> AnalyticKL()(Particles({"z": z, "x": x}, 2)).bound
    tensor(-1.7500)
    """

    claims = Claims(unbiased=True)  # a site that takes its score term feels a constant

    @property
    def passes(self) -> frozenset[Pass]:
        """Closed-form KLs, and what the sites that are sampled can influence."""
        return frozenset({Pass.KL, Pass.DOWNSTREAM})

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        return score_estimate(particles, closed_form_costs(particles))
