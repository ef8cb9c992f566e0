"""``Bernoulli``: bits, exact or relaxed."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor

from pyro_vae.distributions import LogitRelaxedBernoulli
from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.latents.base import Latent


class Bernoulli(Latent):
    r"""D independent bits; p(z): each is 1 with probability ½.

    Exact bits have no pathwise gradient: use ``ScoreFunction``, ``DisARM``, ``VIMCO``, ``REBAR`` or ``RELAX``. With a
    ``temperature``, model and guide are relaxed: z holds the logits of numbers in (0, 1), which the decoder reads, and
    every estimator takes it. The bound is then one of the relaxed model.

    Args:
        size: D, the number of bits.
        temperature: of the relaxation; None for exact bits.

    Shapes: parameters ``[*lead, D]``, the log-odds of a one; z and code ``[*lead, D]``.

    Raises:
        OptionError: naming the option.

    Source: Mnih and Gregor, "Neural variational inference and learning in belief networks", ICML 2014; Maddison, Mnih,
    Teh, "The Concrete distribution", ICLR 2017.

    >>> import torch
    >>> Bernoulli(2).posterior(torch.tensor([-50.0, 50.0])).sample()
    tensor([0., 1.])
    """

    def __init__(self, size: int, *, temperature: float | None = None):
        super().__init__()
        check_positive(size=size)
        check_temperature(temperature)
        self.num_parameters = self.code_size = size
        self.temperature = temperature

    def posterior(self, parameters: Tensor):
        """The bits, or the logits of relaxed ones, ``[*lead]`` with events ``[D]``."""
        if self.temperature is None:
            return dist.Bernoulli(logits=parameters).to_event(1)
        return LogitRelaxedBernoulli(self.temperature, logits=parameters).to_event(1)

    def prior(self):
        """Fair bits."""
        return self.posterior(self.zero.expand(self.code_size))

    def code(self, z: Tensor) -> Tensor:
        """The bits, or relaxed bits in (0, 1)."""
        return z if self.temperature is None else z.sigmoid()

    def centre(self, q) -> Tensor:
        """The likelier value of every bit; of relaxed ones, the mean logit."""
        return (q.mean > 0.5).to(q.mean.dtype) if self.temperature is None else q.mean


def check_temperature(temperature: float | None) -> None:
    """Raise :class:`~pyro_vae.errors.OptionError` for one that is not positive."""
    if temperature is not None and not temperature > 0:
        raise OptionError(f"temperature: expected a positive number, or None for exact draws, got {temperature!r}.")
