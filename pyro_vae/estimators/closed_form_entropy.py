"""The ELBO as expected log joint plus the guide's entropy, with every entropy that is known taken in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pyro_vae.estimators.base import Claims, Estimate, Estimator
from pyro_vae.estimators.costs import entropy_costs
from pyro_vae.estimators.score_function import score_estimate
from pyro_vae.particles.data import Particles, Pass


@dataclass(frozen=True)
class ClosedFormEntropy(Estimator):
    r"""The ELBO with the entropy of each guide distribution in closed form where there is one, sampled where not.

    .. math:: \mathcal L = \mathbb E_q[\log p(x, z)] + \sum_i \mathbb E_q\,
              \mathrm H\bigl[q(z_i \mid \mathrm{pa}_q)\bigr]

    Unlike a KL, an entropy is right for any order of model and guide, and the prior may be anything. The entropy given
    sampled parents stays live through them. Of an autoguide's ``*_unconstrained`` Normals the entropy is taken and
    the Jacobian is sampled. Sites without a pathwise derivative take their score-function term, without their own
    log q in the cost.

    Shapes: sites ``[K, *plates]``. Source: Kucukelbir, Tran, Ranganath, Gelman, Blei, "Automatic Differentiation
    Variational Inference", JMLR 18, 2017.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> q = torch.distributions.Normal(0.0, 1.0)
    >>> z = torch.tensor([-1.0, 2.0])
    >>> site = Site("z", z, log_p=Factor(-z), log_q=Factor(q.log_prob(z)), entropy=Factor(q.entropy().expand(2)))
    >>> ClosedFormEntropy()(Particles({"z": site}, 2)).bound  # -1/2 + log(2 pi e) / 2
    tensor(0.9189)
    """

    claims = Claims(unbiased=True)  # a site that takes its score term feels a constant

    @property
    def passes(self) -> frozenset[Pass]:
        """Entropies, and what the sites that take their score term can influence."""
        return frozenset({Pass.ENTROPY, Pass.DOWNSTREAM})

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        return score_estimate(particles, entropy_costs(particles))
