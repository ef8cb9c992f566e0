"""One fit from one or several starts: each is run, the best final bound is left in place."""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyro_vae.errors import DivergedError
from pyro_vae.training import faults
from pyro_vae.training.checkpoints import Checkpoints
from pyro_vae.training.compiled import CompiledStepper
from pyro_vae.training.evaluation import Bound, evaluate, keep_better
from pyro_vae.training.fabric import Devices
from pyro_vae.training.gradient import MeanGradient
from pyro_vae.training.initial import move_start
from pyro_vae.training.logs import Log
from pyro_vae.training.loop import Run, advance, reopen, verdict
from pyro_vae.training.options import FitOptions
from pyro_vae.training.outcome import Outcome, fit_from_tree, make_fit, recent_bound
from pyro_vae.training.parameters import assign, copy_of
from pyro_vae.training.prepare import Prepared
from pyro_vae.training.progress import progress_bar
from pyro_vae.training.result import Fit, FitInterrupted
from pyro_vae.training.saved import fit_tree, put_values, resume_run, run_tree, same_settings
from pyro_vae.training.step import EagerStepper, Fault, Stepper, StepState
from pyro_vae.training.storage import write_tree
from pyro_vae.training.validation import Watch


class Starts:
    """The starts of one fit, one after another from one random stream: the first is the fit without restarts."""

    def __init__(self, prepared: Prepared, data: Any, options: FitOptions, devices: Devices | None = None):
        self.prepared = prepared
        self.data = data
        self.options = options
        self.devices = Devices() if devices is None else devices
        self.team = self.devices.team
        weighting = prepared.objective.weighting
        self.plan = options.plan(
            prepared.batches.per_epoch,
            processes=self.team.size,
            upper_bound=prepared.objective.upper_bound,
            annealed=0 if weighting is None else weighting.remaining,
        )
        self.said = {
            **options.said,
            "estimator": prepared.objective.name,
            "particles": prepared.objective.elbo.num_particles,
            "weighting": None if weighting is None else weighting.tree(),
            "processes": self.team.size,
        }
        self.team.share([*prepared.params.values(), *prepared.objective.buffers().values()])
        self.initial = copy_of(prepared.params)
        self.initial_buffers = copy_of(prepared.objective.buffers())
        self.best: Outcome | None = None
        self.best_written: float | None = None  # the bound of what is in the validation's file, of any start
        self.checkpoints = None if options.checkpoint is None else Checkpoints(options.checkpoint)

    def fit(self) -> Fit:
        """Run every start and return the best as a :class:`Fit`. Raises as :func:`~pyro_vae.fit` says."""
        first, resumed = 0, None
        if self.options.resume is not None:
            tree = self._saved(self.options.resume)
            same_settings(tree["settings"], self.said, self.options.resume)
            if tree["kind"] == "fit":
                return self._finished(tree)
            starts = tree["running"]["starts"]
            first, resumed = starts["index"], tree
            self.best = Outcome.from_tree(starts["best"]) if starts["best"] else None
            self.best_written = starts.get("best_written")
            self.initial = {name: value.to(self.initial[name].device) for name, value in starts["initial"].items()}
        self.team.own_noise()
        failures: list[DivergedError] = []
        for index in range(first, self.options.restarts):
            try:
                outcome = self._one(index, resumed if index == first else None)
            except DivergedError as error:
                failures.append(error)
                continue
            if self._improves(outcome):
                self.best = outcome
        if self.best is None:
            raise failures[0]
        result = self._leave(self.best)
        if self.checkpoints is not None and self.team.first:
            self.checkpoints.write(fit_tree(result, self.said))
        return result

    def _saved(self, path: Path) -> dict[str, Any]:
        own = self.checkpoints is not None and self.checkpoints.path == path
        return (self.checkpoints if self.checkpoints is not None and own else Checkpoints(path)).read()

    def _one(self, index: int, resumed: dict[str, Any] | None) -> Outcome:
        run = Run(StepState(dict(self.prepared.params), self.options.make_optimizer()), self.prepared.batches)
        watch = self._watch()
        if resumed is not None:
            resume_run(resumed, self.prepared, run, watch, self.team)
            reopen(run, self.plan)
        elif index > 0:
            assign({name: leaf for name, leaf in self.prepared.params.items() if name in self.initial}, self.initial)
            assign(self.prepared.objective.buffers(), self.initial_buffers)
            pair = self.prepared.objective
            move_start(pair.model, pair.guide, self.prepared.params, self.prepared.constraints)
            self.team.share(self.prepared.params.values())
        alone = self.options.restarts == 1
        label = self.prepared.guide_name if alone else f"{self.prepared.guide_name} {index + 1}"
        progress = self.options.progress if self.team.first else False
        with progress_bar(progress, label) as bar, closing(self._log(index, run)) as log:

            def between(now: Run) -> None:
                note = "searching" if now.settle_from is None else "settling"
                bar.show(now.rows, now.end(self.plan), note)
                self._check(now, index, watch)
                log.write(now.rows, [] if watch is None else watch.rows, () if watch is None else watch.names)
                self._checkpoint(now, index, watch)

            try:
                fault = advance(run, self._stepper(run.step), self.plan, between)
                self.prepared.params.update(run.state.params)
                if fault is None:
                    return self._ended(run, watch)
            except KeyboardInterrupt:
                fault = Fault("interrupt")
        self.prepared.params.update(run.state.params)
        raise self._failed(run, fault)

    def _stepper(self, steps: int) -> Stepper:
        """What takes the steps, of which ``steps`` have been taken before."""
        plain = self.options.accumulate == 1 and self.devices.plain
        if not plain:
            if self.options.compile:
                warnings.warn(
                    "compile=True: the fit runs eagerly: steps over several batches or processes, or in bfloat16, are "
                    "not compiled.",
                    stacklevel=6,
                )
            gradient = MeanGradient(self.prepared.batches, self.devices, self.options.accumulate)
            return EagerStepper(self.prepared.objective, self.options.clip, gradient=gradient)
        stepper = EagerStepper(self.prepared.objective, self.options.clip)
        if self.options.compiled(self.plan.steps):
            return CompiledStepper(stepper, asked=bool(self.options.compile), steps=steps)
        return stepper

    def _watch(self) -> Watch | None:
        if self.options.validation is None or self.plan.validate_every is None:
            return None
        every = self.plan.validate_every
        return Watch(self.options.validation, self.prepared.objective, self.team, self.prepared.device, every)

    def _log(self, index: int, run: Run) -> Log:
        if not self.team.first:
            return Log(None)
        folder = self.options.log
        if folder is not None and self.options.restarts > 1:
            folder = folder / f"start-{index + 1}"
        return Log(folder, self.devices.loggers, run.step)

    def _check(self, run: Run, index: int, watch: Watch | None) -> None:
        """Look at the validation data, if it is time to; write the best values and stop the run, if they say so."""
        if watch is None:
            return
        if watch.look(run.step, run.state.params) and watch.validation.best is not None and self._first_or_best(watch):
            tree = self._tree(run, index, watch)
            if self.team.first:
                write_tree(watch.validation.best, tree)
        run.stopped = watch.reason_to_stop()

    def _first_or_best(self, watch: Watch) -> bool:
        """Whether the best values of this start are better than what an earlier start has written."""
        assert watch.best is not None  # it has just looked, and found some
        worth, bound = self.prepared.objective.worth, watch.best[1]
        if self.best_written is not None and worth(bound) <= worth(self.best_written):
            return False
        self.best_written = bound
        return True

    def _ended(self, run: Run, watch: Watch | None) -> Outcome:
        """The run has come to its end: the better of its last, averaged and best validated values."""
        pair, batches = self.prepared.objective, self.prepared.batches
        bound, averaged = keep_better(pair, batches, run.state, self.team)
        converged, reason = verdict(run, self.plan)
        better = None if watch is None else watch.put_back(run.step, run.state.params)
        if better is not None:
            bound, averaged = evaluate(pair, batches, self.team), False
            reason += f"; the values of step {better}, the best on the validation data, are kept"
        outcome = self._outcome(run, bound, averaged, converged, reason)
        return outcome if watch is None else replace(outcome, validation=watch.rows, term_names=watch.names)

    def _outcome(self, run: Run, bound: Bound, averaged: bool, converged: bool, reason: str) -> Outcome:
        values, buffers = copy_of(self.prepared.params), copy_of(self.prepared.objective.buffers())
        return Outcome(
            values, buffers, bound.mean, bound.error, averaged, converged, reason, run.seconds, run.rows.array
        )

    def _failed(self, run: Run, fault: Fault) -> DivergedError | FitInterrupted:
        """The error for a run that could not go on, with the fit so far."""
        step = run.step
        interrupted = fault.kind == "interrupt"
        said = "" if interrupted else faults.explain(fault, self.prepared.objective, run.state.params, step)
        run.state.restore_good()
        reason = f"interrupted at step {step}" if interrupted else f"diverged at step {step}"
        outcome = self._outcome(run, Bound(*recent_bound(run.rows.bound)), False, False, reason)
        if not interrupted:
            return DivergedError(said, self._result(outcome, whole=False))
        if self.best is not None and not self._improves(outcome):
            result = self._leave(self.best)
        else:
            result = self._result(outcome, whole=False)
        return FitInterrupted(f"The fit was interrupted at step {step}; the fit so far is kept.", result)

    def _improves(self, outcome: Outcome) -> bool:
        worth = self.prepared.objective.worth
        return self.best is None or worth(outcome.bound) > worth(self.best.bound)

    def _checkpoint(self, run: Run, index: int, watch: Watch | None) -> None:
        if self.checkpoints is not None and run.step and run.step % self.options.checkpoint_every == 0:
            tree = self._tree(run, index, watch)
            if self.team.first:
                self.checkpoints.write(tree)

    def _tree(self, run: Run, index: int, watch: Watch | None) -> dict[str, Any]:
        best = self.best.tree() if self.best else None
        starts = {"index": index, "best": best, "initial": self.initial, "best_written": self.best_written}
        return run_tree(run, self.prepared, self.said, starts, watch, self.team)

    def _put(self, outcome: Outcome) -> None:
        assign({name: leaf for name, leaf in self.prepared.params.items() if name in outcome.values}, outcome.values)
        assign(self.prepared.objective.buffers(), outcome.buffers)

    def _leave(self, outcome: Outcome) -> Fit:
        """The outcome's values in place, and as a fit."""
        self._put(outcome)
        return self._result(outcome)

    def _result(self, outcome: Outcome, *, whole: bool = True) -> Fit:
        return make_fit(self.prepared, self.data, outcome, self.options.seed, whole=whole)

    def _finished(self, tree: dict[str, Any]) -> Fit:
        put_values(tree, self.prepared)
        return fit_from_tree(self.prepared, self.data, tree)
