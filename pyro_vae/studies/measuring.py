"""``gradients``: on a person's own model, how good is each estimator's gradient."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.infer
import torch

from pyro_vae.catalogue import Program
from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import EstimatorError, OptionError, PyroVaeError
from pyro_vae.estimators import Estimator, ScoreFunction
from pyro_vae.estimators.names import BY_NAME
from pyro_vae.studies.entries import estimators_by_name
from pyro_vae.studies.feasible import Start
from pyro_vae.studies.gradient_options import PLACES, GradientOptions, checked_estimator, estimator_of_fit, places_of
from pyro_vae.studies.gradient_pair import Contender, Gradients, Pair, alike
from pyro_vae.studies.gradient_place import Place, measure_place
from pyro_vae.studies.gradient_study import GradientStudy
from pyro_vae.studies.inputs import guides_of, program_of
from pyro_vae.studies.options import checked_count, checked_seed
from pyro_vae.studies.parameters import store_copy
from pyro_vae.training import Fit, fit
from pyro_vae.training.parameters import assign, copy_of
from pyro_vae.training.prepare import Prepared, prepare
from pyro_vae.training.progress import counted
from pyro_vae.training.randomness import own_randomness

_log = logging.getLogger(__name__)
FEWEST = 20  # gradients, below which a variance is a guess


def gradients(
    model: Callable | Program | str | Path,
    guide: Callable | str | None = None,
    data: Any = None,
    *,
    estimators: Iterable[Estimator | str | TraceELBO] | Mapping[str, Any] | Estimator | str | None = None,
    num_particles: int = 16,
    draws: int = 200,
    at: Sequence[str] | str | None = None,
    fitted: Fit | None = None,
    steps: int | None = None,
    warmup: int = 300,
    seed: int | None = None,
    progress: bool | None = None,
) -> GradientStudy:
    r"""Measure the gradient of every estimator on one model and guide: variance, bias, signal to noise, cost.

    .. math:: \mathrm{tr\,Cov}\,\hat g, \qquad \mathbb E\,\hat g - \nabla \mathcal L, \qquad
              \frac{|\mathbb E\,\hat g|}{\sqrt{\mathrm{tr\,Cov}\,\hat g}}, \qquad
              \mathrm{tr\,Cov}\,\hat g \times \text{seconds}

    at the start of a fit and at its end, the guide's parameters and the model's apart. A gradient is the direction in
    which a step would go, :math:`-\nabla` of the loss, by the unconstrained parameters. The estimators take turns, one
    gradient each from the same seed, so that a busy machine is busy for all of them. The last number is what to choose
    by: the variance of the mean of as many gradients as there is time for in a second.

    The bias is held against the exact gradient where the guide's sites are all discrete and have few values, else
    against a long run of another unbiased estimator of the *same* objective. An estimator is called biased if a mean
    is further off than chance allows when all of the study's numbers are looked at together (1 %), and again on four
    times as many fresh gradients. What is biased by design is said to be that.

    Args:
        model: a Pyro program; or the name or path of a model program, or a loaded one, with its data and guides.
        guide: a Pyro program, an automatic guide or its name; default the program's first, else ``auto_normal``.
        data: what both are called with, see :func:`~pyro_vae.fit`. Of a ``DataLoader`` the gradients are of its first
            batch: what is measured is the noise of the draws, which the estimator answers for.
        estimators: estimators, their names, or a ``TraceELBO`` where one is to have other particles than the rest; a
            dict gives the names to show. Default: all of the library's. Those that cannot take the pair's sites are
            left out; the study's ``left_out`` says why.
        num_particles: K of each gradient.
        draws: gradients of each estimator at each place; 200 know a variance to about a tenth of it.
        at: ``"start"`` is the guide as it is given, ``"fit"`` where a fit from there ends. Default: both; with
            ``fitted``, the fit alone.
        fitted: a :class:`~pyro_vae.Fit` of this pair, instead of a new one.
        steps: of the fit, see :func:`~pyro_vae.fit`.
        warmup: steps in which what an estimator learns (a baseline network, RELAX's control variate) or remembers is
            brought up beside a guide that stands still, at each place; then it stays as it is.
        seed: repeats the study, but for the seconds. None draws one, which the study records.
        progress: None shows bars on a terminal.

    Random numbers, Pyro's param store, modules and an unfitted guide are left as they were. Returns: the
    :class:`GradientStudy`.

    Raises:
        ModelError: when the pair does not fit together, has no parameter or draws nothing at random.
        EstimatorError: when no estimator is left, with why for each.
        OptionError: naming the option.

    Source: for the figure of merit, Glynn and Whitt, "The asymptotic efficiency of simulation estimators", Operations
    Research 40 (1992); for the signal-to-noise ratio, Rainforth et al., "Tighter variational bounds are not
    necessarily better", ICML 2018.

    >>> import pyro_vae as pv
    >>> study = pv.gradients("linear_regression", "auto_normal", estimators=["reparameterized", "score-function"],
    ...                      draws=60, at="start", seed=0)
    >>> variance = study.table()["variance"]
    >>> bool(variance["start", "guide", "score-function"] > 10 * variance["start", "guide", "reparameterized"])
    True
    """
    places = places_of(at, fitted)
    checked_count("num_particles", num_particles)
    checked_count("warmup", warmup)
    if checked_count("draws", draws) < FEWEST:
        raise OptionError(f"draws: expected a whole number from {FEWEST}, got {draws}: fewer know no variance.")
    seed = checked_seed(seed)
    program = program_of(model, data)
    if guide is None and fitted is not None:
        guide = fitted.guide
    [(guide_name, chosen)] = guides_of([guide or next(iter(program.guides), "auto_normal")], program).items()
    chosen_estimators = estimators_by_name(BY_NAME if estimators is None else estimators, "estimators")
    given = {name: checked_estimator(name, estimator) for name, estimator in chosen_estimators.items()}
    options = GradientOptions(num_particles, draws, places, fitted, steps, warmup, seed, progress, estimators is None)
    return _Study(program, guide_name, chosen, given, options).run()


class _Study:
    """One study as it goes: the pair looked at, the estimators that can take it, then place after place."""

    def __init__(
        self, program: Program, guide_name: str, guide: Any, given: Mapping[str, Any], options: GradientOptions
    ):
        self.program = program
        self.guide_name = guide_name
        self.guide = guide
        self.given = given
        self.options = options
        self.left_out: dict[str, str] = {}

    def run(self) -> GradientStudy:
        began = time.perf_counter()
        options = self.options
        with store_copy(), own_randomness(options.seed), _quiet():
            prepared = self._prepared()
            with Start.of(prepared, self.program.data).kept():
                pair = self._pair(prepared)
                usable, for_fit = self._usable(pair), estimator_of_fit(pair)
                rows, run = [], {}
                for place in options.places:
                    if place == "fit":
                        run |= self._fitted(prepared, for_fit)
                    _log.info("measuring %d estimators at the %s", len(usable), place)
                    with counted(options.progress, f"at the {place}") as show:
                        found = measure_place(self._place(place, pair, usable), show)
                    rows += found.rows
                    self._gone(place, found.broken, usable)
        if not usable:
            raise self._nothing_left()
        return GradientStudy(
            title=self.program.name,
            rows=tuple(rows),
            left_out=dict(self.left_out),
            entries=pair.entries,
            run={"guide": self.guide_name, "seconds": f"{time.perf_counter() - began:.1f}", **self._said(), **run},
        )

    def _said(self) -> dict[str, str]:
        options = self.options
        said = {"seed": options.seed, "num_particles": options.num_particles, "draws": options.draws}
        return {key.replace("_", " "): str(value) for key, value in {**said, "warmup": options.warmup}.items()}

    def _prepared(self) -> Prepared:
        """The pair, its guide made if it is a name; with the estimator that takes any site."""
        elbo = TraceELBO(ScoreFunction("leave-one-out", pathwise=True), max(self.options.num_particles, 2))
        return prepare(self.program.model, self.guide, self.program.data, elbo)

    def _pair(self, prepared: Prepared) -> Pair:
        args, kwargs = prepared.batches.peek()
        return Pair.of(self.program.model, prepared.objective.guide, args, kwargs, prepared.params)

    def _usable(self, pair: Pair) -> dict[str, Any]:
        """The estimators that can take the pair's sites, by one gradient each; why not, for the others.

        Of the library's own, those that come down to another one on these sites are left out too.
        """
        usable: dict[str, Any] = {}
        for name, estimator in self.given.items():
            try:
                self._tried(name, estimator, pair)
                usable[name] = estimator
            except PyroVaeError as error:
                said = str(error)
                self.left_out[name] = said[:1].upper() + said[1:]
        if self.options.every:
            for name, same in self._doubles(pair, usable).items():
                self.left_out[name] = f"On these sites it is {same}: the same gradient from the same draws."
                del usable[name]
        if not usable:
            raise self._nothing_left()
        return usable

    def _tried(self, name: str, estimator: Any, pair: Pair) -> Gradients:
        one = Contender(name, self._elbo(estimator), pair)
        one.warm_up(1)
        return one.gradient(self.options.seed).gradients

    def _doubles(self, pair: Pair, usable: Mapping[str, Any]) -> dict[str, str]:
        """Estimators that come down to one before them; seen beside the start, which may have symmetries."""
        leaves = {name: leaf for part in pair.leaves.values() for name, leaf in part.items()}
        start = copy_of(leaves)
        assign(leaves, {name: value + 0.1 * torch.randn_like(value) for name, value in start.items()})
        seen: dict[str, Gradients] = {}
        doubles: dict[str, str] = {}
        for name, estimator in usable.items():
            try:
                found = self._tried(name, estimator, pair)
            except PyroVaeError:  # it was fine at the start, and that is where it will be measured
                continue
            same = next((other for other, its in seen.items() if alike(found, its)), None)
            if same is None:
                seen[name] = found
            else:
                doubles[name] = same
        assign(leaves, start)
        return doubles

    def _elbo(self, estimator: Any) -> TraceELBO:
        if isinstance(estimator, TraceELBO):
            return TraceELBO(estimator.estimator, estimator.num_particles, vectorize=estimator.vectorize)
        return TraceELBO(estimator, self.options.num_particles)

    def _place(self, place: str, pair: Pair, usable: Mapping[str, Any]) -> Place:
        options = self.options
        contenders = [Contender(name, self._elbo(estimator), pair) for name, estimator in usable.items()]
        everywhere = len(usable) * len(options.places)
        return Place(
            name=place,
            pair=pair,
            contenders=contenders,
            num_particles=options.num_particles,
            draws=options.draws,
            warmup=options.warmup,
            seeds=np.random.SeedSequence([options.seed, PLACES.index(place)]),
            tests=everywhere * sum(len(names) for names in pair.entries.values()),
            rows=everywhere * len(pair.entries),
        )

    def _gone(self, place: str, broken: Mapping[str, str], usable: dict[str, Any]) -> None:
        """What has no finite gradient at a place is not measured at the next one."""
        for name, why in broken.items():
            self.left_out[name] = f"At the {place}, {why}"
            del usable[name]

    def _nothing_left(self) -> EstimatorError:
        reasons = " ".join(f"{name}: {why}" for name, why in self.left_out.items())
        return EstimatorError(f"None of the estimators can be measured on this model and guide. {reasons}")

    def _fitted(self, prepared: Prepared, estimator: Estimator) -> dict[str, str]:
        """Bring the parameters to the fit; what to say of it."""
        options, result = self.options, self.options.fitted
        if result is None:
            _log.info("fitting %s", self.guide_name)
            result = fit(
                self.program.model,
                prepared.objective.guide,
                self.program.data,
                estimator=estimator,
                num_particles=options.num_particles if options.num_particles > 1 else None,
                steps=options.steps,
                seed=options.seed,
                progress=options.progress,
            )
        assign(prepared.params, result.values, "fit")
        return {
            "fit": f"{result.steps} steps of {result.estimator!r}, {result.reason}",
            "bound": f"{result.bound:.3f} +- {result.bound_se:.3f}",
        }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without advice that is said for each estimator anew, and without argument validation in the loops."""
    with warnings.catch_warnings(), pyro.validation_enabled(False):
        warnings.filterwarnings("ignore", message="Particles are run one at a time")
        yield
