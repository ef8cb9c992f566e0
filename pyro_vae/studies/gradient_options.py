"""What ``gradients`` is asked for, checked before any work; and what the fit between its places is made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyro.infer

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import ModelError, OptionError
from pyro_vae.estimators import Estimator, Reparameterized, ScoreFunction
from pyro_vae.studies.gradient_pair import Pair
from pyro_vae.training import Fit

PLACES = ("start", "fit")


@dataclass(frozen=True)
class GradientOptions:
    """The options of one study; ``every`` says that the estimators are all of the library's."""

    num_particles: int
    draws: int
    places: tuple[str, ...]
    fitted: Fit | None
    steps: int | None
    warmup: int
    seed: int
    progress: bool | None
    every: bool


def places_of(at: Sequence[str] | str | None, fitted: Fit | None) -> tuple[str, ...]:
    """Where to measure, in order. Raises :class:`~pyro_vae.errors.OptionError`."""
    if at is None:
        return PLACES if fitted is None else ("fit",)
    places = (at,) if isinstance(at, str) else tuple(at)
    if not places or not set(places) <= set(PLACES):
        raise OptionError(f"at: expected 'start', 'fit' or both, got {at!r}.")
    return tuple(place for place in PLACES if place in places)


def checked_estimator(name: str, estimator: Any) -> Any:
    """Raises :class:`~pyro_vae.errors.OptionError` for what is no estimator of this library's, or changes the
    objective."""
    if isinstance(estimator, pyro.infer.ELBO) and not isinstance(estimator, TraceELBO):
        raise OptionError(
            f"estimators '{name}': expected an estimator, its name or a TraceELBO, got {type(estimator).__name__}, "
            "which does not show its draws."
        )
    if isinstance(estimator, TraceELBO) and estimator.weighting is not None:
        raise OptionError(
            f"estimators '{name}': beta, annealing and free_bits change the objective, and with it the gradient that "
            "an estimator is held against. Measure it without them."
        )
    return estimator


def estimator_of_fit(pair: Pair) -> Estimator:
    """What the fit is made with: the default, or one that takes discrete sites too.

    Raises :class:`~pyro_vae.errors.ModelError` where the guide draws nothing at random.
    """
    particles = TraceELBO(ScoreFunction(pathwise=True), 1).particles(pair.model, pair.guide, *pair.args, **pair.kwargs)
    drawn = [site for site in particles.latent if site.log_q is not None and not site.deterministic]
    if not drawn:
        sites = ", ".join(f"'{site.name}'" for site in particles.latent) or "none"
        raise ModelError(
            f"The guide draws nothing at random (its sites: {sites}), so every estimator has the same gradient, "
            'without noise. Give the guide a distribution with some spread, such as "auto_normal".'
        )
    pathwise = all(site.reparameterised for site in drawn)
    return Reparameterized() if pathwise else ScoreFunction("leave-one-out", pathwise=True)
