"""``FullGaussian``: normal numbers that may be correlated in the posterior."""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_vae.distributions import MultivariateNormal
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.positive import positive


class FullGaussian(Latent):
    r"""q(z | x) = N(μ(x), L(x) L(x)ᵀ) with L lower triangular, p(z) = N(0, I).

    Args:
        size: D, the number of latents.

    Shapes: parameters ``[*lead, 2 D + D (D - 1) / 2]``: μ, what becomes the diagonal of L, and the rows below it; z
    ``[*lead, D]``.

    Raises:
        OptionError: a size that is not a positive whole number.

    Source: Kingma and Welling, "An introduction to variational autoencoders", 2019, section 2.5.1.

    >>> FullGaussian(2).posterior(torch.tensor([0.0, 0.0, 0.0, 0.0, 3.0])).scale_tril
    tensor([[1.0000, 0.0000],
            [3.0000, 1.0000]])
    """

    def __init__(self, size: int):
        super().__init__()
        check_positive(size=size)
        self.code_size = size
        self.num_parameters = 2 * size + size * (size - 1) // 2

    def posterior(self, parameters: Tensor):
        """N(μ, L Lᵀ), ``[*lead]`` with events ``[D]``."""
        D = self.code_size
        loc, diagonal, below = parameters.split([D, D, D * (D - 1) // 2], -1)
        row, column = torch.tril_indices(D, D, -1, device=parameters.device)
        scale_tril = torch.diag_embed(positive(diagonal))
        scale_tril[..., row, column] = below
        return MultivariateNormal(loc, scale_tril=scale_tril)

    def prior(self):
        """N(0, I)."""
        loc = self.zero.expand(self.code_size)
        return MultivariateNormal(loc, scale_tril=torch.diag_embed(loc + 1))
