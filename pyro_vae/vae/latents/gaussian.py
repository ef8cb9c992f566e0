"""``Gaussian``: independent normal numbers."""

from __future__ import annotations

from torch import Tensor

from pyro_vae.distributions import Normal
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.positive import positive


class Gaussian(Latent):
    r"""q(z | x) = N(μ(x), diag σ(x)²), p(z) = N(0, I).

    Args:
        size: D, the number of latents.

    Shapes: parameters ``[*lead, 2 D]``: μ, and what :func:`~pyro_vae.vae.positive.positive` makes σ of; z
    ``[*lead, D]``.

    Raises:
        OptionError: a size that is not a positive whole number.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.

    >>> import torch
    >>> q = Gaussian(2).posterior(torch.tensor([[3.0, -1.0, 0.0, 50.0]]))
    >>> q.mean, q.stddev
    (tensor([[ 3., -1.]]), tensor([[ 1.0000, 50.5413]]))
    """

    def __init__(self, size: int):
        super().__init__()
        check_positive(size=size)
        self.num_parameters, self.code_size = 2 * size, size

    def posterior(self, parameters: Tensor):
        """N(μ, σ²), ``[*lead]`` with events ``[D]``."""
        loc, raw = parameters.chunk(2, -1)
        return Normal(loc, positive(raw)).to_event(1)

    def prior(self):
        """N(0, 1), D times."""
        loc = self.zero.expand(self.code_size)
        return Normal(loc, loc + 1).to_event(1)
