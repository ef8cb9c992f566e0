"""``AutoregressiveFlow``: a prior of which every density takes one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.transforms import AffineAutoregressive
from pyro.nn import AutoRegressiveNN
from torch import Tensor, nn

from pyro_vae.distributions import Normal
from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.priors.base import Prior


class AutoregressiveFlow(Prior):
    r"""p(z) by masked autoregressive flow: layers that take z to normal noise, :math:`e_i = m_i + s_i z_i`.

    m and s of coordinate i are masked nets of the coordinates of z before it; the order turns round from layer to
    layer. Training needs densities, which take one pass; a draw takes D per layer.

    Args:
        size: D, the number of latents, at least 2.
        layers: of the flow.
        hidden: the width of the masked nets, at least D.

    Raises:
        OptionError: naming the option.

    Source: Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", NeurIPS 2017; as a
    prior: Chen et al., "Variational lossy autoencoder", ICLR 2017.

    >>> _ = torch.manual_seed(0)
    >>> AutoregressiveFlow(3)(None).sample((5,)).shape
    torch.Size([5, 3])
    """

    zero: Tensor

    def __init__(self, size: int, *, layers: int = 2, hidden: int = 64):
        super().__init__()
        check_positive(size=size, layers=layers, hidden=hidden)
        if size < 2 or hidden < size:
            raise OptionError(f"size, hidden: expected 2 <= size <= hidden, got size={size}, hidden={hidden}.")
        self.size = size
        order: Any = torch.arange(size)
        self.layers = nn.ModuleList(
            AffineAutoregressive(
                AutoRegressiveNN(size, [hidden], permutation=order if index % 2 == 0 else order.flip(0))
            )
            for index in range(layers)
        )
        self.register_buffer("zero", torch.zeros(size), persistent=False)

    def forward(self, encode: Callable[[Tensor], Any] | None = None):
        """The flow."""
        base = Normal(self.zero, self.zero + 1)
        return dist.TransformedDistribution(base, [layer.inv for layer in self.layers])  # type: ignore[attr-defined]
