"""The data of the next steps, taken ahead: compiled steps run many at a time on minibatches of one layout."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import Tensor
from torch.utils import _pytree

from pyro_vae.training.batches import Arguments, Batches, WholeData


@dataclass(frozen=True)
class Fetched:
    """The arguments of one step, their tensors, and their ``layout``: equal where one compiled step can take both."""

    arguments: Arguments
    tensors: tuple[Tensor, ...]
    layout: Hashable
    epoch_ended: bool


def fetch(batches: Batches, count: int) -> list[Fetched]:
    """The arguments of the next steps, at most ``count`` and at most to the end of the epoch.

    The order of the next epoch is drawn when its first batch is, after the noise of all steps before, as in eager
    steps. Whole data have no tensors that change.
    """
    fetched: list[Fetched] = []
    while len(fetched) < count:
        arguments = batches.next()
        if isinstance(batches, WholeData):
            return [Fetched(arguments, (), None, batches.epoch_ended)] * count
        fetched.append(_described(arguments, batches.epoch_ended))
        if batches.epoch_ended:
            break
    return fetched


def runs(fetched: Sequence[Fetched]) -> list[list[Fetched]]:
    """Neighbours of one layout together."""
    return [list(group) for _, group in groupby(fetched, key=lambda one: one.layout)]


def _described(arguments: Arguments, epoch_ended: bool) -> Fetched:
    leaves, form = _pytree.tree_flatten(arguments)
    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
    kinds = tuple(
        (tuple(leaf.shape), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else _plain(leaf) for leaf in leaves
    )
    return Fetched(arguments, tensors, (form, kinds), epoch_ended)


def _plain(leaf: Any) -> Hashable:
    """What is no tensor is written into a compiled step: another value is another layout."""
    return leaf if isinstance(leaf, (bool, int, float, str, type(None))) else (type(leaf), id(leaf))


class Given:
    """Batches that were fetched already, for an eager stepper. They have no position of their own to keep."""

    per_epoch: int | None = None
    epoch_ended = False

    def __init__(self, fetched: Sequence[Fetched]):
        self._left = list(fetched)

    def next(self) -> Arguments:
        one = self._left.pop(0)
        self.epoch_ended = one.epoch_ended
        return one.arguments

    def peek(self) -> Arguments:
        return self._left[0].arguments

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        return
