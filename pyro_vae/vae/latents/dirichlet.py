"""``Dirichlet``: weights that sum to one, such as the topics of a text."""

from __future__ import annotations

from torch import Tensor

from pyro_vae.distributions import LogDirichlet
from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.positive import positive


class Dirichlet(Latent):
    r"""q(z | x) and p(z) are Dirichlet; z holds the logarithms of the K weights, and the decoder reads the weights.

    Draws have pathwise gradients at any concentration, and the KL is known in closed form.

    Args:
        size: K, the number of weights, at least 2.
        concentration: of every weight in the prior; below 1 it prefers few large weights.

    Shapes: parameters ``[*lead, K]``, which :func:`~pyro_vae.vae.positive.positive` makes concentrations of; z and code
    ``[*lead, K]``.

    Raises:
        OptionError: naming the option.

    Source: Figurnov, Mohamed, Mnih, "Implicit reparameterization gradients", NeurIPS 2018 (with a topic model).

    >>> import torch
    >>> latent = Dirichlet(3)
    >>> weights = latent.code(latent.posterior(torch.zeros(5, 3)).rsample())
    >>> torch.allclose(weights.sum(-1), torch.ones(5))
    True
    """

    def __init__(self, size: int, *, concentration: float = 1.0):
        super().__init__()
        check_weights(size, concentration)
        self.num_parameters = self.code_size = size
        self.concentration = concentration

    def posterior(self, parameters: Tensor):
        """Log-weights, ``[*lead]`` with events ``[K]``."""
        return LogDirichlet(positive(parameters))

    def prior(self):
        """The symmetric Dirichlet."""
        return LogDirichlet(self.zero.expand(self.code_size) + self.concentration)

    def code(self, z: Tensor) -> Tensor:
        """The weights."""
        return z.exp()

    def centre(self, q) -> Tensor:
        """The log-weights' mode, which are the logarithms of the mean weights."""
        return q.mode


def check_weights(size: int, concentration: float) -> None:
    """Raise :class:`~pyro_vae.errors.OptionError` for fewer than two weights or a concentration not positive."""
    check_positive(size=size)
    if size < 2:
        raise OptionError("size: expected at least 2 weights, got 1.")
    if not concentration > 0:
        raise OptionError(f"concentration: expected a positive number, got {concentration!r}.")
