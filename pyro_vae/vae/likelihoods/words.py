"""``Words``: sentences, written word by word."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.nets import END, PAD, SequenceDecoder
from pyro_vae.nets.rows import check_positive
from pyro_vae.nets.tokens import check_words
from pyro_vae.vae.likelihoods.base import Likelihood, check_rows, refuse
from pyro_vae.vae.likelihoods.sentences import Sentences


class Words(Likelihood):
    """p(x | z) of sentences of at most ``max_length`` words, from a :class:`~pyro_vae.nets.SequenceDecoder`.

    Rows are numbers as :class:`~pyro_vae.vae.Vocabulary` makes them: words from 2, ``END`` = 1 last, ``PAD`` = 0 beyond
    it, which counts for nothing.

    Args:
        vocabulary_size: V, the number of words, with ``PAD`` and ``END``.
        max_length: the most words of a row, ``END`` included.

    Shapes: x ``[*lead, T]`` (int64), T at most ``max_length``. (The decoder gives no tensor of parameters: it is asked
    for the words of x.)

    Raises:
        OptionError: naming the option.

    >>> words = Words(vocabulary_size=10, max_length=7)
    >>> words.check(torch.tensor([[5, 3, 1, 0], [2, 2, 2, 2]]))
    Traceback (most recent call last):
        ...
    pyro_vae.errors.DataError: x: row 1, entry [3]: expected END = 1 after the last word, got 2 (1 of 2 rows have ...
    """

    def __init__(self, vocabulary_size: int, max_length: int):
        check_positive(vocabulary_size=vocabulary_size, max_length=max_length)
        super().__init__()
        self.event_shape = torch.Size((max_length,))
        self.vocabulary_size, self.max_length = vocabulary_size, max_length

    def given(self, decoder: Any, code: Tensor) -> Sentences:
        """Sentences of codes ``[*lead, code_size]``."""
        if not isinstance(decoder, SequenceDecoder):
            raise ModelError(f"decoder: expected a SequenceDecoder for words, got {type(decoder).__name__}.")
        if decoder.vocabulary_size != self.vocabulary_size:
            raise ModelError(
                f"decoder: expected a vocabulary of {self.vocabulary_size} words, as the likelihood has, got "
                f"{decoder.vocabulary_size}."
            )
        return Sentences(decoder, code, self.max_length)

    def check(self, x: Any, first_row: int = 0) -> None:
        """Raise :class:`~pyro_vae.errors.DataError` naming the first row that is no sentence."""
        check_rows(x, ("T",))
        check_words("x", x, self.vocabulary_size, first_row)
        beyond = (x != PAD) & (torch.arange(x.shape[-1], device=x.device) >= self.max_length)
        refuse(x, beyond, f"at most {self.max_length} words", first_row)
        last = (x != PAD) & (torch.nn.functional.pad(x[:, 1:], (0, 1), value=PAD) == PAD)
        whole = torch.arange(1, x.shape[-1] + 1, device=x.device) < self.max_length
        refuse(x, last & (x != END) & whole, f"END = {END} after the last word", first_row)

    def point(self, p: Sentences) -> Tensor:
        """The likeliest word at every step."""
        return p.greedy()
