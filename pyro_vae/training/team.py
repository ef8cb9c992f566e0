"""The processes that fit together: what each has to know of the others. Alone, there is nothing to know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyro
import torch
from torch import Tensor

from pyro_vae.training.shares import Share


class Team:
    """One process, alone. :class:`FabricTeam` is one of several.

    ``rank`` is this process's number of ``size``; the first one writes and speaks.
    """

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and draws the progress bar."""
        return self.rank == 0

    def mean(self, tensors: Iterable[Tensor]) -> None:
        """Put into each tensor its mean over the processes."""

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Put into each tensor the first process's values."""

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in every process: plain values, arrays, tensors and trees of them."""
        return [value]

    def agree(self, value: Any) -> Any:
        """The first process's value."""
        return value

    def new_share(self) -> Share:
        """This process's share of the batches; one draw of the first's generator decides on their order."""
        return Share()

    def own_noise(self) -> None:
        """From here on every process draws its own random numbers; the first one's are those of a fit alone."""


class FabricTeam(Team):
    """The processes of a Lightning ``Fabric`` that has been launched."""

    def __init__(self, fabric: Any):
        self.fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size

    @torch.no_grad()
    def mean(self, tensors: Iterable[Tensor]) -> None:
        for group, flat in _flat(tensors, self.fabric.device):
            _unflat(group, self.fabric.all_reduce(flat, reduce_op="mean"))

    @torch.no_grad()
    def share(self, tensors: Iterable[Tensor]) -> None:
        for group, flat in _flat(tensors, self.fabric.device):
            _unflat(group, self.fabric.broadcast(flat, src=0))

    def gather(self, value: Any) -> list[Any]:
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value)
        return found

    def agree(self, value: Any) -> Any:
        return self.fabric.broadcast(value, src=0)

    def new_share(self) -> Share:
        return Share(self.rank, self.size, self.agree(int(torch.randint(2**31, ()))))

    def own_noise(self) -> None:
        if self.rank > 0:
            seed = int(torch.randint(2**31, ()))
            pyro.set_rng_seed((seed + 7919 * self.rank) % 2**31)


def _flat(tensors: Iterable[Tensor], device: torch.device) -> list[tuple[list[Tensor], Tensor]]:
    """Tensors of one dtype at a time, and all their numbers in a row: one message each."""
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor.detach())
    return [(group, torch.cat([tensor.reshape(-1).to(device) for tensor in group])) for group in groups.values()]


def _unflat(group: list[Tensor], flat: Tensor) -> None:
    parts = flat.split([tensor.numel() for tensor in group])
    for tensor, part in zip(group, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))
