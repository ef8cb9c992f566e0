"""Free runs of an autoregressive decoder: the likeliest next word, a drawn one, or the best of several sentences.

All take codes ``[*lead, D]`` and give words ``[*lead, T]`` (int64) with T = ``max_length``: each sentence ends with
``END``, unless it is cut off there, and is padded with ``PAD``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_event, check_positive, on_rows
from pyro_vae.nets.tokens import END, PAD

if TYPE_CHECKING:
    from pyro_vae.nets.sequence_decoder import SequenceDecoder


def greedy(decoder: SequenceDecoder, z: Tensor, max_length: int) -> Tensor:
    """The likeliest word at every step.

    >>> from pyro_vae.nets import SequenceDecoder
    >>> greedy(SequenceDecoder(4, 10), torch.zeros(3, 4), 7).shape
    torch.Size([3, 7])
    """
    return _free_run(decoder, z, max_length, lambda log_p: log_p.argmax(-1))


def sampled(decoder: SequenceDecoder, z: Tensor, max_length: int, temperature: float = 1.0) -> Tensor:
    """A sentence drawn word by word, with torch's generator; log-probabilities are divided by ``temperature``.

    At temperature 1 it is a draw of p(words | z). Raises ``OptionError`` for a temperature that is not positive.
    """
    if not temperature > 0:
        raise OptionError(f"temperature: expected a positive number, got {temperature!r}. For the mode use greedy.")
    draw = lambda log_p: torch.multinomial((log_p / temperature).softmax(-1), 1).squeeze(-1)  # noqa: E731
    return _free_run(decoder, z, max_length, draw)


def beam_search(decoder: SequenceDecoder, z: Tensor, max_length: int, width: int = 5) -> Tensor:
    r"""The likeliest sentence of those that a beam finds: at every step the ``width`` likeliest beginnings are kept.

    Sentences are compared by their whole log-probability, without a correction for length. With width 1 it is
    :func:`greedy`; with a width of all beginnings it is exact.
    """
    check_positive(max_length=max_length, width=width)
    check_event(decoder, z, (decoder.code_size,))
    with torch.no_grad():
        return on_rows(lambda rows: _beam(decoder, rows, max_length, width), z, 1)


def _free_run(decoder: SequenceDecoder, z: Tensor, max_length: int, choose: Callable[[Tensor], Tensor]) -> Tensor:
    check_positive(max_length=max_length)
    check_event(decoder, z, (decoder.code_size,))

    def run(rows: Tensor) -> Tensor:
        words = torch.full((len(rows), max_length), PAD, device=rows.device)
        state, last = decoder.start(rows), None
        open_ = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        for position in range(max_length):
            log_p, state = decoder.step(rows, last, state)
            last = choose(log_p)
            words[:, position] = torch.where(open_, last, PAD)
            open_ = open_ & (last != END)
            if not bool(open_.any()):
                break
        return words

    with torch.no_grad():
        return on_rows(run, z, 1)


def _beam(decoder: SequenceDecoder, z: Tensor, max_length: int, width: int) -> Tensor:
    """Rows of beams: words ``[rows, width, T]``, their log-probabilities ``[rows, width]``; beam 0 alone at first."""
    rows, V = len(z), decoder.vocabulary_size
    words = torch.full((rows, width, max_length), PAD, device=z.device)
    total = torch.full((rows, width), -torch.inf, dtype=z.dtype, device=z.device)
    total[:, 0] = 0.0
    codes = z.repeat_interleave(width, 0)
    state, last = decoder.start(codes), None
    ended = torch.zeros(rows, width, dtype=torch.bool, device=z.device)
    # A sentence that has ended goes on as itself: with PAD, at no cost.
    only_pad = torch.full((V,), -torch.inf, dtype=z.dtype, device=z.device)
    only_pad[PAD] = 0.0
    offset = torch.arange(rows, device=z.device).unsqueeze(-1) * width
    for position in range(max_length):
        log_p, state = decoder.step(codes, last, state)
        log_p = torch.where(ended.unsqueeze(-1), only_pad, log_p.unflatten(0, (rows, width)))
        total, best = (total.unsqueeze(-1) + log_p).flatten(1).topk(width, -1)
        beam, word = best // V, best % V
        words = words.gather(1, beam.unsqueeze(-1).expand_as(words))
        words[:, :, position] = word
        ended = ended.gather(1, beam) | (word == END)
        state = tuple(part[:, (beam + offset).flatten()] for part in state)
        last = word.flatten()
        if bool(ended.all()):
            break
    return words[torch.arange(rows, device=z.device), total.argmax(-1)]
