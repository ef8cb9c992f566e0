"""DisARM: ARM with the noise integrated out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pyro_vae.estimators.antithetic import Antithetic, Bits, antithetic_bits, antithetic_cost, sticks_of, weighted
from pyro_vae.estimators.baselines import Scored
from pyro_vae.particles.data import Site


@dataclass(frozen=True)
class DisARM(Antithetic):
    r"""The unbiased gradient for Bernoulli and categorical sites that two antithetic evaluations give.

    .. math:: \nabla_\alpha \mathbb E f(b) = \mathbb E\Bigl[\tfrac12 \bigl(f(b) - f(\tilde b)\bigr)
              (-1)^{\tilde b}\, 1[b \neq \tilde b]\, \sigma(|\alpha|)\Bigr]

    ARM conditioned on the two draws: never above ARM in variance, exactly zero for one bit at p = 1/2, nothing to tune.
    A categorical is a row of bits by stick-breaking (the category is the first 1); bits that decide neither of the two
    categories get no gradient. Reparameterised sites stay pathwise. Costs one more run of guide and model per site.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site without a pathwise
    derivative that is neither Bernoulli nor categorical. Source: Dong, Mnih, Tucker, "DisARM: An Antithetic Gradient
    Estimator for Binary Latent Variables", NeurIPS 2020; for categoricals, the same authors, "Coupled Gradient
    Estimators for Discrete Latent Variables", NeurIPS 2021.

    >>> import pyro, torch, pyro.distributions as dist, pyro_vae as pv
    >>> def model():
    ...     pyro.factor("f", 3 * pyro.sample("b", dist.Bernoulli(0.5)))
    >>> def guide():
    ...     pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))
    >>> pv.TraceELBO(pv.DisARM()).differentiable_loss(model, guide).backward()
    >>> pyro.param("logit").grad  # exact from one pair: minus 3 p (1 - p)
    tensor(-0.7500)
    """

    families = ("Bernoulli", "Categorical", "OneHotCategorical")

    def _term(self, site: Site, cost: Tensor) -> Scored:
        assert site.noise is not None  # every site of these families has one
        logits, noise = site.canonical["logits"], site.noise[0]
        if site.family == "Bernoulli":
            bits = antithetic_bits(logits, site.value, noise)
            difference = cost - antithetic_cost(site, bits.flipped)
            return weighted(bits.logits, difference, _coefficient(bits))
        hot = site.family == "OneHotCategorical"
        sticks = sticks_of(logits, site.value.argmax(-1) if hot else site.value, noise)
        flipped = one_hot(sticks.flipped_category, logits.shape[-1]) if hot else sticks.flipped_category
        difference = cost - antithetic_cost(site, flipped)
        return weighted(sticks.bits.logits, difference, _coefficient(sticks.bits) * sticks.relevant)


def _coefficient(bits: Bits) -> Tensor:
    """Half of ±σ(|α|) where the pair differs, the sign that of the first draw; 0 where it agrees."""
    sign = bits.value.to(bits.flipped.dtype) - bits.flipped
    return 0.5 * sign * torch.sigmoid(bits.logits.detach().abs())
