"""``StickBreaking``: weights that are broken off a stick, as many of them used as the data need."""

from __future__ import annotations

from torch import Tensor

from pyro_vae.distributions import LogKumaraswamy, LogStickBreaking
from pyro_vae.distributions.log_stick_breaking import log_weights
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.latents.dirichlet import check_weights
from pyro_vae.vae.positive import positive


class StickBreaking(Latent):
    r"""q(z | x): Kumaraswamy fractions of what is left of a stick; p(z): the truncated GEM, with Beta(1, α) fractions.

    z holds the logarithms of the K weights, and the decoder reads the weights. The KL is known in closed form.

    Args:
        size: K, the number of weights, at least 2.
        concentration: α; the greater, the more weights a row is expected to use.

    Shapes: parameters ``[*lead, 2 (K - 1)]``, which :func:`~pyro_vae.vae.positive.positive` makes a and b of the
    Kumaraswamy fractions of; z and code ``[*lead, K]``.

    Raises:
        OptionError: naming the option.

    Source: Nalisnick and Smyth, "Stick-breaking variational autoencoders", ICLR 2017.

    >>> import torch
    >>> latent = StickBreaking(4)
    >>> weights = latent.code(latent.posterior(torch.zeros(5, 6)).rsample())
    >>> weights.shape, torch.allclose(weights.sum(-1), torch.ones(5))
    (torch.Size([5, 4]), True)
    """

    def __init__(self, size: int, *, concentration: float = 1.0):
        super().__init__()
        check_weights(size, concentration)
        self.num_parameters, self.code_size = 2 * (size - 1), size
        self.concentration = concentration

    def posterior(self, parameters: Tensor):
        """Log-weights, ``[*lead]`` with events ``[K]``."""
        return LogStickBreaking(LogKumaraswamy(*positive(parameters).chunk(2, -1)))

    def prior(self):
        """The truncated GEM(α)."""
        return LogStickBreaking.gem(self.zero + self.concentration, self.code_size)

    def code(self, z: Tensor) -> Tensor:
        """The weights."""
        return z.exp()

    def centre(self, q) -> Tensor:
        """The log-weights at the fractions' mean logits."""
        return log_weights(q.fractions.mean)
