"""Free runs of a decoder: greedy, drawn, and by beam."""

from __future__ import annotations

import itertools

import pytest
import torch

from pyro_vae.errors import DataError, OptionError
from pyro_vae.nets import END, PAD, SequenceDecoder, beam_search, greedy, lengths, sampled
from pyro_vae.nets.sequence_encoder import CELLS
from pyro_vae.nets.tokens import check_words


@pytest.fixture(params=CELLS)
def decoder(request) -> SequenceDecoder:
    torch.manual_seed(3)
    net = SequenceDecoder(2, 5, cell=request.param, hidden_size=16)
    with torch.no_grad():  # far from uniform, so that words depend on those before them
        for parameter in net.parameters():
            parameter.mul_(4)
    return net


def all_sentences(vocabulary_size: int, max_length: int) -> torch.Tensor:
    words = range(2, vocabulary_size)
    done = [(*row, END) for n in range(max_length) for row in itertools.product(words, repeat=n)]
    cut = list(itertools.product(words, repeat=max_length))
    return torch.tensor([[*row, *([PAD] * (max_length - len(row)))] for row in done + cut])


@pytest.mark.parametrize("search", [greedy, sampled, beam_search])
def test_gives_sentences_for_any_leading_dims(decoder: SequenceDecoder, search) -> None:
    words = search(decoder, torch.randn(2, 3, 2), 6)
    assert words.shape == (2, 3, 6)
    check_words("words", words, 5)
    short = lengths(words) < 6
    ends = words.gather(-1, (lengths(words) - 1).unsqueeze(-1)).squeeze(-1)
    assert bool((ends[short] == END).all())


def test_a_wide_beam_finds_the_likeliest_sentence_of_all(decoder: SequenceDecoder) -> None:
    z = torch.randn(100, 2)
    every = all_sentences(5, 4)
    best = every[decoder.log_prob(z.unsqueeze(1), every).argmax(-1)]
    assert torch.equal(beam_search(decoder, z, 4, width=60), best)


def test_a_beam_of_one_is_greedy_and_a_wider_one_is_never_less_likely(decoder: SequenceDecoder) -> None:
    z = torch.randn(20, 2)
    first = greedy(decoder, z, 6)
    assert torch.equal(beam_search(decoder, z, 6, width=1), first)
    wide = beam_search(decoder, z, 6, width=5)
    assert bool((decoder.log_prob(z, wide) >= decoder.log_prob(z, first) - 1e-5).all())


def test_draws_come_as_often_as_their_probability_says(decoder: SequenceDecoder) -> None:
    """20 000 draws over all sentences of up to three words; a chi-square beyond 5 sds in about 1e-6 of seeds."""
    n, z, every = 20_000, torch.randn(2), all_sentences(5, 3)
    p = decoder.log_prob(z, every).exp()
    drawn = sampled(decoder, z.expand(n, 2), 3)
    counts = (drawn.unsqueeze(1) == every).all(-1).sum(0).float()
    assert counts.sum() == n
    often = n * p > 5
    statistic = ((counts - n * p).square() / (n * p))[often].sum()
    freedom = int(often.sum()) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5 + 10


def test_a_low_temperature_is_greedy(decoder: SequenceDecoder) -> None:
    z = torch.randn(8, 2)
    assert torch.equal(sampled(decoder, z, 5, temperature=1e-4), greedy(decoder, z, 5))


def test_options_and_codes_that_cannot_be_are_named(decoder: SequenceDecoder) -> None:
    with pytest.raises(OptionError, match=r"^temperature: "):
        sampled(decoder, torch.zeros(1, 2), 5, temperature=0.0)
    with pytest.raises(OptionError, match=r"^width: "):
        beam_search(decoder, torch.zeros(1, 2), 5, width=0)
    with pytest.raises(OptionError, match=r"^max_length: "):
        greedy(decoder, torch.zeros(1, 2), 0)
    with pytest.raises(DataError, match=r"expected a tensor of shape \[\*, 2\]"):
        greedy(decoder, torch.zeros(1, 3), 5)
