"""REBAR: the score function with a relaxation of the model itself as its control variate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError, OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_families
from pyro_vae.estimators.baselines import Scored, control_key, part_of
from pyro_vae.estimators.costs import live_cost_of, sampled_costs
from pyro_vae.estimators.relaxations import Relaxation, controlled, learning_term, remembered
from pyro_vae.estimators.score_function import score_estimate, scored_sites
from pyro_vae.particles.data import Particles, Pass, Site


@dataclass(frozen=True)
class REBAR(Estimator):
    r"""Score function with the cost at a Concrete relaxation of the draw as control variate: unbiased, low variance.

    .. math:: \nabla_\alpha \mathbb E f(b) = \mathbb E\bigl[ (f(b) - \eta f(\sigma_\lambda(\tilde z)))
              \nabla_\alpha \log q(b) + \eta \nabla_\alpha f(\sigma_\lambda(z)) - \eta \nabla_\alpha
              f(\sigma_\lambda(\tilde z)) \bigr]

    b is the nearest corner of z, and z-tilde is z given b. The scale eta and the temperature lambda of each site are
    learned beside the guide so that the variance falls. The model must accept values between 0 and 1 (between the
    one-hot vectors): one that indexes or compares with the site's value cannot be relaxed. Discrete sites below the
    site are relaxed with it. Reparameterised sites stay pathwise. Costs one more run of guide and model per discrete
    site, differentiated twice.

    Args:
        temperature: where lambda starts.
        scale: where eta starts.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site that is neither
    Bernoulli nor one-hot, and a site whose relaxed value the model cannot be differentiated by. Source: Tucker, Mnih,
    Maddison, Lawson, Sohl-Dickstein, "REBAR: Low-variance, unbiased gradient estimates for discrete latent variable
    models", NeurIPS 2017.

    >>> import pyro, torch, pyro.distributions as dist, pyro_vae as pv
    >>> def model():
    ...     b = pyro.sample("b", dist.Bernoulli(0.5))
    ...     pyro.factor("f", (b - 0.45) ** 2)
    >>> def guide():
    ...     pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))
    >>> pyro.set_rng_seed(0)
    >>> pv.TraceELBO(pv.REBAR(), num_particles=500).differentiable_loss(model, guide).backward()
    >>> round(pyro.param("logit").grad.item(), 2)  # minus 0.1 p (1 - p)
    -0.02
    """

    temperature: float = 0.5
    scale: float = 1.0

    claims = Claims(unbiased=True)
    families = ("Bernoulli", "OneHotCategorical")

    def __post_init__(self) -> None:
        positive_temperature(self)

    @property
    def passes(self) -> frozenset[Pass]:
        """The pair at relaxed values, and what a site can influence."""
        return frozenset({Pass.RERUN, Pass.DOWNSTREAM})

    def init(self, particles: Particles) -> nn.Module | None:
        """Temperature and scale per discrete site."""
        sites = scored_sites(particles)
        refuse_families(sites, self, self.families)
        for site in sites:
            refuse_unrelaxable(site)
        dials = {control_key(site): remembered(dials_of(site, self.temperature, self.scale), site) for site in sites}
        return nn.ModuleDict(dials) if sites else None

    def __call__(self, particles: Particles, control: Any = None) -> Estimate:
        """The estimate of K particles."""
        refuse_families(scored_sites(particles), self, self.families)

        def term(site: Site, cost: Tensor) -> Scored:
            dials, relaxation = part_of(control, site), Relaxation.of(site)
            gradient = controlled(site, relaxation, cost, lambda z: relaxed_cost(site, relaxation, z, dials))
            return learning_term(site, gradient, dials)

        return score_estimate(particles, sampled_costs(particles), term)


def positive_temperature(estimator: Any) -> None:
    """Raise :class:`~pyro_vae.errors.OptionError` unless the temperature is a positive number and the scale finite."""
    name = type(estimator).__name__
    if not (isinstance(estimator.temperature, (int, float)) and 0 < estimator.temperature < math.inf):
        raise OptionError(f"{name}(temperature={estimator.temperature!r}): expected a positive number.")
    if not (isinstance(estimator.scale, (int, float)) and math.isfinite(estimator.scale)):
        raise OptionError(f"{name}(scale={estimator.scale!r}): expected a finite number, 0 for no relaxation.")


def dials_of(site: Site, temperature: float, scale: float) -> nn.ParameterDict:
    """What is tuned for one site: the logarithm of its temperature, and its scale."""
    like = site.canonical["logits"]
    start = {"log_temperature": math.log(temperature), "scale": scale}
    return nn.ParameterDict({name: torch.tensor(x, dtype=like.dtype, device=like.device) for name, x in start.items()})


def relaxed_cost(site: Site, relaxation: Relaxation, z: Tensor, dials: Any) -> tuple[Tensor, Tensor]:
    """Scale times the cost at the relaxed value: per row of the site's plates, and every term once."""
    assert site.rerun is not None  # refuse_families has seen to it
    temperature = dials["log_temperature"].exp()
    particles = site.rerun(relaxation.relaxed(z, temperature), temperature)
    costs = sampled_costs(particles)
    rows = live_cost_of(particles[site.name], costs)
    summed = torch.stack([cost.total().sum() for cost in costs if cost.influenced_by(particles[site.name])]).sum()
    return dials["scale"] * rows, dials["scale"] * summed


def refuse_unrelaxable(site: Site) -> None:
    """Raise :class:`~pyro_vae.errors.EstimatorError` when a term that the site influences has no derivative by its
    relaxed value: the control variate would be biased."""
    assert site.rerun is not None  # refuse_families has seen to it
    with torch.enable_grad():
        relaxation = Relaxation.of(site)
        z = relaxation.conditional.detach().requires_grad_()
        relaxed = site.rerun(relaxation.relaxed(z, z.new_tensor(0.5)), 0.5)
        if relaxed[site.name].downstream is None:
            raise _unrelaxable(site, "a branch of the program, most likely", "of what comes after it")
        for cost in sampled_costs(relaxed):
            if cost.influenced_by(relaxed[site.name]) and not _depends(cost.total().sum(), z):
                where = f"of site '{cost.site}' in the {'guide' if cost.kind == 'q' else 'model'}"
                raise _unrelaxable(site, "an index, a comparison or .long()", where)


def _depends(value: Tensor, leaf: Tensor) -> bool:
    if not value.requires_grad:
        return False
    return torch.autograd.grad(value, leaf, retain_graph=True, allow_unused=True)[0] is not None


def _unrelaxable(site: Site, how: str, of_what: str) -> EstimatorError:
    return EstimatorError(
        f"Site '{site.name}' cannot be relaxed: the log-probability {of_what} has no derivative by its value ({how}). "
        "Use the value in arithmetic, for example `b * one + (1 - b) * other`, or use DisARM(), RELAX(relaxed=False) "
        "or ScoreFunction(baseline='leave-one-out', pathwise=True)."
    )
