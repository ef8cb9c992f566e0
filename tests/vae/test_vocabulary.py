"""Words to numbers and back."""

from __future__ import annotations

import pytest
import torch

from pyro_vae.errors import DataError, OptionError
from pyro_vae.nets.tokens import END, PAD, check_words
from pyro_vae.vae import Vocabulary

TEXT = ["the cat sleeps", "the dog barks at the cat", "barks"]


def test_sentences_of_any_length_come_back() -> None:
    vocabulary = Vocabulary.of(TEXT)
    numbers = vocabulary.encode(TEXT)
    check_words("x", numbers, len(vocabulary))
    assert vocabulary.decode(numbers) == TEXT
    assert numbers.shape == (3, 7)
    assert vocabulary.decode(vocabulary.encode(TEXT, max_length=9)) == TEXT
    assert torch.equal(vocabulary.encode([line.split() for line in TEXT]), numbers)


def test_padding_and_end_are_no_words() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert len(vocabulary) == 4
    assert vocabulary.encode(["b a", "b"]).tolist() == [[3, 2, END], [3, END, PAD]]
    assert vocabulary.encode([""]).tolist() == [[END]]
    assert vocabulary.decode(torch.tensor([[3, END, PAD], [END, PAD, PAD]])) == ["b", ""]


def test_an_unknown_word_names_the_row_and_what_is_near() -> None:
    with pytest.raises(DataError, match=r"Sentence 1: the word 'slepes' is not in the vocabulary. Nearest: sleeps"):
        Vocabulary.of(TEXT).encode(["the cat", "the cat slepes"])


def test_a_sentence_that_is_too_long_names_the_row() -> None:
    with pytest.raises(DataError, match="Sentence 1 has 7 words with its END: expected at most 5"):
        Vocabulary.of(TEXT).encode(TEXT, max_length=5)
    with pytest.raises(DataError, match="at least one"):
        Vocabulary.of(TEXT).encode([])


@pytest.mark.parametrize("words", [["a", "b", "a"], ["a", ""], ["a b"]])
def test_a_vocabulary_has_distinct_words(words: list[str]) -> None:
    with pytest.raises(OptionError, match=r"^words: expected distinct words"):
        Vocabulary(words)
