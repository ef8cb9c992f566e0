"""One fit from one or several starts: each is run, the best final bound is left in place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyro.infer.autoguide import AutoLaplaceApproximation

from pyro_vae.errors import DivergedError, ModelError
from pyro_vae.training import faults
from pyro_vae.training.checkpoints import Checkpoints
from pyro_vae.training.compiled import CompiledStepper
from pyro_vae.training.evaluation import Bound, evaluate, keep_better
from pyro_vae.training.initial import move_start
from pyro_vae.training.loop import Run, advance, verdict
from pyro_vae.training.objective import Objective
from pyro_vae.training.options import FitOptions
from pyro_vae.training.parameters import Parameters, assign, copy_of
from pyro_vae.training.prepare import Prepared
from pyro_vae.training.progress import progress_bar, smoothed
from pyro_vae.training.result import Fit, FitInterrupted, History
from pyro_vae.training.saved import fit_tree, history_of, put_values, resume_run, run_tree, same_settings
from pyro_vae.training.step import EagerStepper, Fault, Stepper, StepState


@dataclass(frozen=True)
class Outcome:
    """How one start ended: its values (unconstrained), its bound, its history."""

    values: Parameters
    buffers: Parameters
    bound: float
    bound_se: float
    averaged: bool
    converged: bool
    reason: str
    seconds: float
    rows: list[tuple[float, ...]]

    def tree(self) -> dict[str, Any]:
        """As a tree that can be written."""
        return {**vars(self), "rows": torch.tensor(self.rows, dtype=torch.float64)}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Outcome:
        """The inverse of :meth:`tree`."""
        return cls(**{**tree, "rows": [tuple(row) for row in tree["rows"].tolist()]})


class Starts:
    """The starts of one fit, one after another from one random stream: the first is the fit without restarts."""

    def __init__(self, prepared: Prepared, data: Any, options: FitOptions):
        self.prepared = prepared
        self.data = data
        self.options = options
        weighting = prepared.objective.weighting
        self.plan = options.plan(
            prepared.batches.per_epoch,
            upper_bound=prepared.objective.upper_bound,
            annealed=0 if weighting is None else weighting.remaining,
        )
        self.said = {
            **options.said,
            "estimator": prepared.objective.name,
            "particles": prepared.objective.elbo.num_particles,
            "weighting": None if weighting is None else weighting.tree(),
        }
        self.initial = copy_of(prepared.params)
        self.initial_buffers = copy_of(prepared.objective.buffers())
        self.best: Outcome | None = None
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
            self.initial = {name: value.to(self.initial[name].device) for name, value in starts["initial"].items()}
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
        if self.checkpoints is not None:
            self.checkpoints.write(fit_tree(result, self.said))
        return result

    def _saved(self, path: Path) -> dict[str, Any]:
        own = self.checkpoints is not None and self.checkpoints.path == path
        return (self.checkpoints if self.checkpoints is not None and own else Checkpoints(path)).read()

    def _one(self, index: int, resumed: dict[str, Any] | None) -> Outcome:
        run = Run(StepState(dict(self.prepared.params), self.options.make_optimizer()), self.prepared.batches)
        if resumed is not None:
            resume_run(resumed, self.prepared, run)
        elif index > 0:
            assign({name: leaf for name, leaf in self.prepared.params.items() if name in self.initial}, self.initial)
            assign(self.prepared.objective.buffers(), self.initial_buffers)
            pair = self.prepared.objective
            move_start(pair.model, pair.guide, self.prepared.params, self.prepared.constraints)
        stepper: Stepper = EagerStepper(self.prepared.objective, self.options.clip)
        if self.options.compiled(self.plan.steps):
            stepper = CompiledStepper(stepper, asked=bool(self.options.compile), steps=run.step)
        label = self.prepared.guide_name if self.options.restarts == 1 else f"{self.prepared.guide_name} {index + 1}"
        with progress_bar(self.options.progress, label) as bar:

            def between(now: Run) -> None:
                note = "searching" if now.settle_from is None else "settling"
                bar.show(now.rows, now.end(self.plan), note)
                self._checkpoint(now, index)

            try:
                fault = advance(run, stepper, self.plan, between)
                self.prepared.params.update(run.state.params)
                if fault is None:
                    bound, averaged = keep_better(self.prepared.objective, self.prepared.batches, run.state)
                    return self._outcome(run, bound, averaged, *verdict(run, self.plan))
            except KeyboardInterrupt:
                fault = Fault("interrupt")
        self.prepared.params.update(run.state.params)
        raise self._failed(run, fault)

    def _outcome(self, run: Run, bound: Bound, averaged: bool, converged: bool, reason: str) -> Outcome:
        values, buffers = copy_of(self.prepared.params), copy_of(self.prepared.objective.buffers())
        return Outcome(values, buffers, bound.mean, bound.error, averaged, converged, reason, run.seconds, run.rows)

    def _failed(self, run: Run, fault: Fault) -> DivergedError | FitInterrupted:
        """The error for a run that could not go on, with the fit so far."""
        step = run.step
        interrupted = fault.kind == "interrupt"
        said = "" if interrupted else faults.explain(fault, self.prepared.objective, run.state.params, step)
        run.state.restore_good()
        reason = f"interrupted at step {step}" if interrupted else f"diverged at step {step}"
        outcome = self._outcome(run, Bound(*recent_bound(run.bound())), False, False, reason)
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

    def _checkpoint(self, run: Run, index: int) -> None:
        if self.checkpoints is not None and run.step and run.step % self.options.checkpoint_every == 0:
            best = self.best.tree() if self.best else None
            starts = {"index": index, "best": best, "initial": self.initial}
            self.checkpoints.write(run_tree(run, self.prepared, self.said, starts))

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


def make_fit(prepared: Prepared, data: Any, outcome: Outcome, seed: int | None, *, whole: bool = True) -> Fit:
    """The fit whose values are in place. ``whole`` says that it came to its end."""
    kept = {
        name: getattr(outcome, name) for name in ("bound", "bound_se", "converged", "reason", "averaged", "seconds")
    }
    result = Fit(
        model=prepared.objective.model,
        guide=prepared.objective.guide,
        data=data,
        objective=prepared.objective,
        history=History.from_rows(outcome.rows),
        params=prepared.values(),
        seed=seed,
        guide_name=prepared.guide_name,
        leaves=dict(prepared.params),
        values=outcome.values,
        constraints=prepared.stored,
        device=prepared.device,
        **kept,
    )
    return with_laplace(result, prepared) if whole else result


def unfinished_tree(tree: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of a run in progress, read as a fit: the last smoothed bound stands for the final one."""
    bound = history_of(tree).bound
    last, error = recent_bound(bound)
    result = {
        "estimator": tree["settings"]["estimator"],
        "num_particles": tree["settings"]["particles"],
        "weighting": tree["settings"].get("weighting"),
        "bound": last,
        "bound_se": error,
        "converged": False,
        "reason": f"a checkpoint at step {len(bound)} of a run that did not end",
        "averaged": False,
        "seconds": tree["running"]["phase"]["seconds"],
        "seed": tree["settings"]["seed"],
    }
    return {**tree, "result": result}


def recent_bound(bound: np.ndarray) -> tuple[float, float]:
    """The smoothed bound at the end of a history, and the standard error of its last 100 steps' mean."""
    recent = bound[-100:]
    error = float(recent.std(ddof=1) / np.sqrt(len(recent))) if len(recent) > 1 else float("nan")
    return float(smoothed(bound)[-1]) if len(bound) else float("nan"), error


def fit_from_tree(prepared: Prepared, data: Any, tree: dict[str, Any]) -> Fit:
    """The fit that a saved tree describes; its values are in place already."""
    result = tree["result"]
    kept = {name: result[name] for name in ("bound", "bound_se", "converged", "reason", "averaged", "seconds")}
    outcome = Outcome(dict(tree["params"]), dict(tree["buffers"]), rows=history_of(tree).rows().tolist(), **kept)
    return make_fit(prepared, data, outcome, result["seed"])


def with_laplace(result: Fit, prepared: Prepared) -> Fit:
    """A Laplace approximation is finished at the mode: the Gaussian with that curvature becomes the guide."""
    if not isinstance(result.guide, AutoLaplaceApproximation):
        return result
    args, kwargs = prepared.batches.peek()
    try:
        guide = result.guide.laplace_approximation(*args, **kwargs)
    except (torch.linalg.LinAlgError, RuntimeError) as error:
        raise ModelError(
            f"auto_laplace: the Hessian of the log joint at the mode is not negative definite ({error}). The mode "
            'lies at the edge or on a ridge; use "auto_multivariate_normal".'
        ) from error
    objective = Objective(result.model, guide, prepared.objective.elbo)
    bound = evaluate(objective, prepared.batches)
    return replace(result, guide=guide, objective=objective, bound=bound.mean, bound_se=bound.error)
