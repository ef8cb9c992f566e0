"""``compare``: fit every guide with every estimator, draw the baseline, judge each fit on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import xarray as xr

from pyro_vae.catalogue import Program
from pyro_vae.diagnostics import check_baseline, judge, weights_baseline
from pyro_vae.errors import DivergedError, PyroVaeError
from pyro_vae.guides import names
from pyro_vae.posterior.draws import sample_posterior
from pyro_vae.studies.baselines import WEIGHTS, Baseline, baseline_draws, check_baseline_option, instead_of
from pyro_vae.studies.comparison import Comparison
from pyro_vae.studies.entries import Entries, Entry, entries_of
from pyro_vae.studies.feasible import Start, starts_of
from pyro_vae.studies.inputs import program_of, rows_of
from pyro_vae.studies.interruption import ComparisonInterrupted
from pyro_vae.studies.options import Options, options_of
from pyro_vae.studies.parameters import look_at_model, refuse_shared, refuse_untrained, store_copy
from pyro_vae.studies.record import Record
from pyro_vae.training import Fit, FitInterrupted, fit

_log = logging.getLogger(__name__)


def compare(
    model: Callable | Program | str | Path,
    data: Any = None,
    *,
    guides: Mapping[str, Any] | Iterable[Any] | Any | None = None,
    baseline: Baseline = None,
    refit: bool = True,
    estimator: Any = None,
    num_particles: int | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    optimizer: Any = None,
    learning_rate: float | None = None,
    restarts: int | None = None,
    stop: Any = "auto",
    compile: bool | None = None,
    device: Any = None,
    guide_draws: int = 10_000,
    engine: str = "nutpie",
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 1000,
    target_accept: float = 0.8,
    seed: int | None = None,
    progress: bool | None = None,
    baseline_model: Callable | None = None,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Any] | None = None,
) -> Comparison:
    r"""Fit the guides, sample the same model with NUTS, and say of each guide whether it can be trusted.

    A guide is trusted if for every parameter :math:`|\Delta\text{mean}| + 2\,\text{MCSE} < .3` sd and the ratio of
    sds is within a factor of 1.3; to be reweighted if that holds after importance weighting and :math:`\hat k < .7`;
    untrusted otherwise. Without NUTS, or where it has not converged, the guides' importance weights judge them as far
    as they can, and each verdict says on what it rests.

    Args:
        model: a Pyro program; or the name or path of a model program, or a loaded one, with its data, labels and
            guides.
        data: what model and guides are called with, see :func:`~pyro_vae.fit`.
        guides: a dict of guides, or a list; each a callable, an automatic guide or its name. Default: the program's
            own, else ``auto_normal`` (mean-field) and ``auto_multivariate_normal`` (full-rank).
        baseline: ``"nuts"``; ``"reference"``, a program's exact draws, which is the default where it has them;
            ``"importance"``, no baseline but the guides' own importance weights, for a model too big for NUTS; the path
            of a netCDF file; a ``DataTree``, or a function without arguments that gives one, called after the fits; or
            a ``pyro.infer.MCMC`` that has run.
        refit: False judges the guides as they are, trained already. Nothing in them or the param store changes.
        estimator: one, for all guides; or a list of several to compare, or a dict of them by the names to show. Then
            every guide is fitted with each, from the same start and seed, and the guides are by default one: the
            program's first, else ``auto_normal``. Estimators are given as for :func:`~pyro_vae.fit`, a ``TraceELBO``
            where one needs other particles than the rest.
        num_particles: and ``steps``, ``epochs``, ``optimizer``, ``learning_rate``, ``restarts``, ``stop``, ``compile``,
            ``device``: see :func:`~pyro_vae.fit`.
        guide_draws: draws of each guide.
        engine: and ``chains``, ``draws`` (of each chain), ``warmup``, ``target_accept``: see :func:`~pyro_vae.nuts`.
        seed: repeats the comparison. None draws one, which the report records.
        progress: None shows bars on a terminal.
        baseline_model: the same posterior with the same names in coordinates that NUTS likes better.
        coords: labels as in ArviZ, with ``dims``: ``coords={"school": [...]}``, ``dims={"theta": ["school"]}``.
        dims: see ``coords``.

    Each fit has a param store of its own; Pyro's stays as it was. Returns: the :class:`Comparison`. Where several
    estimators are compared, a guide that is a module is left as it was too (the fitted values are in ``fits``), and
    one whose fit diverges is reported as that, in ``diverged``, while the others go on: that it diverges is a finding.

    Raises:
        ModelError: naming guide and site, when a pair does not fit together.
        EstimatorError: naming guide, estimator and site, when that estimator cannot take that site. With several
            estimators it is found out before the first fit, and those that can are named.
        DivergedError: naming guide, step and sites, when a bound becomes NaN or infinite; with several estimators,
            when all do.
        ComparisonInterrupted: on Ctrl-C; its ``fits`` are the fits so far.
        OptionError, ProgramError, OutputError: naming the option, program or file, before the work begins.

    Source: for the use of k-hat, Yao, Vehtari, Simpson, Gelman, "Yes, but did it work?", ICML 2018.

    >>> import pyro_vae as pv
    >>> comparison = pv.compare("linear_regression", guides=["auto_multivariate_normal"], seed=0)
    >>> comparison.verdicts["auto_multivariate_normal"].level
    'trusted'
    >>> estimators = pv.compare("bimodal", estimator=["reparameterized", pv.DReG()], steps=500, seed=0).estimators()
    >>> bool((estimators["bound"] >= estimators["elbo"] - 0.1).all())  # DReG's own bound lies above its ELBO
    True
    """
    program = program_of(model, data, baseline_model=baseline_model, coords=coords, dims=dims)
    entries = entries_of(guides, estimator, program)
    options = options_of(
        seed=seed,
        refit=refit,
        guide_draws=guide_draws,
        progress=progress,
        stop=stop,
        fit={
            "estimator": entries.estimators if entries.several else estimator,
            "num_particles": num_particles,
            "steps": steps,
            "epochs": epochs,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "restarts": restarts,
            "compile": compile,
            "device": device,
        },
        nuts={"engine": engine, "chains": chains, "draws": draws, "warmup": warmup, "target_accept": target_accept},
    )
    return _Study(program, entries, check_baseline_option(baseline, program), options).run()


class _Study:
    """One comparison as it goes: fits first, because they find a bad pair soonest; the baseline; the judgements."""

    def __init__(self, program: Program, entries: Entries, baseline: Baseline, options: Options):
        self.program = program
        self.entries = entries
        self.baseline = baseline
        self.options = options
        self.rows = rows_of(program.data)
        self.record = Record(options)
        self.fits: dict[str, Fit] = {}
        self.posteriors: dict[str, xr.DataTree] = {}
        self.diverged: dict[str, str] = {}

    def run(self) -> Comparison:
        learned = look_at_model(self.program.model, self.rows)
        if self.options.refit:
            refuse_shared(learned, self.entries)
        starts = starts_of(self.entries, self.program, self.options) if self.entries.several else {}
        try:
            for name, entry in self.entries.by_name.items():
                with _named(name, self.entries):
                    if self.options.refit:
                        self._fitted(name, entry, starts.get(entry.guide_name))
                    else:
                        self._as_it_is(name, entry.guide)
            if not self.posteriors:
                name, why = next(iter(self.diverged.items()))
                raise DivergedError(f"Every fit diverged. '{name}': {why}", self.fits[name])
            if isinstance(self.baseline, str) and self.baseline == WEIGHTS:
                return self._judged(weights_baseline(self.posteriors, self.options.seed))
            with self.record.timed("baseline"), self._place_of_baseline(bool(learned)):
                _log.info("drawing the baseline")
                drawn = baseline_draws(self.baseline, self.program, self.rows, self.options)
            if drawn.attrs.get("interrupted"):
                raise KeyboardInterrupt  # NUTS gives back what it has; a comparison is not made of that
            return self._judged(*instead_of(drawn, self.baseline, self.posteriors, self.options.seed))
        except KeyboardInterrupt as error:
            if isinstance(error, FitInterrupted):
                self.fits[next(name for name in self.entries.by_name if name not in self.fits)] = error.fit
            raise ComparisonInterrupted(
                "The comparison was interrupted; the fits so far are kept.", self.fits
            ) from error

    def _fitted(self, name: str, entry: Entry, start: Start | None) -> None:
        """Fit and draw. One fit alone that diverges is an error, one among several estimators a finding."""
        _log.info("fitting %s", name)
        options = self.options
        with ExitStack() as kept:
            if start is not None:
                kept.enter_context(start.kept())
            try:
                with pyro.get_param_store().scope(), self.record.timed(f"fit of {name}"):
                    self.fits[name] = fit(
                        self.program.model,
                        entry.guide,
                        self.program.data,
                        seed=options.seed,
                        progress=options.progress,
                        stop=options.stop,
                        **{**options.fit, "estimator": entry.objective()},
                    )
            except DivergedError as error:
                if not self.entries.several or not isinstance(error.fit, Fit):
                    raise
                _log.info("%s diverged", name)
                self.fits[name], self.diverged[name] = error.fit, str(error)
                return
            with self.record.timed(f"draws of {name}"):
                # Not the seed of the fit: the draws that it was fitted on must not be those that it is judged by.
                self.posteriors[name] = self.fits[name].posterior(
                    draws=options.guide_draws,
                    data=self.rows,
                    seed=options.seed + 1,
                    **self._labels(),
                    attrs={"guide": name},
                )

    def _as_it_is(self, name: str, guide: Any) -> None:
        refuse_untrained(name, guide, self.rows)
        _log.info("drawing from %s", name)
        with store_copy(), self.record.timed(f"draws of {name}"):
            self.posteriors[name] = sample_posterior(
                self.program.model,
                guide,
                self.rows,
                draws=self.options.guide_draws,
                seed=self.options.seed + 1,
                attrs={"guide": name},
                **self._labels(),
            )

    def _place_of_baseline(self, learned: bool) -> Any:
        """The parameters that the model has while the baseline is drawn."""
        if not self.options.refit:
            return store_copy()
        if learned:
            return next(iter(self.fits.values())).in_place()
        return pyro.get_param_store().scope()

    def _labels(self) -> dict[str, Any]:
        return {"coords": dict(self.program.coords), "dims": dict(self.program.dims)}

    def _judged(self, drawn: xr.DataTree, set_aside: xr.DataTree | None = None) -> Comparison:
        health = check_baseline(drawn)
        with self.record.timed("judgement"):
            judgements = {
                name: judge(
                    name,
                    tree,
                    drawn,
                    history=_settled_bound(self.fits[name]) if name in self.fits else None,
                    health=health,
                    guides=names(),
                )
                for name, tree in self.posteriors.items()
            }
        return Comparison(
            title=self.program.name,
            posteriors=self.posteriors,
            baseline=drawn,
            set_aside=set_aside,
            judgements=judgements,
            health=health,
            how=str(drawn.attrs.get("how", "as it was given")),
            fits=self.fits,
            diverged=self.diverged,
            kind=self.entries.kind,
            several=self.entries.several,
            run=self.record.table(self.fits, drawn),
            reference=self.program.reference,
            story=self.program.story,
        )


def _settled_bound(fitted: Fit) -> np.ndarray:
    """The bound of the steps by which to see whether a fit had finished, ``[steps]``.

    When the learning rate falls, the bound rises: that is what it falls for. So of a fit whose bound was flat before,
    what came after is looked at (in its second half parameters are averaged), and of another one what came before.
    """
    rate, bound = fitted.history.learning_rate, fitted.history.bound
    falling = np.flatnonzero(rate < rate.max(initial=0.0))
    start = falling[0] if len(falling) else len(bound)
    if start < len(bound) // 10:  # it falls all the way
        return bound
    return bound[start:] if fitted.converged and start < len(bound) else bound[:start]


class _named(nullcontext):
    """Put the entry's name before the message of an error."""

    def __init__(self, name: str, entries: Entries):
        super().__init__(f"'{name}'" if entries.several else f"Guide '{name}'")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, PyroVaeError) and error.args:
            error.args = (f"{self.enter_result}: {error.args[0]}", *error.args[1:])
