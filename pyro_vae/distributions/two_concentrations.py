"""What the Kumaraswamy and the Beta share on the logit scale, and the Kumaraswamy on both: two concentrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.distributions.parameters import broadcast


class TwoConcentrations(TorchDistribution):
    """A scalar distribution with ``concentration1``, the weight of x, and ``concentration0``, that of 1 - x."""

    if TYPE_CHECKING:
        # Torch declares it as a property, and every distribution sets it as an attribute.
        support: Any
    arg_constraints: Any = {"concentration1": constraints.positive, "concentration0": constraints.positive}  # type: ignore[assignment]
    has_rsample = True

    def __init__(
        self, concentration1: Tensor | float, concentration0: Tensor | float, *, validate_args: bool | None = None
    ):
        self.concentration1, self.concentration0 = broadcast(
            concentration1=concentration1, concentration0=concentration0
        )
        super().__init__(self.concentration1.shape, validate_args=validate_args)
