"""``Vamp``: a prior made of the posteriors of rows that are learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyro_vae.errors import OptionError
from pyro_vae.vae.priors.base import Prior
from pyro_vae.vae.priors.mixture import Mixture


class Vamp(Prior):
    r"""p(z) = Σ π_c q(z | u_c): a mixture of the encoder's posteriors of C pseudo-inputs u, which are learned with π.

    It takes the shape of the aggregated posterior, which is the best prior there is, for any family of latents. The
    encoder is then a part of the model too, and its parameters get the gradient of both.

    Args:
        pseudo_inputs: where u starts, ``[C, *event_shape]``: real numbers, for example C rows of the data.

    Raises:
        OptionError: pseudo-inputs that are not floating-point (words cannot be learned).

    Source: Tomczak and Welling, "VAE with a VampPrior", AISTATS 2018.

    >>> import pyro_vae as pv
    >>> latent = pv.vae.latents.Gaussian(2)
    >>> Vamp(torch.zeros(5, 3))(lambda x: latent.posterior(pv.nets.MLP(3, 4)(x))).sample().shape
    torch.Size([2])
    """

    def __init__(self, pseudo_inputs: Tensor):
        super().__init__()
        if not isinstance(pseudo_inputs, Tensor) or not pseudo_inputs.is_floating_point() or pseudo_inputs.dim() < 2:
            what = getattr(pseudo_inputs, "dtype", type(pseudo_inputs).__name__)
            raise OptionError(
                f"pseudo_inputs: expected rows of real numbers [C, *event_shape] to start at, got {what}."
            )
        self.pseudo_inputs = nn.Parameter(pseudo_inputs.detach().clone())
        self.logits = nn.Parameter(torch.zeros(len(pseudo_inputs), dtype=pseudo_inputs.dtype))

    def forward(self, encode: Callable[[Tensor], Any]):
        """The mixture of the posteriors."""
        return Mixture(dist.Categorical(logits=self.logits), encode(self.pseudo_inputs))
