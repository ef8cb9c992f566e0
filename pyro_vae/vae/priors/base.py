"""What a learned prior is: a module that makes p(z)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Prior(nn.Module):
    """A learned p(z). Called with ``encode``, the function x -> q(z | x), it gives p(z) without a batch shape.

    ``size`` is D for a prior of D real numbers; None suits every family of latents.
    """

    size: int | None = None

    def forward(self, encode: Callable[[Tensor], Any]) -> Any:
        """p(z)."""
        raise NotImplementedError
