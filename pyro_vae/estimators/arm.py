"""ARM: the difference of two costs at antithetic draws, times the noise that made them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pyro_vae.estimators.antithetic import Antithetic, antithetic_bits, antithetic_cost, weighted
from pyro_vae.estimators.baselines import Scored
from pyro_vae.particles.data import Site


@dataclass(frozen=True)
class ARM(Antithetic):
    r"""Augment-REINFORCE-merge: an unbiased gradient for Bernoulli sites from two evaluations, nothing to tune.

    .. math:: \nabla_\alpha \mathbb E f(b) = \mathbb E_u\bigl[\bigl(f(b) - f(\tilde b)\bigr)(u - \tfrac12)\bigr],
              \qquad b = 1[u > \sigma(-\alpha)],\quad \tilde b = 1[1 - u > \sigma(-\alpha)]

    All bits of a site are mirrored together; a constant in f cancels. :class:`~pyro_vae.DisARM` never has a larger
    variance at the same cost and is the one to use; this one is here because the literature compares with it.
    Reparameterised sites stay pathwise. Costs one more run of guide and model per Bernoulli site.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site without a pathwise
    derivative that is not Bernoulli. Source: Yin and Zhou, "ARM: Augment-REINFORCE-Merge Gradient for Stochastic
    Binary Networks", ICLR 2019.

    >>> import pyro, torch, pyro.distributions as dist, pyro_vae as pv
    >>> def model():
    ...     pyro.factor("f", 3 * pyro.sample("b", dist.Bernoulli(0.5)))
    >>> def guide():
    ...     pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))
    >>> pyro.set_rng_seed(0)
    >>> loss = pv.TraceELBO(pv.ARM(), num_particles=4000).differentiable_loss(model, guide)
    >>> loss.backward()
    >>> abs(pyro.param("logit").grad.item() + 0.75) < 0.05  # minus 3 p (1 - p); the KL has its minimum at 0
    True
    """

    families = ("Bernoulli",)

    def _term(self, site: Site, cost: Tensor) -> Scored:
        assert site.noise is not None  # every Bernoulli has one
        bits = antithetic_bits(site.canonical["logits"], site.value, site.noise[0])
        difference = cost - antithetic_cost(site, bits.flipped)
        return weighted(bits.logits, difference, bits.offset)
