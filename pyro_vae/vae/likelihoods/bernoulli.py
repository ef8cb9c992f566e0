"""``Bernoulli``: black and white, or anything between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
from torch import Tensor

from pyro_vae.vae.likelihoods.base import Elementwise


class Bernoulli(Elementwise):
    r"""p(x | z): independent bits, :math:`\log p = \sum_i x_i \log p_i + (1 - x_i) \log (1 - p_i)`.

    Numbers between 0 and 1 (grey) are taken as the same formula takes them. It is then minus a cross-entropy and no
    longer a density of x, so bounds can be compared with each other and not with those of other likelihoods.

    Args:
        shape: of one row of data.

    Shapes: log-odds ``[*lead, *shape]`` from the decoder; x ``[*lead, *shape]``, floating point.

    >>> import torch
    >>> Bernoulli(3).given(lambda code: code, torch.zeros(2, 3)).log_prob(torch.ones(2, 3))
    tensor([-2.0794, -2.0794])
    """

    def __init__(self, shape: int | Sequence[int]):
        super().__init__(shape)

    def distribution(self, *parameters: Tensor):
        """Bits, ``[*lead]`` with events ``[*shape]``."""
        # Validation is off because torch would refuse grey; VAE.check_data has seen to what is beyond [0, 1].
        return dist.Bernoulli(logits=parameters[0], validate_args=False).to_event(len(self.event_shape))

    def check_values(self, x: Tensor) -> tuple[Tensor, str]:
        """Numbers from 0 to 1."""
        return ~((x >= 0) & (x <= 1)), "numbers from 0 to 1, for a Bernoulli likelihood"
