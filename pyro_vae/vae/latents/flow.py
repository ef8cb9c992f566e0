"""``Flow``: a normal draw, bent by inverse autoregressive layers that the encoder steers."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.transforms import ConditionalAffineAutoregressive
from pyro.nn import ConditionalAutoRegressiveNN
from torch import Tensor, nn

from pyro_vae.distributions import Normal
from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.positive import positive


class Flow(Latent):
    r"""q(z | x) from N(μ(x), diag σ(x)²) by inverse autoregressive flows :math:`z_i \leftarrow m_i + s_i z_i`.

    m and s of coordinate i are masked nets of the coordinates before it and of a context that the encoder gives; the
    order turns round from layer to layer. p(z) = N(0, I), and there is no KL in closed form. A draw and the density of
    that draw take one pass per layer; the density of another value takes D, which estimators that score a draw a second
    time (``StickingTheLanding``, ``DReG``) pay.

    Args:
        size: D, the number of latents, at least 2.
        layers: of the flow.
        context: how many further numbers the encoder gives to steer all layers.
        hidden: the width of the masked nets, at least D.

    Shapes: parameters ``[*lead, 2 D + context]``; z ``[*lead, D]``.

    Raises:
        OptionError: naming the option.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, "Improved variational inference with inverse
    autoregressive flow", NeurIPS 2016.

    >>> _ = torch.manual_seed(0)
    >>> q = Flow(3).posterior(torch.zeros(5, 14))
    >>> z = q.rsample((2,))
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([2, 5, 3]), torch.Size([2, 5]))
    """

    def __init__(self, size: int, *, layers: int = 2, context: int = 8, hidden: int = 64):
        super().__init__()
        check_positive(size=size, layers=layers, context=context, hidden=hidden)
        if size < 2:
            raise OptionError("size: expected at least 2, got 1: a flow of one number is affine, so use Gaussian(1).")
        if hidden < size:
            raise OptionError(f"hidden: expected at least size={size}, got {hidden}.")
        self.code_size, self.num_parameters = size, 2 * size + context
        order: Any = torch.arange(size)
        self.layers = nn.ModuleList(
            ConditionalAffineAutoregressive(
                ConditionalAutoRegressiveNN(
                    size, context, [hidden], permutation=order if index % 2 == 0 else order.flip(0)
                )
            )
            for index in range(layers)
        )

    def posterior(self, parameters: Tensor):
        """The bent normal, ``[*lead]`` with events ``[D]``."""
        D = self.code_size
        loc, raw, context = parameters.split([D, D, parameters.shape[-1] - 2 * D], -1)
        base = Normal(loc, positive(raw))
        layers: Any = self.layers
        return dist.TransformedDistribution(base, [layer.condition(context) for layer in layers])

    def prior(self):
        """N(0, 1), D times."""
        loc = self.zero.expand(self.code_size)
        return Normal(loc, loc + 1).to_event(1)

    def centre(self, q) -> Tensor:
        """Where the flow takes the mean of its base: a flow's own mean is not known."""
        z = q.base_dist.mean
        for layer in q.transforms:
            z = layer(z)
        return z
