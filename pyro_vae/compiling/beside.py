"""What is done beside the calls of a step, so that many steps can be taken without Python between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Pairs = Sequence[tuple[Tensor, Tensor]]
Given = Sequence[Sequence[Tensor]]


class Steps(Protocol):
    """Takes the steps from ``first`` to ``stop``, exclusive, on what is ``given`` to each."""

    def __call__(self, first: int, stop: int, given: Given = ()) -> None: ...


@dataclass(frozen=True)
class Beside:
    """Copies and means.

    ``into``: inputs and tensors ``[steps, *shape]`` whose next row is copied into them before each step; ``outof`` the
    same for rows that are copied out after it. ``given``: inputs that take on, before each step, a tensor that is given
    when the steps are. ``means``: running means and the inputs that they are of, moved after each step by that step's
    number in ``weights`` (float64 ``[steps]``; 1 starts a mean, 0 leaves it). ``kept``: copies of inputs as they are
    before the last of the steps.
    """

    into: Pairs = ()
    outof: Pairs = ()
    given: Sequence[Tensor] = ()
    means: Pairs = ()
    weights: Tensor | None = None
    kept: Pairs = ()

    def around(self, function: Callable[[list[Tensor]], object], inputs: Sequence[Tensor]) -> Steps:
        """The steps of a function that is called from Python."""

        @torch.no_grad()
        def one_by_one(first: int, stop: int, given: Given = ()) -> None:
            values = self.checked(given, stop - first)
            for step in range(first, stop):
                for fixed, rows in self.into:
                    fixed.copy_(rows[step])
                for fixed, value in zip(self.given, values[step - first], strict=True):
                    fixed.copy_(value)
                if step == stop - 1:
                    for copy, value in self.kept:
                        copy.copy_(value)
                function(list(inputs))
                for fixed, rows in self.outof:
                    rows[step] = fixed
                self._average(step)

        return one_by_one

    def checked(self, given: Given, steps: int) -> list[list[Tensor]]:
        """What is given to that many steps, as it can be copied byte by byte; ``ValueError`` if it does not fit."""
        if not self.given:
            return [[]] * steps
        wanted = [(fixed.shape, fixed.dtype) for fixed in self.given]
        if len(given) != steps or any([(value.shape, value.dtype) for value in step] != wanted for step in given):
            raise ValueError(f"expected, for each of {steps} steps, tensors of {wanted}; got {len(given)} or others")
        return [[value.contiguous() for value in step] for step in given]

    def _average(self, step: int) -> None:
        weight = 0.0 if self.weights is None else float(self.weights[step])
        for mean, value in self.means:
            if weight:
                mean.lerp_(value, weight)


NOTHING = Beside()
