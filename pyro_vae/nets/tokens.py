"""Sentences as whole numbers: words are numbered from 2, a sentence ends with ``END`` and is padded with ``PAD``.

So one tensor ``[*lead, T]`` holds sentences of different lengths, and nothing else has to travel with it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_vae.errors import DataError

PAD = 0
END = 1


def lengths(words: Tensor) -> Tensor:
    """How many words each sentence has, its ``END`` included: ``[*lead, T]`` -> ``[*lead]``.

    >>> lengths(torch.tensor([[5, 3, 1, 0], [2, 2, 2, 1]]))
    tensor([3, 4])
    """
    return (words != PAD).sum(-1)


def check_words(label: str, words: Tensor, vocabulary_size: int, first_row: int = 0) -> None:
    """Raise :class:`~pyro_vae.errors.DataError` naming the row and word that are no sentence of this vocabulary.

    Rows are counted from ``first_row``.

    >>> check_words("x", torch.tensor([[5, 1], [9, 1]]), 6)
    Traceback (most recent call last):
        ...
    pyro_vae.errors.DataError: x: row 1, position 0: expected a word from 2 to 5, END = 1 or PAD = 0, got 9.
    """
    if words.dtype != torch.long or words.dim() < 1:
        raise DataError(
            f"{label}: expected words as whole numbers (torch.int64) of shape [*, T], got {words.dtype} of shape "
            f"{tuple(words.shape)}."
        )
    index = _first((words < 0) | (words >= vocabulary_size))
    if index:
        raise DataError(
            f"{label}: row {_row(index[:-1], first_row)}, position {index[-1]}: expected a word from 2 to "
            f"{vocabulary_size - 1}, END = {END} or PAD = {PAD}, got {int(words[tuple(index)])}."
        )
    index = _first(lengths(words).unsqueeze(-1) == 0)
    if index:
        raise DataError(f"{label}: row {_row(index[:-1], first_row)} is empty: expected at least the word END = {END}.")
    over = (words[..., :-1] == PAD) | (words[..., :-1] == END)
    index = _first(over & (words[..., 1:] != PAD))
    if index:
        word = int(words[(*index[:-1], index[-1] + 1)])
        raise DataError(
            f"{label}: row {_row(index[:-1], first_row)} has the word {word} at position {index[-1] + 1}, after its "
            f"end: expected PAD = {PAD} alone there. Pad sentences on the right."
        )


def _first(wrong: Tensor) -> list[int]:
    """The index of the first True; empty where there is none."""
    return [int(i) for i in wrong.nonzero()[0]] if bool(wrong.any()) else []


def _row(index: list[int], first_row: int) -> str:
    return str(index[0] + first_row) if len(index) == 1 else str(index)
