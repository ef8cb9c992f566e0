"""``Sentences``: the distribution of whole sentences that an autoregressive decoder gives."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyro_vae.nets import SequenceDecoder, beam_search, greedy, sampled


class Sentences(TorchDistribution):
    r"""p(w | z) of sentences of at most T words, :math:`\prod_t p(w_t \mid w_{<t}, z)`.

    ``log_prob`` reads the true words (teacher forcing) and leaves padding out; ``sample`` runs freely. A sentence that
    has no ``END`` among its T words was cut off there, and has the probability of all its continuations.

    Args:
        decoder: the net, called with ``code`` and words.
        code: ``[*batch, D]``.
        max_length: T, the most words of a draw; ``log_prob`` takes rows padded to any length.

    >>> _ = torch.manual_seed(0)
    >>> p = Sentences(SequenceDecoder(4, 10), torch.zeros(2, 4), 7)
    >>> p.sample().shape, p.log_prob(torch.tensor([[5, 3, 1, 0], [2, 2, 2, 1]])).shape
    (torch.Size([2, 7]), torch.Size([2]))
    """

    arg_constraints: Any = {}  # type: ignore[assignment]
    support: Any = constraints.independent(constraints.nonnegative_integer, 1)  # type: ignore[assignment]
    has_rsample = False

    def __init__(self, decoder: SequenceDecoder, code: Tensor, max_length: int):
        self.decoder, self.code, self.max_length = decoder, code, max_length
        super().__init__(code.shape[:-1], torch.Size((max_length,)), validate_args=False)

    def expand(self, batch_shape: tuple[int, ...], _instance=None):
        """The same distribution with its codes expanded to ``batch_shape``."""
        return Sentences(self.decoder, self.code.expand(*batch_shape, -1), self.max_length)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of sentences ``[*sample, *batch, T]``."""
        return self.decoder.log_prob(self.code, value)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Sentences ``[*sample_shape, *batch_shape, max_length]``."""
        return sampled(self.decoder, self.code.expand(*sample_shape, *self.code.shape), self.max_length)

    def greedy(self) -> Tensor:
        """The likeliest word at every step, ``[*batch_shape, max_length]``."""
        return greedy(self.decoder, self.code, self.max_length)

    def beam(self, width: int = 5) -> Tensor:
        """The likeliest sentence that a beam finds, ``[*batch_shape, max_length]``."""
        return beam_search(self.decoder, self.code, self.max_length, width)
