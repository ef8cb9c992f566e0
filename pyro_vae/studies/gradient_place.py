"""Every estimator at one place of the parameters: what it learns, its gradients in turn, what its mean ought to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyro

from pyro_vae.diagnostics.gradient_noise import (
    Bias,
    EstimatorNoise,
    GradientMoments,
    RunningMoments,
    verdict_of,
)
from pyro_vae.errors import EstimatorError
from pyro_vae.estimators import Claims
from pyro_vae.studies.gradient_pair import Contender, Pair
from pyro_vae.studies.gradient_references import TIMES, References, moments_of

ROUNDING = 32  # units in the last place that sums of a gradient's terms may be off by
AGAIN = 4  # times as many fresh gradients for an estimator that looks biased


@dataclass(frozen=True)
class Place:
    """What is measured, and where: ``tests`` counts the numbers of the whole study and ``rows`` its findings,
    ``seeds`` are the place's own."""

    name: str
    pair: Pair
    contenders: Sequence[Contender]
    num_particles: int
    draws: int
    warmup: int
    seeds: np.random.SeedSequence
    tests: int
    rows: int


class Found(NamedTuple):
    """A row per estimator and part of the parameters; and why the others have none."""

    rows: list[EstimatorNoise]
    broken: dict[str, str]


@dataclass
class _Run:
    contender: Contender
    moments: dict[str, RunningMoments]
    seconds: list[float]
    evaluations: float = float("nan")


def measure_place(place: Place, show: Callable[[int, int], None]) -> Found:
    """Measure; ``show`` is told how many rounds of how many are over."""
    warm, measured, reference, again, again_reference = (
        [int(seed) for seed in stream.generate_state(count)]
        for stream, count in zip(
            place.seeds.spawn(5),
            (1, place.draws, TIMES * place.draws, AGAIN * place.draws, AGAIN * TIMES * place.draws),
            strict=True,
        )
    )
    runs, broken = _warmed(place, warm[0])
    for index, seed in enumerate(measured):
        turn = index % max(len(runs), 1)
        for run in [*runs[turn:], *runs[:turn]]:
            try:
                gradients, seconds = run.contender.gradient(seed)
            except EstimatorError as error:
                broken[run.contender.name] = f"in draw {index + 1}, {error}"
                runs.remove(run)
                continue
            run.seconds.append(seconds)
            for part, gradient in gradients.items():
                run.moments[part].add(gradient)
        show(index + 1, place.draws)
    results = {run.contender.name: {part: found.result() for part, found in run.moments.items()} for run in runs}
    references = References(place.pair, place.num_particles, reference)
    judge = _Judge(
        place,
        references,
        replace(references, seeds=again_reference, runs={}),
        again,
        _rounding(place, results),
    )
    rows = [judge.row(run, part, moments) for run in runs for part, moments in results[run.contender.name].items()]
    return Found(rows, broken)


def _warmed(place: Place, seed: int) -> tuple[list[_Run], dict[str, str]]:
    """Every estimator as it is to be measured: trained, and run twice so that what is done once is done."""
    runs, broken = [], {}
    for one in place.contenders:
        pyro.set_rng_seed(seed)
        try:
            one.warm_up(place.warmup)
            evaluations = one.evaluations(seed)
        except EstimatorError as error:
            broken[one.name] = f"in its warm-up, {error}"
            continue
        runs.append(_Run(one, {part: RunningMoments(place.draws) for part in place.pair.leaves}, [], evaluations))
    return runs, broken


def _rounding(place: Place, results: dict[str, dict[str, GradientMoments]]) -> dict[str, np.ndarray]:
    """What the parameters' precision leaves open of a mean, ``[P]``: the terms that cancel in a gradient are as large
    as the largest gradients of any estimator."""
    return {
        part: ROUNDING
        * place.pair.precision
        * np.max([np.sqrt(found[part].mean ** 2 + found[part].variance) for found in results.values()], axis=0)
        for part in (place.pair.leaves if results else ())
    }


@dataclass(frozen=True)
class _Judge:
    """From moments to rows: each mean held against what it ought to be, a suspect again on fresh gradients."""

    place: Place
    references: References
    longer: References
    seeds: Sequence[int]
    rounding: dict[str, np.ndarray]

    def row(self, run: _Run, part: str, moments: GradientMoments) -> EstimatorNoise:
        elbo = run.contender.elbo
        claims = elbo.estimator.claims
        unbiased = claims.unbiased or (part == "model" and bool(claims.guide_objective))
        row = EstimatorNoise(
            estimator=run.contender.name,
            place=self.place.name,
            part=part,
            objective=_objective(claims, part, elbo.num_particles),
            unbiased=unbiased,
            moments=moments,
            bias=None,
            reference="",
            biased="by design",
            seconds=np.array(run.seconds),
            evaluations=run.evaluations,
            warmup=run.contender.warmup,
        )
        if not _follows_the_bound(claims, part):
            return row
        row = self._held(row, run, self.references)
        return self._again(row, run) if row.biased == "yes" else row

    def _again(self, row: EstimatorNoise, run: _Run) -> EstimatorNoise:
        """The row from fresh gradients, more of them."""
        first, seeds = row.bias, self.seeds
        try:
            fresh = moments_of((run.contender.gradient(seed).gradients for seed in seeds), len(seeds))
        except EstimatorError:  # one of so many is not finite: what was seen first stands
            return row
        found = self._held(replace(row, moments=fresh[row.part]), run, self.longer)
        if first is None or found.bias is None:
            return row
        biased = "yes" if found.bias.confirms(first, self.place.rows) else "no"
        return replace(found, bias=replace(found.bias, suspect=first.worst), biased=biased)

    def _held(self, row: EstimatorNoise, run: _Run, references: References) -> EstimatorNoise:
        found = references.of(run.contender)
        if found is None:
            return replace(row, biased=verdict_of(None, row.unbiased, self.place.tests))
        bias = Bias.of(row.moments, found[row.part], self.rounding[row.part])
        verdict = verdict_of(bias, row.unbiased, self.place.tests)
        return replace(row, bias=bias, reference=found[row.part].how, biased=verdict)


def _follows_the_bound(claims: Claims, part: str) -> bool:
    """Whether this part's gradient is meant to be that of the bound, or of something that has no exact value here."""
    return part == "model" or claims.guide_objective in ("", claims.objective)


def _objective(claims: Claims, part: str, num_particles: int) -> str:
    own = claims.objective if _follows_the_bound(claims, part) else claims.guide_objective
    return own if own == "ELBO" else f"{own} (K={num_particles})"
