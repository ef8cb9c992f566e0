"""``Vocabulary``: from words to numbers and back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from pyro_vae.errors import DataError, OptionError
from pyro_vae.nets.tokens import END, PAD


class Vocabulary:
    """Numbers for words: ``PAD`` is 0, ``END`` is 1, the words follow from 2 in the order given.

    Args:
        words: distinct, none of them empty or with white space in it.

    Raises:
        OptionError: naming the word that is given twice or is no word.

    >>> vocabulary = Vocabulary.of(["the cat sleeps", "the dog barks"])
    >>> vocabulary.encode(["the dog sleeps", "cat"])
    tensor([[6, 4, 5, 1],
            [3, 1, 0, 0]])
    >>> vocabulary.decode(vocabulary.encode(["the dog sleeps", "cat"]))
    ['the dog sleeps', 'cat']
    """

    def __init__(self, words: Iterable[str]):
        self.words = tuple(words)
        self._numbers = {word: number for number, word in enumerate(self.words, start=2)}
        twice = [word for index, word in enumerate(self.words, start=2) if self._numbers[word] != index]
        wrong = [word for word in self.words if not word or word.split() != [word]]
        if twice or wrong:
            what = f"{twice[0]!r} twice" if twice else f"{wrong[0]!r}, which is no word"
            raise OptionError(f"words: expected distinct words without white space, got {what}.")

    @classmethod
    def of(cls, sentences: Iterable[str | Sequence[str]]) -> Vocabulary:
        """The vocabulary of these sentences, in alphabetical order."""
        return cls(sorted({word for sentence in sentences for word in _split(sentence)}))

    def __len__(self) -> int:
        """How many numbers there are: the words, ``PAD`` and ``END``."""
        return len(self.words) + 2

    def encode(self, sentences: Iterable[str | Sequence[str]], max_length: int | None = None) -> Tensor:
        """Numbers ``[N, T]`` (int64) of sentences of any length; T is ``max_length``, or the longest with its ``END``.

        A sentence is a string, split at white space, or a list of words. Raises
        :class:`~pyro_vae.errors.DataError` naming the row and the word that is unknown, or the row that is too long.
        """
        rows = []
        for row, sentence in enumerate(sentences):
            words = _split(sentence)
            unknown = [word for word in words if word not in self._numbers]
            if unknown:
                near = difflib.get_close_matches(unknown[0], self.words, 3)
                hint = f" Nearest: {', '.join(near)}." if near else ""
                raise DataError(f"Sentence {row}: the word {unknown[0]!r} is not in the vocabulary.{hint}", row)
            rows.append([*(self._numbers[word] for word in words), END])
        if not rows:
            raise DataError("sentences: expected at least one, got none.")
        length = max(map(len, rows)) if max_length is None else max_length
        for row, numbers in enumerate(rows):
            if len(numbers) > length:
                raise DataError(
                    f"Sentence {row} has {len(numbers)} words with its END: expected at most {length}.", row
                )
        return torch.tensor([numbers + [PAD] * (length - len(numbers)) for numbers in rows])

    def decode(self, numbers: Tensor) -> list[str]:
        """The sentences of numbers ``[N, T]``, up to their ``END``."""
        rows = numbers.reshape(-1, numbers.shape[-1]).tolist()
        return [" ".join(self.words[number - 2] for number in row if number > END) for row in rows]


def _split(sentence: str | Sequence[str]) -> list[str]:
    return sentence.split() if isinstance(sentence, str) else list(sentence)
