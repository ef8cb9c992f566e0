"""Steps of a fit as machine code: the eager step written down once, compiled, and held against the eager one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from pyro_vae.compiling.writing import first_line
from pyro_vae.training.adam import AdamUpdate, adam_update
from pyro_vae.training.agreement import difference
from pyro_vae.training.batches import Batches, WholeData
from pyro_vae.training.block import Block
from pyro_vae.training.step import EagerStepper, Fault, StepPlan, StepState, Taken
from pyro_vae.training.written import StepTensors, UnwritableError, write_step

CHECKED = (1, 50, 500)  # steps, counted from 0, that are taken both ways and compared


class CompiledStepper:
    """Takes the steps of an :class:`EagerStepper`, compiled where that can be done and is right.

    The first step is eager, which also finds what there is to compile. The steps numbered ``CHECKED`` are taken both
    ways from the same state and noise, and the eager outcome is kept; where they disagree, and where the pair or
    optimiser cannot be compiled, one warning says why and every further step is eager. A block with a bound or
    gradient that is not finite is undone and taken eagerly, so that a fault is found and told as ever.
    """

    def __init__(self, eager: EagerStepper):
        self.eager = eager
        self.block: Block | None = None
        self.update: AdamUpdate | None = None
        self.why_not = ""
        self.steps = 0

    def advance(
        self, state: StepState, batches: Batches, plans: Sequence[StepPlan]
    ) -> tuple[list[Taken], Fault | None]:
        """As every :class:`~pyro_vae.training.step.Stepper` does."""
        taken: list[Taken] = []
        while len(taken) < len(plans):
            more, fault = self._advance(state, batches, plans[len(taken) :])
            taken.extend(more)
            self.steps += len(more)
            if fault is not None:
                return taken, fault
        return taken, None

    def _advance(
        self, state: StepState, batches: Batches, plans: Sequence[StepPlan]
    ) -> tuple[list[Taken], Fault | None]:
        """Take the first of the planned steps, in one of the ways."""
        if self.eager.first:
            return self.eager.advance(state, batches, plans[:1])
        random = torch.get_rng_state()
        try:
            if self.block is None and not self.why_not:
                self._compile(state, batches)
            if self.block is None:
                return self.eager.advance(state, batches, plans)
            if self.steps in CHECKED:
                return self._checked(self.block, state, batches, plans[0])
            until = min((step - self.steps for step in CHECKED if step > self.steps), default=len(plans))
            plans = plans[: min(until, self.block.capacity)]
            taken = self._run(self.block, state, plans)
        except KeyboardInterrupt:
            torch.set_rng_state(random)
            return [], Fault("interrupt")
        if taken is not None:
            return taken, None
        torch.set_rng_state(random)
        return self.eager.advance(state, batches, plans)

    def _run(self, block: Block, state: StepState, plans: Sequence[StepPlan]) -> list[Taken] | None:
        """A block of steps; None, with the state as it was, where a number is not finite."""
        tensors = self._tensors(state)
        rows = self._tried(block, state, tensors, plans)
        if not bool(torch.isfinite(block.numbers[: len(plans), :2]).all()):
            return None
        block.state.store(tensors.all())
        averaged = sum(plan.averaged for plan in plans)
        if averaged:
            counted = max(state.average.counts.values(), default=0) + averaged
            state.average.values, state.average.counts = tensors.average, dict.fromkeys(tensors.average, counted)
        rates, factor = [], None
        for plan in plans:
            if plan.factor != factor:
                state.optimizer.set_factor(factor := plan.factor)  # pyright: ignore[reportAttributeAccessIssue]
                rate = state.optimizer.learning_rate
            rates.append(rate)
        return [Taken(bound, norm, rate, elbo) for (bound, norm, elbo), rate in zip(rows, rates, strict=True)]

    def _tried(
        self, block: Block, state: StepState, tensors: StepTensors, plans: Sequence[StepPlan]
    ) -> list[list[float]]:
        """The numbers of a block's steps, whose new state is in the block and nowhere else."""
        block.state.load(tensors.all())
        count = max(state.average.counts.values(), default=0)
        weights = []
        for plan in plans:
            count += plan.averaged
            weights.append(1 / count if plan.averaged else 0.0)
        return block.run([plan.factor for plan in plans], weights)

    def _checked(
        self, block: Block, state: StepState, batches: Batches, plan: StepPlan
    ) -> tuple[list[Taken], Fault | None]:
        """One step both ways; the eager one counts."""
        random = torch.get_rng_state()
        tensors = self._tensors(state)
        rows = self._tried(block, state, tensors, [plan])
        drawn = torch.get_rng_state()
        torch.set_rng_state(random)
        taken, fault = self.eager.advance(state, batches, [plan])
        if fault is None:
            got = torch.tensor(rows[0], dtype=torch.float64)
            wanted = torch.tensor([taken[0].bound, taken[0].gradient_norm, taken[0].elbo], dtype=torch.float64)
            said = difference(block.state.views, self._tensors(state), got, wanted)
            if not torch.equal(drawn, torch.get_rng_state()):
                said = said or "the compiled step draws other random numbers than the eager one"
            if said:
                self._refuse(f"{said} (do the programs count their runs, or change in another way from run to run?)")
        return taken, fault

    def _tensors(self, state: StepState) -> StepTensors:
        assert self.update is not None
        average = state.average.values or {
            name: torch.zeros_like(leaf, requires_grad=False) for name, leaf in state.params.items()
        }
        return StepTensors(state.params, state.good, average, self.update, self.eager.objective.buffers())

    def _compile(self, state: StepState, batches: Batches) -> None:
        """Make the block, or say why not."""
        try:
            self._check_possible(state, batches)
            tensors = self._tensors(state)
            self.block = Block(write_step(self.eager.objective, batches.peek(), tensors, self.eager.clip))
        except UnwritableError as error:
            self._refuse(str(error))
        except Exception as error:  # whatever a person's code or a compiler does is a reason, not a failure
            self._refuse(f"the step cannot be traced or compiled ({first_line(error)})")

    def _check_possible(self, state: StepState, batches: Batches) -> None:
        if not isinstance(batches, WholeData):
            raise UnwritableError("the data come in minibatches, which are not compiled yet")
        if any(leaf.device.type != "cpu" for leaf in state.params.values()):
            raise UnwritableError("the parameters are not on the CPU, and only steps there are compiled yet")
        if len(set(state.average.counts.values())) > 1:
            raise UnwritableError("some parameters turned up later than others")
        update = adam_update(state.optimizer, state.params)
        if isinstance(update, str):
            raise UnwritableError(update)
        self.update = update

    def _refuse(self, why: str) -> None:
        self.block, self.why_not = None, why
        warnings.warn(f"compile=True: the fit runs eagerly: {why}.", stacklevel=2)
