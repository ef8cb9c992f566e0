"""What an estimator is: a small frozen object from particles to two losses and a bound. Torch only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pyro_vae.errors import EstimatorError
from pyro_vae.particles.data import Dream, Particles, Pass, Site


@dataclass(frozen=True)
class Claims:
    """What an estimator promises; one test holds every estimator to it.

    ``unbiased``: its mean gradient is the gradient of the objective that ``bound`` estimates. ``bound``: that
    objective is a lower bound on the log evidence. ``upper_bound``: it is an upper bound, and is minimised.
    ``shift_invariant``: a constant added to log p leaves every single
    gradient as it is. ``zero_variance_at_posterior``: the guide's gradient is exactly zero once q is the posterior.
    ``order``: alpha of the Rényi bound that this objective is, 1 for the ELBO, 0 for the importance-weighted bound of K
    draws. ``guide_objective``: what the guide follows, in two or three words, where ``unbiased`` False is about the
    guide alone: the model's parameters then still follow the bound of that order, without bias.
    """

    unbiased: bool
    bound: bool = True
    shift_invariant: bool = False
    zero_variance_at_posterior: bool = False
    upper_bound: bool = False
    order: float = 1.0
    guide_objective: str = ""

    @property
    def objective(self) -> str:
        """The objective's name. Gradients of two estimators can be compared where it is the same.

        >>> Claims(unbiased=True).objective, Claims(unbiased=True, order=0.0).objective
        ('ELBO', 'IWAE')
        """
        return {1.0: "ELBO", 0.0: "IWAE"}.get(float(self.order), f"Rényi {self.order:g}")


@dataclass(frozen=True)
class Estimate:
    """One gradient estimate, as losses to differentiate and the value to report.

    ``guide_loss`` is what reaches the guide, through samples and log q. ``model_loss`` is what reaches the model,
    through log p at stopped values; None when ``guide_loss`` carries both with the same weights. ``bound`` is the
    objective's value, detached; ``upper_bound`` says that smaller is better. All are scalars summed over data at
    full-data scale, in nats.
    """

    guide_loss: Tensor
    bound: Tensor
    model_loss: Tensor | None = None
    control_loss: Tensor | None = None
    control_state: Mapping[str, Tensor] = field(default_factory=dict)
    upper_bound: bool = False

    @classmethod
    def of_mean(cls, log_w: Tensor) -> Estimate:
        """The estimate whose loss is the mean over particles of a live ``log_w``, ``[K]``."""
        mean = log_w.mean()
        return cls(-mean, mean.detach())

    @property
    def value(self) -> Tensor:
        """What is minimised, detached: -bound, or the bound itself where it is an upper one."""
        return self.bound if self.upper_bound else -self.bound

    def loss(self) -> Tensor:
        """One scalar to call ``backward`` on: its gradient is the losses', its value is :attr:`value`."""
        surrogate = self.guide_loss
        for further in (self.model_loss, self.control_loss):
            if further is not None:
                surrogate = surrogate + further
        return surrogate - surrogate.detach() + self.value


class Estimator(ABC):
    """A gradient estimator of a variational objective. Subclasses are frozen dataclasses of their hyper-parameters."""

    claims: Claims

    @property
    def passes(self) -> frozenset[Pass | Dream]:
        """The evaluations that it needs beyond one live run of guide and model."""
        return frozenset()

    @property
    def min_particles(self) -> int:
        """The fewest particles that it can work with."""
        return 1

    def init(self, particles: Particles) -> nn.Module | None:
        """What it learns or remembers between steps; None for an estimator without memory."""
        return None

    @abstractmethod
    def __call__(self, particles: Particles, control: nn.Module | None = None) -> Estimate:
        """From particles to an estimate; pure."""


_FOR_FAMILY = {
    "Bernoulli": ("DisARM()", "ARM()", "REBAR()", "RELAX()", "MeasureValued()"),
    "OneHotCategorical": ("DisARM()", "REBAR()", "RELAX()"),
    "Categorical": ("DisARM()", "RELAX(relaxed=False)"),
    "Poisson": ("MeasureValued()",),
}


def estimators_for(site: Site) -> str:
    """The estimators that can take a site without a pathwise derivative, in words."""
    named = ["ScoreFunction(baseline='leave-one-out', pathwise=True)", *_FOR_FAMILY.get(site.family, ()), "VIMCO()"]
    exact = ", or sum it out with infer={'enumerate': 'parallel'}" if site.family in FINITE else ""
    return ", ".join(named[:-1]) + f" or {named[-1]}{exact}"


FINITE = ("Bernoulli", "Categorical", "OneHotCategorical")


def refuse_sites(sites: Sequence[Site], estimator: Estimator, instead: str = "") -> None:
    """Raise :class:`~pyro_vae.errors.EstimatorError` for sites without a pathwise derivative, naming estimators that
    can take the first; ``instead`` replaces that list."""
    if not sites:
        return
    raise EstimatorError(
        f"{type(estimator).__name__} needs reparameterised sites, but the guide's distribution at "
        f"{_named(sites)} has no `rsample` (it is discrete, or torch has no pathwise derivative for it). "
        f"For '{sites[0].name}' use {instead or estimators_for(sites[0])}."
    )


def refuse_families(sites: Sequence[Site], estimator: Estimator, families: Sequence[str]) -> None:
    """Raise :class:`~pyro_vae.errors.EstimatorError` for sites that are of none of these families, or that cannot be
    run again."""
    wrong = [site for site in sites if site.family not in families]
    if wrong:
        raise EstimatorError(
            f"{type(estimator).__name__} takes sites of {', '.join(families)}, but the guide has {_named(wrong)}. "
            f"For '{wrong[0].name}' use {estimators_for(wrong[0])}."
        )
    fixed = [site for site in sites if site.rerun is None]
    if fixed:
        raise EstimatorError(
            f"{type(estimator).__name__} runs guide and model again at other values of {_named(fixed)}, which cannot "
            "be done here: the guide runs the model itself (a GuideMessenger), or not every particle reaches the site. "
            "Use ScoreFunction(baseline='leave-one-out')."
        )


def _named(sites: Sequence[Site]) -> str:
    return ", ".join(f"'{site.name}' ({site.family})" if site.family else f"'{site.name}'" for site in sites)


def check_particles(particles: Particles, estimator: Estimator) -> None:
    """Raise :class:`~pyro_vae.errors.EstimatorError` when there are too few particles."""
    if particles.num_particles < estimator.min_particles:
        raise EstimatorError(
            f"{estimator} needs num_particles >= {estimator.min_particles}, got {particles.num_particles}: pass "
            f"a larger num_particles."
        )


def total(terms: list[Tensor], particles: Particles) -> Tensor:
    """The sum of ``[K]`` terms; zeros when there are none."""
    return torch.stack(terms).sum(0) if terms else torch.zeros(particles.num_particles)
