"""``GaussianMixture``: a prior of several normal components, learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyro_vae.distributions import Normal
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.positive import positive
from pyro_vae.vae.priors.base import Prior


class Mixture(dist.MixtureSameFamily):
    """A mixture on its components' support, of components of any family (a flow's do not broadcast by themselves)."""

    @property
    def support(self) -> Any:
        """The components' own; torch's constraint of a mixture has no map from the real line."""
        return self.component_distribution.support

    def _pad(self, x: Tensor) -> Tensor:
        padded = super()._pad(x)
        event_dim = self._event_ndims
        components = self.component_distribution.batch_shape
        lead = torch.broadcast_shapes(padded.shape[: padded.dim() - event_dim], components)
        return padded.expand(*lead, *self.event_shape)


class GaussianMixture(Prior):
    r"""p(z) = Σ π_c N(μ_c, diag σ_c²), with π, μ and σ learned.

    Components start with σ = 1 at means drawn from N(0, 1).

    Args:
        size: D, the number of latents.
        components: C.

    Raises:
        OptionError: a size that is not a positive whole number.

    Source: Dilokthanakul et al., "Deep unsupervised clustering with Gaussian mixture variational autoencoders", 2016.

    >>> _ = torch.manual_seed(0)
    >>> GaussianMixture(2, components=5)(None).sample((3,)).shape
    torch.Size([3, 2])
    """

    def __init__(self, size: int, components: int = 10):
        super().__init__()
        check_positive(size=size, components=components)
        self.size = size
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, size))
        self.raw_scale = nn.Parameter(torch.zeros(components, size))

    def forward(self, encode: Callable[[Tensor], Any] | None = None):
        """The mixture."""
        components = Normal(self.loc, positive(self.raw_scale)).to_event(1)
        return Mixture(dist.Categorical(logits=self.logits), components)
