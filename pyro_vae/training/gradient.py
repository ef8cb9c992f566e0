"""The gradient of one step where it is more than one draw's: over several batches, over several processes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pyro_vae.training.batches import Arguments, Batches, WholeData
from pyro_vae.training.fabric import Devices
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import Parameters
from pyro_vae.training.precision import nets_in
from pyro_vae.training.step import differentiate, evaluate, norm_of


@dataclass
class MeanGradient:
    r"""The mean of the gradients of ``accumulate`` batches in each of the processes.

    .. math:: \frac 1 {W m} \sum_{w=1}^W \sum_{i=1}^m \nabla \mathcal L(x_{wi})

    Every batch's objective is already scaled up to all rows (plates of size N with B rows present), so the mean is an
    estimate from all of them, as from one batch of their union where they are equally large.
    """

    batches: Batches
    devices: Devices
    accumulate: int = 1
    known: set[str] = field(default_factory=set)

    def __call__(
        self, objective: Objective, arguments: Arguments
    ) -> tuple[Parameters, dict[str, Tensor | None], Tensor]:
        """The leaves, their gradients, and float64 ``[3]``: bound, the gradient's norm, plain ELBO."""
        total: dict[str, Tensor | None] = {}
        numbers, found = torch.zeros(3, dtype=torch.float64), {}
        counts = [] if objective.weighting is None else list(objective.weighting.buffers())
        before = [count.clone() for count in counts]
        for index in range(self.accumulate):
            if index and not isinstance(self.batches, WholeData):
                arguments = self.batches.next()
            for count, value in zip(counts, before, strict=True):
                count.copy_(value)  # an annealing counts steps, not batches
            with self._precision(objective):
                evaluation, leaves = evaluate(objective, arguments)
                grads, said = differentiate(evaluation, leaves)
            found.update(leaves)
            numbers = numbers + said.cpu() / self.accumulate
            for name, grad in grads.items():
                total[name] = _sum(total.get(name), grad, self.accumulate)
        self._over_processes(objective, found, total, numbers)
        numbers[1] = norm_of(total)
        return found, total, numbers

    def _precision(self, objective: Objective) -> AbstractContextManager[None]:
        if self.devices.autocast is None:
            return nullcontext()
        return nets_in(self.devices.autocast, list(objective.modules().values()))

    def _over_processes(
        self, objective: Objective, leaves: Parameters, grads: dict[str, Tensor | None], numbers: Tensor
    ) -> None:
        team = self.devices.team
        if team.size == 1:
            return
        team.share(leaf for name, leaf in leaves.items() if name not in self.known)  # each process has made its own
        self.known.update(leaves)
        for name, leaf in leaves.items():
            grad = grads.get(name)
            grads[name] = torch.zeros_like(leaf) if grad is None else grad
        team.mean([*(grad for grad in grads.values() if grad is not None), numbers])
        team.share(objective.buffers().values())  # moving averages of one process's batches


def _sum(total: Tensor | None, grad: Tensor | None, count: int) -> Tensor | None:
    if grad is None:
        return total
    part = grad if count == 1 else grad / count
    return part if total is None else total + part
