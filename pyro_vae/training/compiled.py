"""Steps of a fit as machine code: the eager step written down once, compiled, and held against the eager one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyro_vae.compiling.writing import first_line
from pyro_vae.training.agreement import difference
from pyro_vae.training.batches import Batches
from pyro_vae.training.block import Block
from pyro_vae.training.fetched import Fetched, Fetcher, Given, runs
from pyro_vae.training.optimizers import TorchOptimizer
from pyro_vae.training.parameters import Later
from pyro_vae.training.step import EagerStepper, Fault, StepPlan, StepState, Taken
from pyro_vae.training.updates import Update, update_of
from pyro_vae.training.written import StepTensors, UnwritableError, write_step

CHECKED = (1, 2, 50, 500)  # steps, counted from 0, that are taken both ways and compared
CHECKS = 2  # of the first steps of a layout: what is baked in may be right for the first
LAYOUTS = 4  # of minibatches that are compiled, at most: a last, smaller batch is one

Advanced = tuple[list[Taken], Fault | None]


@dataclass
class _Layout:
    """Minibatches of one layout: their compiled step, and how often it was held against the eager one."""

    block: Block | None = None
    checks: int = 0


class CompiledStepper:
    """Takes the steps of an :class:`EagerStepper`, compiled where that can be done and is right.

    The very first step of a run is eager, which also finds what there is to compile. The steps numbered ``CHECKED``,
    and the first two of each layout of minibatches, are taken both ways from the same state and noise; where they
    disagree, and where the pair or optimiser cannot be compiled, every further step is eager and ``why_not`` says why,
    aloud if the person ``asked`` for it. A block with a bound or gradient that is not finite is undone and taken
    eagerly, so that a fault is found and told as ever. ``steps`` were taken before: which steps are compiled depends
    on their number and batch alone, so that a run that is resumed is the run that was not interrupted, to the bit.
    """

    def __init__(self, eager: EagerStepper, *, asked: bool = True, steps: int = 0):
        self.eager = eager
        self.asked = asked
        self.layouts: dict[object, _Layout] = {}
        self.fetcher = Fetcher()
        self.update: Update | None = None
        self.live: list[Tensor] = []  # the state that the blocks copy in and out, on the live memory
        self.known = 0  # parameters, when the first step was compiled
        self.why_not = ""
        self.steps = steps
        eager.first = eager.first and steps == 0

    def advance(self, state: StepState, batches: Batches, plans: Sequence[StepPlan]) -> Advanced:
        """As every :class:`~pyro_vae.training.step.Stepper` does."""
        taken: list[Taken] = []
        while len(taken) < len(plans):
            left = plans[len(taken) :]
            if self.eager.first:
                left = left[:1]
            if self.eager.first or self.why_not:
                more, fault = self.eager.advance(state, batches, left)
                self.steps += len(more)
            else:
                more, fault = self._fetched(state, batches, left)
            taken.extend(more)
            if fault is not None:
                return taken, fault
        return taken, None

    def _fetched(self, state: StepState, batches: Batches, plans: Sequence[StepPlan]) -> Advanced:
        """Steps on the data of as many as belong to one epoch, those of one layout at a time."""
        taken: list[Taken] = []
        until = min((step - self.steps for step in CHECKED if step > self.steps), default=len(plans))
        try:
            fetched = self.fetcher.fetch(batches, min(len(plans), max(1, until)))
        except KeyboardInterrupt:
            return [], Fault("interrupt")
        look: Any = getattr(getattr(self.eager.objective.model, "__self__", None), "look_at", None)
        if look is not None:  # compiled steps run no line of the model
            for args, kwargs in (one.arguments for one in fetched):
                look(*args, **kwargs)
        for run in runs(fetched):
            while run:
                more, fault = self._one_layout(state, run, plans[len(taken) :][: len(run)])
                taken.extend(more)
                self.steps += len(more)
                run = run[len(more) :]
                if fault is not None:
                    return taken, fault
        return taken, None

    def _one_layout(self, state: StepState, fetched: Sequence[Fetched], plans: Sequence[StepPlan]) -> Advanced:
        """The first of these steps, in one of the ways."""
        random = torch.get_rng_state()
        layout = self.layouts.setdefault(fetched[0].layout, _Layout())
        if self.known and len(state.params) != self.known:
            self._refuse("a parameter turned up after the step was compiled")
            layout = _Layout()
        try:
            if layout.block is None and self._worth_compiling(fetched[0]):
                self._compile(layout, state, fetched[0])
            if layout.block is None:
                return self.eager.advance(state, Given(fetched), plans)
            if CHECKED and (self.steps in CHECKED or layout.checks < CHECKS):
                layout.checks += 1
                return self._checked(layout.block, state, fetched[0], plans[0])
            fetched = fetched[: layout.block.capacity]
            taken = self._run(layout.block, state, fetched, plans[: len(fetched)])
        except KeyboardInterrupt:
            torch.set_rng_state(random)
            return [], Fault("interrupt")
        if taken is not None:
            return taken, None
        torch.set_rng_state(random)
        return self.eager.advance(state, Given(fetched), plans[: len(fetched)])

    def _worth_compiling(self, fetched: Fetched) -> bool:
        compiled = sum(layout.block is not None for layout in self.layouts.values())
        return not self.why_not and not fetched.rare and compiled < LAYOUTS

    def _run(
        self, block: Block, state: StepState, fetched: Sequence[Fetched], plans: Sequence[StepPlan]
    ) -> list[Taken] | None:
        """A block of steps; None, with the state as it was, where a number is not finite."""
        try:
            rows = self._tried(block, state, fetched, plans)
        except (RuntimeError, ArithmeticError):  # a decomposition that failed, say: the eager step tells it
            return None
        if not np.isfinite(rows[:, :2]).all():
            return None
        if fetched[-1].epoch_ended:
            state.optimizer.epoch()
        return self._kept(block, state, plans, rows)

    def _kept(self, block: Block, state: StepState, plans: Sequence[StepPlan], rows: np.ndarray) -> list[Taken]:
        """Put a block's outcome into the live state."""
        block.store(self.live)
        names = tuple(state.params)
        state.good = Later(names, block.good())
        averaged = sum(plan.averaged for plan in plans)
        if averaged:
            state.average.values = block.averaged = Later(names, block.average())
            counted = max(state.average.counts.values(), default=0) + averaged
            state.average.counts = dict.fromkeys(names, counted)
        optimizer: TorchOptimizer = state.optimizer  # pyright: ignore[reportAssignmentType]
        optimizer.set_factor(plans[-1].factor)
        return [
            Taken(bound, norm, optimizer.rate(plan.factor), elbo)
            for (bound, norm, elbo), plan in zip(rows.tolist(), plans, strict=True)
        ]

    def _tried(
        self, block: Block, state: StepState, fetched: Sequence[Fetched], plans: Sequence[StepPlan]
    ) -> np.ndarray:
        """The numbers of a block's steps, whose new state is in the block and nowhere else."""
        block.load(self.live)
        weights = [0.0] * len(plans)
        if any(plan.averaged for plan in plans):
            count = max(state.average.counts.values(), default=0)
            if count and block.averaged is not state.average.values:
                block.load_average(list(state.average.values.values()))
            block.averaged = None
            for index, plan in enumerate(plans):
                count += plan.averaged
                weights[index] = 1 / count if plan.averaged else 0.0
        return block.run([plan.factor for plan in plans], weights, [one.tensors for one in fetched])

    def _checked(self, block: Block, state: StepState, fetched: Fetched, plan: StepPlan) -> Advanced:
        """One step both ways. The compiled one counts where they agree: what is checked changes no number."""
        random, counts = torch.get_rng_state(), dict(state.average.counts)
        said = ""
        try:
            rows = self._tried(block, state, [fetched], [plan])
        except (RuntimeError, ArithmeticError) as error:
            said, rows = f"compiled code failed ({first_line(error)})", np.zeros((1, 3))
        drawn = torch.get_rng_state()
        torch.set_rng_state(random)
        taken, fault = self.eager.advance(state, Given([fetched]), [plan])
        if fault is not None:
            return taken, fault
        got = torch.from_numpy(rows[0].copy())
        wanted = torch.tensor([taken[0].bound, taken[0].gradient_norm, taken[0].elbo], dtype=torch.float64)
        said = said or difference(block.views, self._tensors(state), got, wanted, block.terms)
        if not torch.equal(drawn, torch.get_rng_state()):
            said = said or "the compiled step draws other random numbers than the eager one"
        if said:
            self._refuse(f"{said}{_since(self.steps)}", aloud=self.asked or self.steps > max(CHECKED[:CHECKS]))
            return taken, None
        state.average.counts = counts
        return self._kept(block, state, [plan], rows), None

    def _tensors(self, state: StepState) -> StepTensors:
        assert self.update is not None
        return StepTensors(state.params, self.update, self.eager.objective.buffers())

    def _compile(self, layout: _Layout, state: StepState, fetched: Fetched) -> None:
        """Make the layout's block, or say why not."""
        try:
            if fetched.odd:
                raise UnwritableError(
                    f"the batches hold a {fetched.odd}, and only tensors, numbers and words may differ between them"
                )
            self._check_possible(state)
            written = write_step(
                self.eager.objective, fetched.arguments, self._tensors(state), self.eager.clip, fetched.tensors
            )
            layout.block, self.known = Block(written, len(state.params)), len(state.params)
            self.live = [tensor.detach() for tensor in self._tensors(state).all()]
        except UnwritableError as error:
            self._refuse(str(error))
        except Exception as error:  # whatever a person's code or a compiler does is a reason, not a failure
            self._refuse(f"the step cannot be traced or compiled ({first_line(error)})")

    def _check_possible(self, state: StepState) -> None:
        if any(leaf.device.type != "cpu" for leaf in state.params.values()):
            raise UnwritableError("the parameters are not on the CPU, and only steps there are compiled yet")
        if len(set(state.average.counts.values())) > 1:
            raise UnwritableError("some parameters turned up later than others")
        update = update_of(state.optimizer, state.params)
        if isinstance(update, str):
            raise UnwritableError(update)
        self.update = update

    def _refuse(self, why: str, aloud: bool | None = None) -> None:
        """Go on eagerly; aloud where the person asked, or where numbers of the history are in question."""
        self.layouts, self.why_not, self.known, self.live = {}, why, 0, []
        if self.asked if aloud is None else aloud:
            warnings.warn(f"compile=True: the fit runs eagerly: {why}.", stacklevel=2)


def _since(steps: int) -> str:
    """What may lie behind a difference, and from which step on numbers are in question."""
    why = " (do the programs count their runs, or change in another way from run to run?)"
    before = [step for step in CHECKED if CHECKED[0] <= step < steps]
    return f"{why}; steps {before[-1] + 1} to {steps - 1} were compiled, and may be off" if len(before) > 1 else why
