"""The score-function (REINFORCE) gradient, with and without a leave-one-out baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Claims, Estimate, Estimator, check_particles
from pyro_vae.particles.data import Factor, Particles, Pass, Site, sum_to


@dataclass(frozen=True)
class ScoreFunction(Estimator):
    r"""The ELBO's gradient as a covariance of the score with the cost: no derivative through samples is needed.

    .. math:: \nabla_\phi \approx \frac1K \sum_k \sum_i \nabla_\phi \log q_\phi(z_{ik})\,
              \bigl[\ell_{ik} - b_{ik}\bigr], \qquad \ell = \log p(x, z) - \log q(z)

    For a site inside plates the cost is summed only over what shares its rows (Rao-Blackwellisation over plates),
    auxiliary guide sites included. ``baseline="leave-one-out"`` takes b from the other K - 1 particles, which keeps
    the estimate unbiased.

    Args:
        baseline: None or ``"leave-one-out"`` (which needs K >= 2).
        pathwise: True keeps sites that have ``rsample`` pathwise, so that only the others take the score function
            (what Pyro's ``Trace_ELBO`` does); False takes the score function everywhere.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.OptionError` for an unknown baseline,
    :class:`~pyro_vae.errors.EstimatorError` for too few particles.
    Source: Williams, Machine Learning 8, 1992; Paisley, Blei, Jordan, ICML 2012; Ranganath, Gerrish, Blei, AISTATS
    2014; Kool, van Hoof, Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", 2019.

    >>> import torch
    >>> from pyro_vae.particles import Factor, Particles, Site
    >>> logit = torch.tensor(0.0, requires_grad=True)
    >>> b = torch.tensor([0.0, 1.0])
    >>> log_q = torch.distributions.Bernoulli(logits=logit).log_prob(b)
    >>> site = Site("b", b, log_p=Factor(3 * b), log_q=Factor(log_q), reparameterised=False)
    >>> ScoreFunction(baseline="leave-one-out")(Particles({"b": site}, 2)).loss().backward()
    >>> logit.grad
    tensor(-1.5000)
    """

    baseline: Literal["leave-one-out"] | None = None
    pathwise: bool = False

    def __post_init__(self) -> None:
        if self.baseline not in (None, "leave-one-out"):
            raise OptionError(f"ScoreFunction(baseline={self.baseline!r}): expected None or 'leave-one-out'.")

    @property
    def claims(self) -> Claims:  # type: ignore[override]
        """Unbiased; blind to a constant only where a baseline removes it."""
        return Claims(unbiased=True, shift_invariant=self.baseline is not None)

    @property
    def passes(self) -> frozenset[Pass]:
        """Values are stopped unless reparameterised sites are to stay pathwise."""
        return frozenset() if self.pathwise else frozenset({Pass.SCORE})

    @property
    def min_particles(self) -> int:
        """Leave-one-out needs another particle."""
        return 2 if self.baseline else 1

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        check_particles(particles, self)
        costs = [signed for site in particles.sites.values() for signed in _costs(site)]
        return score_estimate(particles, costs, self.baseline)


def _costs(site: Site) -> list[tuple[float, Factor]]:
    """log p - log q of one site, as signed factors."""
    return [(sign, factor) for sign, factor in ((1.0, site.log_p), (-1.0, site.log_q)) if factor is not None]


def score_estimate(
    particles: Particles, costs: Sequence[tuple[float, Factor]], baseline: str | None = None
) -> Estimate:
    """Live costs, and for every site without a pathwise derivative its score times the stopped cost.

    ``costs`` are signed factors whose sum is the bound. The log q of a score site is in the cost, but its own
    gradient has mean zero and is left out.
    """
    scored = [site for site in particles.sites.values() if site.log_q is not None and not site.reparameterised]
    silent = {id(site.log_q) for site in scored}
    values = [sign * factor.total() for sign, factor in costs]
    bound = torch.stack(values).sum(0).mean().detach()
    live = [value for value, (_, factor) in zip(values, costs, strict=True) if id(factor) not in silent]
    surrogate = torch.stack(live).sum(0).mean() if live else torch.zeros_like(bound)
    for site in scored:
        assert site.log_q is not None  # by the choice of scored
        advantage = site_cost(costs, site.log_q, baseline)
        surrogate = surrogate + (site.log_q.log_prob * advantage).sum() / particles.num_particles
    return Estimate(-surrogate, bound)


def site_cost(costs: Sequence[tuple[float, Factor]], log_q: Factor, baseline: str | None) -> Tensor:
    """The stopped cost that a site answers for, ``[K, *plates]`` (broadcastable), less its baseline."""
    cost = torch.stack(
        torch.broadcast_tensors(*(sign * sum_to(factor, log_q.plates).detach() for sign, factor in costs))
    ).sum(0)
    if baseline is None:
        return cost
    particles = cost.shape[0]
    others = (cost.sum(0, keepdim=True) - cost) / (particles - 1)
    return cost - others
