"""The loop of one run: search until the bound is flat, settle, stop. Everything between the steps happens here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyro

from pyro_vae.training.batches import Batches
from pyro_vae.training.rows import Rows
from pyro_vae.training.schedules import Moment, Schedule
from pyro_vae.training.step import Fault, Stepper, StepPlan, StepState
from pyro_vae.training.stopping import Flat, StopRule

CHECK_EVERY = 50  # steps between two questions to the stopping rule
LEAST_SETTLING = 750  # steps
SEARCH_SHARE = 0.6  # of the steps that a run may take, at most, before it settles
TAIL_SHARE = 0.25  # of a run without a search, over which iterates are averaged
AVERAGED_FROM = 0.5  # of settling: iterates after this are averaged
STRIDE_SECONDS = 0.2  # between two looks at the clock, the progress bar and the checkpoint


@dataclass(frozen=True)
class RunPlan:
    """What a run is told: at most ``steps`` steps, a schedule, a stopping rule, whether the tail is averaged.

    Rules read a bound that rises as the fit improves: of an ``upper_bound`` they are given the negative. They read
    nothing of the first ``annealed`` steps, over which the objective itself changes.
    """

    steps: int
    schedule: Schedule
    rule: StopRule | None
    average: bool = True
    checkpoint_every: int | None = None
    upper_bound: bool = False
    annealed: int = 0
    validate_every: int | None = None

    def readable(self, bound: np.ndarray, start: int = 0, stop: int | None = None) -> np.ndarray:
        """A history, from ``start`` to ``stop``, as the stopping rule reads it."""
        bound = bound[max(start, self.annealed) : stop]
        return -bound if self.upper_bound else bound


@dataclass
class Run:
    """Where a run is. ``rows`` is its history, a row for every step taken."""

    state: StepState
    batches: Batches
    rows: Rows = field(default_factory=Rows)
    settle_from: int | None = None
    settle_steps: int = 0
    flat: bool = False
    seconds: float = 0.0
    stopped: str = ""  # why something outside the plan has ended it

    @property
    def step(self) -> int:
        """Steps taken."""
        return len(self.rows)

    def phase(self) -> dict[str, Any]:
        """The position in the run's plan, as a tree."""
        return {
            "settle_from": self.settle_from,
            "settle_steps": self.settle_steps,
            "flat": self.flat,
            "seconds": self.seconds,
            "stopped": self.stopped,
        }

    def end(self, plan: RunPlan) -> int:
        """The step at which the run will end, as far as is known now."""
        return plan.steps if self.settle_from is None else self.settle_from + self.settle_steps


def advance(run: Run, stepper: Stepper, plan: RunPlan, between: Callable[[Run], None]) -> Fault | None:
    """Run to the plan's end, or to a step that cannot be taken; that fault is returned.

    ``between`` is called after every stride of steps. Strides are cut by the clock, which no number depends on: what
    a step does and when the rule is asked are functions of the step's number alone, so that a resumed run is the same
    run. Pyro's argument validation is off inside and restored after.
    """
    started = time.perf_counter() - run.seconds
    pace = 1
    with pyro.validation_enabled(False):
        while not _finished(run, plan):
            count = min(pace, _to_next_mark(run, plan))
            plans = _step_plans(run, plan, count)
            before = time.perf_counter()
            taken, fault = stepper.advance(run.state, run.batches, plans)
            now = time.perf_counter()
            each = (now - before) / max(len(taken), 1)
            run.rows.extend(taken, before - started + each * np.arange(1, len(taken) + 1))
            run.seconds = now - started
            if fault is not None:  # nothing is written from here on: random numbers and batches have moved ahead
                return fault
            between(run)
            pace = max(1, min(CHECK_EVERY, int(STRIDE_SECONDS / max(each, 1e-6))))
    return None


def _finished(run: Run, plan: RunPlan) -> bool:
    """Ask the rule when it is due, begin to settle when it says so; True at the end."""
    if run.settle_from is None and _searched(run, plan):
        run.settle_from = run.step
        left = plan.steps - run.step
        run.settle_steps = min(max(LEAST_SETTLING, run.step // 2), left) if run.flat else left
    return bool(run.stopped) or run.step >= run.end(plan)


def _searched(run: Run, plan: RunPlan) -> bool:
    if not plan.schedule.stoppable:
        return run.step >= plan.steps - int(TAIL_SHARE * plan.steps)
    if run.step >= int(SEARCH_SHARE * plan.steps):
        return True
    if plan.rule is not None and run.step > plan.annealed and run.step % CHECK_EVERY == 0:
        run.flat = bool(plan.rule(plan.readable(run.rows.bound)))
    return run.flat


def _to_next_mark(run: Run, plan: RunPlan) -> int:
    """Steps to the next one after which something has to be decided or written."""
    marks = [CHECK_EVERY - run.step % CHECK_EVERY, run.end(plan) - run.step]
    if run.settle_from is None:
        search = SEARCH_SHARE * plan.steps if plan.schedule.stoppable else plan.steps - int(TAIL_SHARE * plan.steps)
        marks.append(int(search) - run.step)
    marks.extend(every - run.step % every for every in (plan.checkpoint_every, plan.validate_every) if every)
    return max(1, min(marks))


def _step_plans(run: Run, plan: RunPlan, count: int) -> list[StepPlan]:
    """What is decided ahead of the next ``count`` steps."""
    first, schedule = run.step, plan.schedule
    if run.settle_from is None and schedule.stoppable:  # nothing changes while such a run searches
        return [StepPlan(schedule.factor(Moment(first, plan.steps, 0.0)), averaged=False)] * count
    begin, length = (first, 1) if run.settle_from is None else (run.settle_from, max(run.settle_steps, 1))
    from_share = AVERAGED_FROM if schedule.stoppable else 0.0
    plans = []
    for step in range(first, first + count):
        settled = 0.0 if run.settle_from is None else (step - begin) / length
        averaged = plan.average and run.settle_from is not None and settled >= from_share
        plans.append(StepPlan(schedule.factor(Moment(step, plan.steps, settled)), averaged))
    return plans


def reopen(run: Run, plan: RunPlan) -> None:
    """Bring a resumed run whose plan has grown to where it would be had the plan been this from the start.

    That can be done where the end of the search has changed no number: at a constant learning rate, without averaging.
    """
    changed = plan.average or plan.schedule.name != "constant" or run.flat
    if run.settle_from is None or changed or run.end(plan) >= plan.steps:
        return
    search = int(SEARCH_SHARE * plan.steps)
    run.settle_from = search if run.step >= search else None
    run.settle_steps = plan.steps - search if run.step >= search else 0


def verdict(run: Run, plan: RunPlan) -> tuple[bool, str]:
    """Whether the bound had stopped moving, and one sentence on why the run ended."""
    if run.flat and run.settle_from is not None:
        return True, f"the bound was flat after {run.settle_from} steps; settled for {run.step - run.settle_from} more"
    if run.stopped:
        return True, run.stopped
    stoppable = plan.schedule.stoppable
    constant = plan.readable(run.rows.bound, 0 if stoppable else run.step // 2, run.settle_from if stoppable else None)
    if bool((plan.rule or Flat())(constant)):
        return True, f"all {run.step} steps were taken; the bound was flat"
    if len(constant) < 2 * Flat().window:
        return False, f"all {run.step} steps were taken; too few to say whether the bound was flat"
    return False, f"all {run.step} steps were taken; the bound was still moving, or too noisy to say"
