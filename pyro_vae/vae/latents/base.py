"""What a family of latents is: numbers from an encoder in, a distribution out, and a code for the decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Latent(nn.Module):
    """A family of distributions q(z | x) with its standard prior p(z).

    A subclass says how many numbers it needs from the encoder (``num_parameters``) and how many its decoder reads
    (``code_size``), and writes ``posterior`` and ``prior``. Where z itself is not what a decoder should read
    (log-weights), it writes ``code``; where the distribution has no mean, ``centre``.

    ``infer`` are Pyro's options of the guide's site.
    """

    num_parameters: int
    code_size: int
    zero: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.infer: dict[str, Any] = {}
        # Where and in which dtype the prior's parameters are made: those of the module that the family is part of.
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def posterior(self, parameters: Tensor) -> Any:
        """q(z | x) from an encoder's numbers ``[*lead, num_parameters]``; its batch shape is ``lead``."""
        raise NotImplementedError

    def prior(self) -> Any:
        """The standard prior p(z), without a batch shape."""
        raise NotImplementedError

    def code(self, z: Tensor) -> Tensor:
        """What the decoder reads, ``[*lead, code_size]``."""
        return z

    def centre(self, q: Any) -> Tensor:
        """The one z that stands for q when an x is reconstructed."""
        return q.mean
