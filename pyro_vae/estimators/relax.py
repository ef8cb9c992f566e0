"""RELAX: the score function with a control variate of free form, trained to lower the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_families
from pyro_vae.estimators.baselines import Scored, control_key, part_of, perceptron
from pyro_vae.estimators.costs import sampled_costs
from pyro_vae.estimators.rebar import dials_of, positive_temperature, refuse_unrelaxable, relaxed_cost
from pyro_vae.estimators.relaxations import FAMILIES, Relaxation, controlled, learning_term, remembered
from pyro_vae.estimators.score_function import score_estimate, scored_sites
from pyro_vae.particles.data import Particles, Pass, Site


@dataclass(frozen=True)
class RELAX(Estimator):
    r"""REBAR with a neural network added to the relaxed cost, or in its place.

    .. math:: \nabla_\alpha \mathbb E f(b) = \mathbb E\bigl[ (f(b) - c(\tilde z)) \nabla_\alpha \log q(b)
              + \nabla_\alpha c(z) - \nabla_\alpha c(\tilde z) \bigr],
              \qquad c(z) = \eta f(\sigma_\lambda(z)) + r(z)

    Unbiased whatever c is; r, eta and lambda are learned beside the guide so that the variance falls. r starts at
    zero. With ``relaxed=False`` c is r alone: the model is never run at values between the discrete ones, so any
    Bernoulli or categorical site can be taken. What the guide offers as ``infer={"baseline_input": x}`` is a further
    input of r. Reparameterised sites stay pathwise. Costs one more run of guide and model per discrete site (none
    with ``relaxed=False``), differentiated twice.

    Args:
        hidden: widths of r's hidden layers.
        relaxed: whether c has the relaxed cost in it.
        temperature: where lambda starts.
        scale: where eta starts.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site that it cannot take.
    Source: Grathwohl, Choi, Wu, Roeder, Duvenaud, "Backpropagation through the Void", ICLR 2018.

    >>> import pyro, torch, pyro.distributions as dist, pyro_vae as pv
    >>> def model():
    ...     pyro.factor("f", (pyro.sample("b", dist.Bernoulli(0.5)) - 0.499) ** 2)
    >>> def guide():
    ...     pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))
    >>> pyro.set_rng_seed(0)
    >>> elbo = pv.TraceELBO(pv.RELAX(hidden=(8,)), num_particles=4)
    >>> svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.01}), loss=elbo)
    >>> losses = [svi.step() for _ in range(10)]
    """

    hidden: tuple[int, ...] = (16,)
    relaxed: bool = True
    temperature: float = 0.5
    scale: float = 1.0

    claims = Claims(unbiased=True)

    def __post_init__(self) -> None:
        positive_temperature(self)
        if not all(isinstance(width, int) and width > 0 for width in self.hidden):
            raise OptionError(f"RELAX(hidden={self.hidden!r}): expected a tuple of positive widths, such as (16,).")

    @property
    def families(self) -> tuple[str, ...]:
        """What it can take: a relaxed categorical is no category."""
        return ("Bernoulli", "OneHotCategorical") if self.relaxed else FAMILIES

    @property
    def passes(self) -> frozenset[Pass]:
        """The noise of each site and the pair at relaxed values, and what a site can influence."""
        return frozenset({Pass.RERUN, Pass.DOWNSTREAM})

    def init(self, particles: Particles) -> nn.Module | None:
        """Network, temperature and scale per discrete site."""
        sites = scored_sites(particles)
        refuse_families(sites, self, self.families)
        found: dict[str, nn.Module] = {}
        for site in sites:
            parts = nn.ModuleDict({"network": self._network(site)})
            found[control_key(site)] = remembered(parts, site)
            if self.relaxed:
                refuse_unrelaxable(site)
                parts["dials"] = dials_of(site, self.temperature, self.scale)
        return nn.ModuleDict(found) if sites else None

    def _network(self, site: Site) -> nn.Module:
        found = perceptron((_input(site, site.canonical["logits"]).shape[-1], *self.hidden))
        for start in found[-1].parameters():
            nn.init.zeros_(start)
        return found.to(site.canonical["logits"])

    def __call__(self, particles: Particles, control: Any = None) -> Estimate:
        """The estimate of K particles."""
        refuse_families(scored_sites(particles), self, self.families)

        def term(site: Site, cost: Tensor) -> Scored:
            parts, relaxation = part_of(control, site), Relaxation.of(site)

            def variate(z: Tensor) -> tuple[Tensor, Tensor]:
                free = parts["network"](_input(site, z)).squeeze(-1).expand(cost.shape)
                if not self.relaxed:
                    return free, free.sum()
                rows, summed = relaxed_cost(site, relaxation, z, parts["dials"])
                return rows + free, summed + free.sum()

            return learning_term(site, controlled(site, relaxation, cost, variate), parts)

        return score_estimate(particles, sampled_costs(particles), term)


def _input(site: Site, z: Tensor) -> Tensor:
    """What the network sees of one row of the site's plates, ``[K, *plates, features]``: z, and the guide's offer."""
    assert site.log_q is not None  # only sites of the guide are scored
    seen = z.reshape(*site.log_q.log_prob.shape, -1)
    if site.baseline_input is None:
        return seen
    offer = site.baseline_input.detach().to(seen)
    return torch.cat([seen, offer.expand(*seen.shape[:-1], offer.shape[-1])], -1)
