"""Measure-valued gradients: the derivative of a density as a difference of two densities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, refuse_families
from pyro_vae.estimators.baselines import Scored
from pyro_vae.estimators.costs import Cost, sampled_costs
from pyro_vae.estimators.score_function import score_estimate, scored_sites
from pyro_vae.particles.data import Particles, Pass, Plate, Site, sum_to


@dataclass(frozen=True)
class MeasureValued(Estimator):
    r"""Each parameter's gradient as a constant times the difference of the cost at two coupled draws.

    .. math:: \nabla_\lambda \mathbb E_{q_\lambda} f = c_\lambda \bigl(\mathbb E_{q^+} f - \mathbb E_{q^-} f\bigr)

    Needs neither a differentiable cost nor a pathwise derivative, is unbiased, and blind to a constant. For a Normal,
    mu: Weibull draws either side of the mean, sigma: a double-sided Maxwell draw and a Normal one made of it; a
    Bernoulli: both values; a Poisson: x + 1 and x; the rate of a Gamma or Exponential: x and x plus an exponential; the
    scale of a Weibull likewise. Every *element* of a site whose elements share a cost has a pair of its own: 2 runs of
    guide and model per scalar parameter (1 for a Bernoulli, Poisson, Gamma or Weibull). Rows of a plate that every
    affected term shares need no pairs of their own.

    Args:
        pathwise: True leaves sites that have ``rsample`` pathwise; False takes every site of the guide.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.EstimatorError` naming a site of another family,
    and one whose concentration (of a Gamma or Weibull) is learned, which has no such derivative here. Source:
    Mohamed, Rosca, Figurnov, Mnih, "Monte Carlo Gradient Estimation in Machine Learning", JMLR 21(132), 2020;
    Heidergott, Vazquez-Abad, Volk-Makarewicz, EJOR 187, 2008.

    >>> import pyro, torch, pyro.distributions as dist, pyro_vae as pv
    >>> def model():
    ...     pyro.factor("f", 3 * pyro.sample("b", dist.Bernoulli(0.5)))
    >>> def guide():
    ...     pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))
    >>> pv.TraceELBO(pv.MeasureValued()).differentiable_loss(model, guide).backward()
    >>> pyro.param("logit").grad  # exact from one draw: minus 3 p (1 - p)
    tensor(-0.7500)
    """

    pathwise: bool = False

    claims = Claims(unbiased=True, shift_invariant=True)

    @property
    def passes(self) -> frozenset[Pass]:
        """The pair at coupled values; what a site can influence; values stopped unless pathwise sites stay so."""
        return frozenset({Pass.RERUN, Pass.DOWNSTREAM} | (set() if self.pathwise else {Pass.SCORE}))

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        sites = scored_sites(particles)
        refuse_families(sites, self, tuple(_DERIVATIVES))
        for site in sites:
            _refuse_learned_concentration(site)
        costs = sampled_costs(particles)
        return score_estimate(particles, costs, lambda site, cost: _term(site, costs))


@dataclass(frozen=True)
class WeakDerivative:
    """The derivative of a density by one parameter: ``constant`` x (law of ``plus`` - law of ``minus``).

    ``minus`` None is the site's own value.
    """

    parameter: str
    constant: Tensor
    plus: Tensor
    minus: Tensor | None = None


def _normal(site: Site) -> list[WeakDerivative]:
    loc, scale = (site.canonical[name].detach() for name in ("loc", "scale"))
    assert site.noise is not None
    first, second, third, fourth = site.noise
    weibull = (-2 * first.log()).sqrt()
    side = 2 * third - 1
    limit = 1 - torch.finfo(side.dtype).eps
    normal = math.sqrt(2) * torch.erfinv(side.clamp(-limit, limit))
    maxwell = torch.sign(side) * (normal**2 - 2 * second.log()).sqrt()
    return [
        WeakDerivative("loc", 1 / (scale * math.sqrt(2 * math.pi)), loc + scale * weibull, loc - scale * weibull),
        WeakDerivative("scale", 1 / scale, loc + scale * maxwell, loc + scale * maxwell * fourth),
    ]


def _bernoulli(site: Site) -> list[WeakDerivative]:
    p = torch.sigmoid(site.canonical["logits"].detach())
    sign = 1 - 2 * site.value  # the other value less this one
    return [WeakDerivative("logits", sign * p * (1 - p), 1 - site.value)]


def _poisson(site: Site) -> list[WeakDerivative]:
    return [WeakDerivative("rate", torch.ones_like(site.value), site.value + 1)]


def _gamma(site: Site) -> list[WeakDerivative]:
    rate = site.canonical["rate"].detach()
    concentration = site.canonical.get("concentration", torch.ones_like(rate)).detach()
    assert site.noise is not None
    return [WeakDerivative("rate", -concentration / rate, site.value.detach() - site.noise[0].log() / rate)]


def _weibull(site: Site) -> list[WeakDerivative]:
    scale, concentration = (site.canonical[name].detach() for name in ("scale", "concentration"))
    assert site.noise is not None
    exponential = (site.value.detach() / scale) ** concentration
    longer = scale * (exponential - site.noise[0].log()) ** (1 / concentration)
    return [WeakDerivative("scale", concentration / scale, longer)]


_DERIVATIVES: dict[str, Callable[[Site], list[WeakDerivative]]] = {
    "Normal": _normal,
    "Bernoulli": _bernoulli,
    "Poisson": _poisson,
    "Exponential": _gamma,
    "Gamma": _gamma,
    "Weibull": _weibull,
}


def _refuse_learned_concentration(site: Site) -> None:
    concentration = site.canonical.get("concentration")
    if concentration is not None and concentration.requires_grad:
        raise EstimatorError(
            f"Site '{site.name}' ({site.family}) learns its concentration, by which MeasureValued() has no derivative: "
            "only the rate or scale. Use Reparameterized(), MeasureValued(pathwise=True), or "
            "ScoreFunction(baseline='leave-one-out')."
        )


def _term(site: Site, costs: Sequence[Cost]) -> Scored:
    """The gradient of every element of every parameter, each from its own pair of runs."""
    assert site.rerun is not None  # refuse_families has seen to it
    assert site.log_q is not None
    derivatives = [d for d in _DERIVATIVES[site.family](site) if site.canonical[d.parameter].requires_grad]
    surrogate = torch.zeros_like(site.log_q.log_prob.sum())
    if not derivatives:
        return Scored(surrogate)
    rows = _independent_rows(site, [cost for cost in costs if cost.influenced_by(site)])
    elements = _elements(site, rows)
    moved = [value for d in derivatives for value in (d.plus, d.minus) if value is not None]
    values = torch.stack([torch.where(element, value, site.value) for value in moved for element in elements])
    with torch.no_grad():
        particles = site.rerun(values.flatten(0, 1))
        found = _summed(particles[site.name], sampled_costs(particles), rows)
        found = found.reshape(len(moved), len(elements), len(site.value), *found.shape[1:])
        own = _summed(site, costs, rows)
    results = iter(found)
    for derivative in derivatives:
        difference = next(results) - (own if derivative.minus is None else next(results))
        each = [_against(row, site, rows) * element for element, row in zip(elements, difference, strict=True)]
        gradient = derivative.constant * torch.stack(torch.broadcast_tensors(*each)).sum(0)
        surrogate = surrogate + (site.canonical[derivative.parameter] * gradient).sum() / len(site.value)
    return Scored(surrogate)


def _independent_rows(site: Site, costs: Sequence[Cost]) -> tuple[Plate, ...]:
    """The plates of the site that every term it influences is in: their rows can all be moved at once."""
    assert site.log_q is not None
    shared = set.intersection(*({plate.name for plate in cost.factor.axes} for cost in costs))
    return tuple(plate for plate in site.log_q.axes if plate.name in shared)


def _elements(site: Site, rows: tuple[Plate, ...]) -> Tensor:
    """One mask per element that has to be moved alone, ``[E, 1, *plates, *event]``, 1 wide along ``rows``."""
    assert site.log_q is not None
    names = {plate.name for plate in rows}
    plates = [1 if plate.name in names else plate.size for plate in site.log_q.axes]
    shape = [*plates, *site.value.shape[1 + len(plates) :]]
    count = math.prod(shape)
    return torch.eye(count, dtype=torch.bool, device=site.value.device).reshape(count, 1, *shape)


def _summed(site: Site, costs: Sequence[Cost], rows: tuple[Plate, ...]) -> Tensor:
    """Everything that the site influences, each term once, per particle and row, ``[K, *rows]``."""
    terms = [cost.sign * sum_to(cost.factor, rows) for cost in costs if cost.influenced_by(site)]
    return torch.stack(torch.broadcast_tensors(*terms)).sum(0).detach()


def _against(row: Tensor, site: Site, rows: tuple[Plate, ...]) -> Tensor:
    """``[K, *rows]`` as a tensor that broadcasts against the site's value."""
    assert site.log_q is not None
    names = {plate.name for plate in rows}
    sizes = iter(row.shape[1:])
    plates = [next(sizes) if plate.name in names else 1 for plate in site.log_q.axes]
    return row.reshape(len(row), *plates, *(1,) * (site.value.dim() - 1 - len(plates)))
