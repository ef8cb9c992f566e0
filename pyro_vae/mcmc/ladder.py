"""From the model as it is written to chains that count: a higher target, then another parametrisation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pyro_vae.errors import ModelError
from pyro_vae.mcmc.chains import Chains, Settings
from pyro_vae.mcmc.reparameterised import hierarchical_sites, non_centred
from pyro_vae.posterior.convergence import MIN_ESS, ChainHealth, chain_health
from pyro_vae.posterior.datatree import build
from pyro_vae.posterior.draws import model_groups
from pyro_vae.potential import Potential

Engine = Callable[[Potential, Settings], Chains]
Samples = dict[str, np.ndarray]

HIGHER_TARGETS = (0.95, 0.99)
_CHECKED = 5  # draws at which a compiled gradient is held against the eager one again, where the chains have been
_AGREEMENT = 1e-7


@dataclass(frozen=True)
class Parametrisation:
    """A model whose latent and deterministic sites include the original's; ``label`` says it in a few words."""

    label: str
    model: Callable
    args: tuple
    kwargs: Mapping[str, Any]

    @cached_property
    def potential(self) -> Potential:
        """Made at the first attempt, and kept for the next."""
        return Potential(self.model, self.args, self.kwargs)

    def originals(self, flat: np.ndarray, names: tuple[str, ...]) -> Samples:
        """Unconstrained draws ``[chain, draw, D]`` as values of the original sites, ``{site: [chain, draw, ...]}``."""
        chains, draws, size = flat.shape
        values = self.potential.constrain(flat.reshape(-1, size))
        samples = {name: value.reshape(chains, draws, *value.shape[1:]) for name, value in values.items()}
        if not set(names) <= set(samples):
            samples = model_groups(
                self.model, self.args, self.kwargs, samples, predictive=False, log_likelihood=False, prior=0
            )["posterior"]
        missing = [name for name in names if name not in samples]
        if missing:
            raise ModelError(
                f"The {self.label} has no site '{missing[0]}': expected the model's latent sites {list(names)}, each "
                f"sampled or as pyro.deterministic, got {list(samples)}."
            )
        return {name: samples[name] for name in names}


@dataclass(frozen=True)
class Attempt:
    """One run of the sampler, in the original sites, and whether its chains count."""

    label: str
    target_accept: float
    chains: Chains
    samples: Samples
    health: ChainHealth

    @property
    def record(self) -> dict[str, object]:
        """What the tree's ``attempts`` attribute says of it."""
        health = self.health
        return {
            "parametrisation": self.label,
            "target_accept": self.target_accept,
            "divergences": health.divergences,
            "max_rhat": _number(health.max_rhat),
            "min_ess": _number(min(health.min_ess_bulk, health.min_ess_tail)),
            "seconds": round(self.chains.seconds, 2),
            "counts": health.counts,
        }

    @property
    def rank(self) -> tuple:
        """Smaller is better: chains that count, that agree, that diverge least."""
        rhat = self.health.max_rhat if np.isfinite(self.health.max_rhat) else np.inf
        return (not self.health.counts, rhat >= 1.1, self.health.divergences, rhat)


def climb(
    model: Callable,
    args: tuple,
    kwargs: Mapping[str, Any],
    engine: Engine,
    settings: Settings,
    *,
    baseline_model: Callable | None = None,
    retry: bool = True,
) -> list[Attempt]:
    """Sample until the chains count; all attempts, the last of which counts unless none does.

    First the model as it is written, then with a higher target, then ``baseline_model``, or, without one, the model
    non-centred. Ctrl-C ends the ladder: what has been drawn by then is kept.
    """
    names: tuple[str, ...] = ()
    attempts: list[Attempt] = []
    for index, (form, target) in enumerate(_rungs(model, args, kwargs, settings.target_accept, baseline_model)):
        names = names or form.potential.names
        told = replace(settings, target_accept=target, seed=settings.seed + index)
        told = replace(
            told,
            init={name: value for name, value in settings.init.items() if index == 0 or name in form.potential.names},
        )
        try:
            attempts.append(_attempt(form, engine, told, names))
        except KeyboardInterrupt:
            if not attempts:
                raise
            break
        last = attempts[-1]
        enough = settings.chains > 1 and settings.chains * settings.draws > MIN_ESS
        if last.health.counts or last.chains.interrupted or not (retry and enough):
            break
    return attempts


def _rungs(
    model: Callable, args: tuple, kwargs: Mapping[str, Any], target: float, baseline_model: Callable | None
) -> Iterator[tuple[Parametrisation, float]]:
    written = Parametrisation("model as written", model, args, kwargs)
    yield written, target
    higher = [value for value in HIGHER_TARGETS if value > target] or [target]
    if higher[0] > target:
        yield written, higher[0]
    if baseline_model is not None:
        other = Parametrisation("baseline_model", baseline_model, args, kwargs)
    else:
        sites = hierarchical_sites(model, args, kwargs)
        if not sites:
            return
        other = Parametrisation("non-centred", non_centred(model, sites), args, kwargs)
    for value in higher:
        yield other, value


def _attempt(form: Parametrisation, engine: Engine, settings: Settings, names: tuple[str, ...]) -> Attempt:
    potential = form.potential
    _say_if_slow(potential)
    chains = engine(potential, settings)
    if potential.gradient.backend != "eager":
        flat = chains.flat.reshape(-1, potential.size)
        picked = flat[np.random.default_rng(settings.seed).integers(len(flat), size=_CHECKED)]
        if potential.check(list(picked)) > _AGREEMENT:
            potential.use_eager("the compiled gradient differs from the model's where the chains went")
            _say_if_slow(potential)
            chains = engine(potential, settings)
    samples = form.originals(chains.flat, names)
    tree = build({"posterior": samples, "sample_stats": chains.stats})
    return Attempt(form.label, settings.target_accept, chains, samples, chain_health(tree))


def _say_if_slow(potential: Potential) -> None:
    gradient = potential.gradient
    if gradient.why:
        warnings.warn(
            f"NUTS takes its gradients from {gradient.backend} code, which is slower: {gradient.why}.", stacklevel=5
        )


def best(attempts: list[Attempt]) -> Attempt:
    """The attempt whose draws are given back."""
    return min(attempts, key=lambda attempt: attempt.rank)


def story(attempts: list[Attempt], asked: Settings) -> str:
    """How the draws were reached, in one plain sentence or two."""
    chosen = best(attempts)
    told = []
    for label in dict.fromkeys(attempt.label for attempt in attempts):
        failed = [a for a in attempts if a.label == label and a is not chosen]
        if failed:
            faults = "; ".join(f"{_fault(a.health)} at target_accept {a.target_accept:g}" for a in failed)
            told.append(f"Chains of the {_noun(label)} did not count ({faults})")
    run = f"{_sampled(chosen)} at target_accept {chosen.target_accept:g}"
    if chosen.health.counts:
        shown = f"R-hat {chosen.health.max_rhat:.2f}, {_count(chosen.health.divergences)}"
        text = f"{'; '.join(told)}; {run} instead: {shown}." if told else f"{_capital(run)}: {shown}."
    else:
        before = f"{'; '.join(told)}. " if told else ""
        text = f"{before}No attempt counts as a baseline; these draws are {run}: {'; '.join(chosen.health.reasons)}."
    chains, draws = chosen.chains.flat.shape[:2]
    if (chains, draws) != (asked.chains, asked.draws):
        text += f" Stopped early: {chains} of {asked.chains} chains with {draws} of {asked.draws} draws each are kept."
    return text


def _fault(health: ChainHealth) -> str:
    return _count(health.divergences) if health.divergences else health.reasons[0].partition(":")[0]


def _count(divergences: int) -> str:
    return {0: "no divergences", 1: "1 divergence"}.get(divergences, f"{divergences} divergences")


def _noun(label: str) -> str:
    return "non-centred model" if label == "non-centred" else label


def _sampled(attempt: Attempt) -> str:
    words = {"non-centred": "sampled non-centred", "baseline_model": "sampled the program's baseline_model"}
    return words.get(attempt.label, "sampled the model as written")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
