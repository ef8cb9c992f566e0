"""The data of the next steps, taken ahead: compiled steps run many at a time on minibatches of one layout."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from pyro_vae.training.batches import Arguments, Batches, WholeData

WATCHED = 3  # batches taken one at a time, to see whether the loader draws random numbers for each
RARE = 20  # batches to an epoch, from which a last and smaller one is not worth compiling
_AHEAD = 64_000_000  # bytes of batches that are taken ahead, at most


@dataclass(frozen=True)
class Fetched:
    """The arguments of one step, their tensors, and their ``layout``: equal where one compiled step can take both.

    ``rare`` are an epoch's last batches, where they are smaller than very many others. ``odd`` names what is in them
    and cannot be part of a compiled step; empty where there is nothing.
    """

    arguments: Arguments
    tensors: tuple[Tensor, ...]
    layout: Hashable
    epoch_ended: bool
    rare: bool = False
    odd: str = ""


class Fetcher:
    """Takes the arguments of the next steps from batches, so that random numbers are drawn in the eager steps' order.

    The order of the next epoch is drawn when its first batch is, after the noise of all steps before: nothing is taken
    beyond the end of an epoch. A loader that draws random numbers for its batches is asked for one at a time, from the
    first time on that it is seen to.
    """

    def __init__(self) -> None:
        self.watched = 0
        self.draws = False

    def fetch(self, batches: Batches, count: int) -> list[Fetched]:
        """At most ``count`` of them, at least one. Whole data have no tensors that change."""
        if isinstance(batches, WholeData):
            return [Fetched(batches.next(), (), None, batches.epoch_ended)] * count
        fetched: list[Fetched] = []
        size = 0
        while len(fetched) < count and size < _AHEAD:
            within = not batches.epoch_ended and batches.state().get("taken", 0) > 0
            before = torch.get_rng_state()
            arguments = batches.next()
            if within:
                self.watched += 1
                self.draws = self.draws or not torch.equal(before, torch.get_rng_state())
            fetched.append(_described(arguments, batches))
            size += sum(tensor.nbytes for tensor in fetched[-1].tensors)
            if batches.epoch_ended or self.draws or self.watched < WATCHED:
                break
        return fetched


def runs(fetched: Sequence[Fetched]) -> list[list[Fetched]]:
    """Neighbours of one layout together."""
    return [list(group) for _, group in groupby(fetched, key=lambda one: one.layout)]


def _described(arguments: Arguments, batches: Batches) -> Fetched:
    """The arguments with copies of their tensors: a loader may fill the same memory again for the next batch."""
    leaves, form = _pytree.tree_flatten(arguments)
    leaves = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
    others = [leaf for leaf in leaves if not isinstance(leaf, Tensor)]
    odd = next((type(leaf).__name__ for leaf in others if not isinstance(leaf, _PLAIN)), "")
    kinds = tuple(
        (tuple(leaf.shape), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else (type(leaf), odd or leaf)
        for leaf in leaves
    )
    arguments, ended = _pytree.tree_unflatten(leaves, form), batches.epoch_ended
    return Fetched(arguments, tensors, (form, kinds), ended, ended and _rare(tensors, batches), odd)


def _rare(tensors: Sequence[Tensor], batches: Batches) -> bool:
    size = getattr(getattr(batches, "loader", None), "batch_size", None)
    smaller = size is not None and all(len(tensor) < size for tensor in tensors if tensor.dim())
    return smaller and (batches.per_epoch is None or batches.per_epoch > RARE)


_PLAIN = (bool, int, float, str, type(None))  # written into a compiled step: another value is another layout


class Given:
    """Batches that were fetched already, for an eager stepper. They have no position of their own to keep."""

    per_epoch: int | None = None
    epoch_ended = False
    epochs = 0

    def __init__(self, fetched: Sequence[Fetched]):
        self._left = list(fetched)

    def next(self) -> Arguments:
        one = self._left.pop(0)
        self.epoch_ended = one.epoch_ended
        self.epochs += one.epoch_ended
        return one.arguments

    def peek(self) -> Arguments:
        return self._left[0].arguments

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        return
