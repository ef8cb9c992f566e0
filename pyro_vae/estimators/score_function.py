"""The score-function (REINFORCE) gradient, with a choice of control variates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError
from pyro_vae.estimators.base import FINITE, Claims, Estimate, Estimator, check_particles
from pyro_vae.estimators.baselines import Baseline, NoBaseline, Scored, as_baseline
from pyro_vae.estimators.costs import Cost, cost_of, sampled_costs
from pyro_vae.particles.data import Particles, Pass, Site


@dataclass(frozen=True)
class ScoreFunction(Estimator):
    r"""The ELBO's gradient as a covariance of the score with the cost: no derivative through samples is needed.

    .. math:: \nabla_\phi \approx \frac1K \sum_k \sum_i \nabla_\phi \log q_\phi(z_{ik})\,
              \bigl[\ell_{ik} - b_{ik}\bigr], \qquad \ell = \log p(x, z) - \log q(z)

    The cost of a site is Rao-Blackwellised: only the terms that its value can influence, summed only over what shares
    its rows of plates; auxiliary guide sites are included. Every baseline here leaves the estimate unbiased.

    Args:
        baseline: None; ``"leave-one-out"``, the mean of the other particles (K >= 2), a good default;
            ``"moving-average"``, of earlier steps; ``"optimal"``, the least-variance coefficient for every parameter
            element (K >= 2);
            :class:`~pyro_vae.estimators.Network`, a learned function of an input (NVIL).
        pathwise: True keeps sites that have ``rsample`` pathwise, so that only the others take the score function
            (what Pyro's ``Trace_ELBO`` does); False takes the score function everywhere.
        downstream: False keeps terms that a site cannot influence in its cost, as Pyro's ``Trace_ELBO`` does: noisier.

    Shapes: sites ``[K, *plates]``. Raises :class:`~pyro_vae.errors.OptionError` for an unknown baseline,
    :class:`~pyro_vae.errors.EstimatorError` for too few particles, or a site that the baseline cannot take.
    Source: Williams, Machine Learning 8, 1992; Paisley, Blei, Jordan, ICML 2012; Ranganath, Gerrish, Blei, AISTATS
    2014; Schulman et al., "Gradient Estimation Using Stochastic Computation Graphs", NeurIPS 2015.

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

    baseline: str | Baseline | None = None
    pathwise: bool = False
    downstream: bool = True

    def __post_init__(self) -> None:
        as_baseline(self.baseline)

    @property
    def claims(self) -> Claims:  # type: ignore[override]
        """Unbiased; blind to a constant only where the baseline removes it."""
        return Claims(unbiased=True, shift_invariant=as_baseline(self.baseline).shift_invariant)

    @property
    def passes(self) -> frozenset[Pass]:
        """Values are stopped unless reparameterised sites are to stay pathwise."""
        own = {Pass.DOWNSTREAM} if self.downstream else set()
        return as_baseline(self.baseline).passes | own | (set() if self.pathwise else {Pass.SCORE})

    @property
    def min_particles(self) -> int:
        """The baseline's."""
        return as_baseline(self.baseline).min_particles

    def init(self, particles: Particles) -> nn.Module | None:
        """The baseline's memory or network."""
        return as_baseline(self.baseline).init(scored_sites(particles))

    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """The estimate of K particles."""
        check_particles(particles, self)
        baseline = as_baseline(self.baseline)
        return score_estimate(
            particles, sampled_costs(particles), lambda site, cost: baseline.score(site, cost, control)
        )


def scored_sites(particles: Particles) -> list[Site]:
    """The guide's sites without a pathwise derivative.

    Raises :class:`~pyro_vae.errors.EstimatorError` when one was drawn for every value of an enumerated site: its
    scores and costs belong together value by value, and the table has their expectations only.
    """
    found = [site for site in particles.sites.values() if site.log_q is not None and not site.reparameterised]
    for site in found:
        if site.drawn_given:
            instead = (
                f"Enumerate '{site.name}' too, with `infer={{'enumerate': 'parallel'}}` in the guide"
                if site.family in FINITE
                else "Where it has `rsample`, keep it pathwise (Reparameterized(), ScoreFunction(pathwise=True), "
                "MeasureValued(pathwise=True))"
            )
            raise EstimatorError(
                f"Site '{site.name}' would take its score, but it is drawn for every value of the enumerated site "
                f"'{site.drawn_given[0]}'. {instead}; or take the option out of '{site.drawn_given[0]}'."
            )
    return found


def score_estimate(
    particles: Particles,
    costs: Sequence[Cost],
    term: Callable[[Site, Tensor], Scored] | None = None,
    sites: Sequence[Site] | None = None,
) -> Estimate:
    """Live costs, and for every site without a pathwise derivative (``sites``) a term that stands for it.

    ``term`` makes it from the site and its stopped cost; without one it is the score times the cost. The log q of such
    a site is in the cost, but its own gradient has mean zero and is left out. Where gradients are off, no term is made.
    """
    term = term or (lambda site, cost: NoBaseline().score(site, cost, None))
    scored = scored_sites(particles) if sites is None else sites
    silent = {site.name for site in scored}
    bound = torch.stack([cost.total() for cost in costs]).sum(0).mean().detach()
    live = [cost.total() for cost in costs if cost.kind != "q" or cost.site not in silent]
    surrogate = torch.stack(live).sum(0).mean() if live else torch.zeros_like(bound)
    terms = [term(site, cost_of(site, costs)) for site in scored] if torch.is_grad_enabled() else []
    losses = [made.control_loss for made in terms if made.control_loss is not None]
    surrogate = surrogate + sum(made.surrogate for made in terms)
    return Estimate(
        -surrogate,
        bound,
        control_loss=torch.stack(losses).sum() if losses else None,
        control_state={name: value for made in terms for name, value in made.state.items()},
    )
