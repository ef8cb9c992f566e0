"""Iterate averaging: the mean of the parameters over the tail of a run (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class TailAverage:
    r"""The running mean of unconstrained parameters.

    .. math:: \bar\phi_n = \bar\phi_{n-1} + (\phi_n - \bar\phi_{n-1}) / n

    A parameter that turns up later has a mean over the steps since.

    >>> import torch
    >>> average = TailAverage()
    >>> for value in (1.0, 2.0, 6.0):
    ...     average.add({"loc": torch.tensor(value)})
    >>> average.values["loc"]
    tensor(3.)
    """

    def __init__(self) -> None:
        self.values: Mapping[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    @torch.no_grad()
    def add(self, params: Mapping[str, Tensor]) -> None:
        """Take one more iterate into the mean."""
        values = self.values = dict(self.values)
        for name, leaf in params.items():
            if name not in values:
                values[name], self.counts[name] = leaf.detach().clone(), 1
            else:
                self.counts[name] += 1
                values[name].lerp_(leaf.detach(), 1 / self.counts[name])

    def __bool__(self) -> bool:
        return bool(self.values)

    def state(self) -> dict[str, Any]:
        """The mean so far, as a tree."""
        return {"values": dict(self.values), "counts": self.counts}

    def restore(self, params: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self.values = {name: value.to(params[name].device) for name, value in state["values"].items()}
        self.counts = dict(state["counts"])
