"""The table that every estimator reads: sites, their plates, their log-probabilities. Torch only, no Pyro.

Made by ``particles.tracing``; read by ``estimators``, ``elbo`` and ``posterior``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from pyro_vae.errors import EstimatorError


class Pass(enum.Enum):
    """What an estimator asks of the draw beyond one live run of guide and model."""

    SCORE = (
        "every random value is stopped as it is drawn: log q's gradient is the score, log p's reaches the model only"
    )
    FROZEN_GUIDE = "log q with the guide's parameters stopped and the values live"
    FROZEN_MODEL = "log p with the model's parameters stopped and the values live"
    DOWNSTREAM = "which cost terms each guide site can influence"
    PARAMETERS = "the live parameters of each guide site's distribution, and log q's derivatives by them"
    KL = "KL(q || p) of a site in closed form, where a rule exists and the conditioning allows it"
    RERUN = "guide and model at other values of a guide site, its ancestors kept, its descendants drawn anew"
    ENTROPY = "the entropy of a guide site's distribution in closed form, where there is one"


@dataclass(frozen=True)
class Dream:
    """A pass with parameters: ``count`` draws of latents and data from the model, scored under the guide.

    ``observed`` are (observed site, argument of the guide that takes its value); None takes arguments that have the
    name of an observed site. Gives ``log_q_dreamt``.
    """

    observed: tuple[tuple[str, str], ...] | None = None
    count: int = 1


@dataclass(frozen=True)
class Plate:
    """One plate around a site: a frame, not a dim.

    ``size`` is the number of rows present, ``full_size`` the number that the plate stands for.
    ``index`` is None for a vectorised plate (it has an axis), the step number for a sequential one (it has none).
    """

    name: str
    size: int
    full_size: int
    index: int | None = None

    @property
    def scale(self) -> float:
        """N/B, by which log-probabilities in a subsampled plate are multiplied."""
        return self.full_size / self.size

    @property
    def vectorized(self) -> bool:
        """True when the plate has an axis."""
        return self.index is None


@dataclass(frozen=True)
class Factor:
    """The log of one factor of a joint density, per particle and plate, with its scales kept apart.

    ``log_prob`` is ``[K, *plates]``, masked and not scaled; ``plates`` are outermost first and only the vectorised ones
    have an axis; ``scale`` is ``poutine.scale`` (a number, or a tensor that broadcasts against ``log_prob``).
    """

    log_prob: Tensor
    plates: tuple[Plate, ...] = ()
    scale: Tensor | float = 1.0

    @property
    def axes(self) -> tuple[Plate, ...]:
        """The plates that have an axis in ``log_prob``, in its order."""
        return tuple(plate for plate in self.plates if plate.vectorized)

    @property
    def plate_scale(self) -> float:
        """The product of N/B over the factor's plates."""
        scale = 1.0
        for plate in self.plates:
            scale *= plate.scale
        return scale

    def scaled(self) -> Tensor:
        """Scale x log-probability, ``[K, *plates]``."""
        weight = self.plate_scale * self.scale
        if isinstance(weight, float) and weight == 1.0:
            return self.log_prob
        return self.log_prob * weight

    def total(self) -> Tensor:
        """Scale x log-probability summed over plates, ``[K]``."""
        return self.scaled().flatten(1).sum(1) if self.log_prob.dim() > 1 else self.scaled()


@dataclass(frozen=True)
class Site:
    """One sample site of the pair.

    ``value`` is ``[K, *plates, *event]`` for latent sites and as given, without K, for observed ones, unless
    ``predicted`` says that the observation was drawn anew. ``log_p`` is None for a site of the guide alone, ``log_q``
    for a site of the model alone. ``reparameterised`` says that gradients flow through ``value`` to the guide.
    ``deterministic`` marks a Delta in the guide: its value is a function of other sites and parameters, so it has no
    score. ``kl`` is KL(q || p), ``[K, *plates]``, when
    :attr:`Pass.KL` was asked for and holds; it stands for the site's ``log_q - log_p`` and, for an autoguide's
    ``*_unconstrained`` site, ``kl_covers`` names the other sites that it stands for too. ``entropy``
    (:attr:`Pass.ENTROPY`), ``[K, *plates]``, stands for the site's own ``-log_q``. ``log_q_score`` is set where
    ``log_q`` is masked or was replaced by a constant: what the value was drawn from, see :attr:`score`.
    ``log_q_dreamt`` (:class:`Dream`), ``[dreams, *plates]``, is log q of a dreamt value at the dreamt data.
    ``downstream`` (:attr:`Pass.DOWNSTREAM`) has the cost terms that the site can influence, as ("p" or "q", site),
    its own included; None: any. ``parameters`` (:attr:`Pass.PARAMETERS`) are the live tensors that its log q is a
    function of, ``[K, *plates, ...]``. ``baseline_input`` is what the guide offers a learned baseline:
    ``infer={"baseline_input": x}``.

    ``family`` is the class of the guide's distribution. With :attr:`Pass.RERUN`, for the families that an estimator
    can use it for: ``canonical`` are the distribution's live parameters by their usual names (logits; loc and scale;
    rate; concentration), ``[K, *plates, *event]``, ``noise`` as many uniform numbers, and ``rerun`` evaluates the
    pair elsewhere.

    ``enumerated`` marks a site that the guide enumerates. All factors are then expectations over its values, so it has
    no score and counts as reparameterised. Its ``value`` has an axis of all its values right of the plates, and so has
    every value that was drawn for each of them, ``[K, *plates, *enumerated, *event]``; ``drawn_given`` names the
    enumerated sites of which that is so. Sites that the model alone enumerates are not in the table: the factors that
    they take part in are one, in the place of the only other site's (its marginal), or that of a ``sum_over_*`` site
    beside others that keep no ``log_p``.
    """

    name: str
    value: Tensor
    log_p: Factor | None = None
    log_q: Factor | None = None
    observed: bool = False
    predicted: bool = False
    auxiliary: bool = False
    reparameterised: bool = True
    deterministic: bool = False
    enumerated: bool = False
    drawn_given: tuple[str, ...] = ()
    log_p_frozen: Factor | None = None
    log_q_frozen: Factor | None = None
    log_q_score: Factor | None = None
    log_q_score_frozen: Factor | None = None
    kl: Factor | None = None
    kl_covers: tuple[str, ...] = ()
    entropy: Factor | None = None
    log_q_dreamt: Factor | None = None
    downstream: frozenset[tuple[str, str]] | None = None
    parameters: Mapping[str, Tensor] = field(default_factory=dict)
    scores: Mapping[str, Tensor] = field(default_factory=dict)
    baseline_input: Tensor | None = None
    family: str = ""
    canonical: Mapping[str, Tensor] = field(default_factory=dict)
    noise: Tensor | None = None
    rerun: Rerun | None = None

    @property
    def score(self) -> Factor | None:
        """The log q whose gradient is the score of the draw; ``log_q`` unless that is masked or replaced."""
        return self.log_q if self.log_q_score is None else self.log_q_score

    @property
    def plates(self) -> tuple[Plate, ...]:
        """The model's plates around the site; the guide's for a site of the guide alone."""
        factor = self.log_p or self.log_q
        return factor.plates if factor is not None else ()


class Rerun(Protocol):
    """Guide and model at other values of one guide site (:attr:`Pass.RERUN`)."""

    def __call__(self, values: Tensor, temperature: Tensor | float | None = None) -> Particles:
        """The table at ``values``, ``[n K, *plates, *event]``: row i belongs to particle i modulo K, whose earlier
        sites keep their values. Sites that descend from this one are drawn anew.

        With a ``temperature`` the values may lie between the discrete ones, and discrete descendants are drawn from
        their Concrete relaxation at it: everything is then a differentiable function of ``values``.
        """
        ...


# the fields of a site that are factors of the particles (of dreams there may be another number)
FACTORS = (
    "log_p",
    "log_q",
    "log_p_frozen",
    "log_q_frozen",
    "log_q_score",
    "log_q_score_frozen",
    "kl",
    "entropy",
)


@dataclass(frozen=True)
class Particles:
    """K draws from a guide, evaluated under guide and model: everything that an estimator needs.

    ``deterministic`` holds the values of ``pyro.deterministic`` sites, ``[K, *plates, *event]``;
    ``subsamples`` the row numbers that each subsampled plate drew, ``[B]``.
    """

    sites: Mapping[str, Site]
    num_particles: int
    deterministic: Mapping[str, Tensor] = field(default_factory=dict)
    subsamples: Mapping[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Site:
        return self.sites[name]

    @property
    def latent(self) -> tuple[Site, ...]:
        """The sites that are not observed, auxiliary ones included."""
        return tuple(site for site in self.sites.values() if not site.observed)

    @property
    def observed(self) -> tuple[Site, ...]:
        """The observed sites, factors included."""
        return tuple(site for site in self.sites.values() if site.observed)

    def log_p(self) -> Tensor:
        """Scaled log p(x, z) per particle, ``[K]``."""
        return self._total(site.log_p for site in self.sites.values())

    def log_q(self) -> Tensor:
        """Scaled log q(z) per particle, ``[K]``, auxiliary sites included."""
        return self._total(site.log_q for site in self.sites.values())

    def log_w(self) -> Tensor:
        """Scaled log p(x, z) - log q(z) per particle, ``[K]``."""
        return self.log_p() - self.log_q()

    def log_p_frozen(self) -> Tensor:
        """Scaled log p(x, z) per particle, ``[K]``, with the model's parameters stopped (:attr:`Pass.FROZEN_MODEL`)."""
        return self._total(site.log_p_frozen for site in self.sites.values())

    def log_q_frozen(self) -> Tensor:
        """Scaled log q(z) per particle, ``[K]``, with the guide's parameters stopped (:attr:`Pass.FROZEN_GUIDE`)."""
        return self._total(site.log_q_frozen for site in self.sites.values())

    def _total(self, factors: Iterable[Factor | None]) -> Tensor:
        terms = [factor.total() for factor in factors if factor is not None]
        return torch.stack(terms).sum(0) if terms else torch.zeros(self.num_particles)


def with_fields(particles: Particles, fields: Mapping[str, Mapping[str, Any]]) -> Particles:
    """The table with given fields of given sites replaced; sites that it lacks are passed over."""
    changed = {name: replace(particles[name], **new) for name, new in fields.items() if name in particles.sites}
    return replace(particles, sites={**particles.sites, **changed})


def refuse_enumerated(particles: Particles, who: str) -> None:
    """Raise :class:`~pyro_vae.errors.EstimatorError` for a site that the guide enumerates; ``who`` cannot take it."""
    for site in particles.sites.values():
        if site.enumerated:
            raise EstimatorError(
                f"{who} weighs whole draws, and the guide's site '{site.name}' is not drawn but enumerated. Leave "
                f"'{site.name}' out of the guide and give it `infer={{'enumerate': 'parallel'}}` in the model, which "
                f"sums it out exactly in every bound; or take that option out of the guide; or use an estimator of "
                f"the ELBO, such as Reparameterized()."
            )


def sum_to(factor: Factor, plates: tuple[Plate, ...]) -> Tensor:
    """A factor's scaled log-probability as it bears on a site in ``plates``: ``[K, *axes of plates]``, broadcastable.

    Axes of plates that the site is not in are summed; axes of the site's that the factor lacks have size 1."""
    value = factor.scaled()
    names = [plate.name for plate in factor.axes]
    target = [plate.name for plate in plates if plate.vectorized]
    drop = [axis + 1 for axis, name in enumerate(names) if name not in target]
    if drop:
        value = value.sum(drop)
    kept = [name for name in names if name in target]
    order = [kept.index(name) + 1 for name in target if name in kept]
    value = value.permute(0, *order) if order else value
    for axis, name in enumerate(target, start=1):
        if name not in kept:
            value = value.unsqueeze(axis)
    return value
