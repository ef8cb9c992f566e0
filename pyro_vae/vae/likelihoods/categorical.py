"""``Categorical``: one of several classes in every entry."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.likelihoods.base import Elementwise


class Categorical(Elementwise):
    """p(x | z): every entry of x is one of ``classes`` classes, independently.

    Args:
        shape: of one row of data.
        classes: C, how many there are.

    Shapes: logits ``[*lead, *raw_shape]`` from the decoder, ``raw_shape`` with C times the first size of ``shape``; x
    ``[*lead, *shape]`` of whole numbers 0 to C - 1 (int64).

    Raises:
        OptionError: naming the option.

    >>> Categorical((1, 8, 8), classes=17).raw_shape
    torch.Size([17, 8, 8])
    """

    def __init__(self, shape: int | Sequence[int], classes: int):
        check_positive(classes=classes)
        super().__init__(shape, classes)

    def distribution(self, *parameters: Tensor):
        """Classes, ``[*lead]`` with events ``[*shape]``."""
        return dist.Categorical(logits=torch.stack(parameters, -1)).to_event(len(self.event_shape))

    def check_values(self, x: Tensor) -> tuple[Tensor, str]:
        """Whole numbers below the number of classes, as int64."""
        last = self.per_output - 1
        if x.dtype != torch.long:
            return torch.ones_like(x, dtype=torch.bool), f"classes 0 to {last} as torch.int64 (not {x.dtype})"
        return (x < 0) | (x > last), f"classes 0 to {last}"

    def point(self, p) -> Tensor:
        """The likeliest class of every entry."""
        return p.base_dist.logits.argmax(-1)
