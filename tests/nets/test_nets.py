"""Every encoder and decoder: shapes, leading dims that change nothing, and errors that say what came."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from pyro_vae.errors import DataError, OptionError
from pyro_vae.nets import MLP, ConvDecoder, ConvEncoder, SequenceDecoder, SequenceEncoder
from pyro_vae.nets.sequence_encoder import CELLS

SENTENCES = torch.tensor([[5, 3, 1, 0, 0], [2, 2, 4, 2, 1], [1, 0, 0, 0, 0]])


def sentence_decoder(**options) -> nn.Module:
    """A decoder as a function of codes alone, at fixed sentences."""
    decoder = SequenceDecoder(4, 6, embedding_size=3, hidden_size=5, **options)
    return Scored(decoder)


class Scored(nn.Module):
    def __init__(self, decoder: SequenceDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder(z, SENTENCES)


# a net, one batch of three inputs, the shape of one output
CASES = {
    "mlp": (lambda: MLP(4, 7), torch.randn(3, 4), (7,)),
    "affine map": (lambda: MLP(4, (2, 3), hidden=()), torch.randn(3, 4), (2, 3)),
    "mlp of images": (lambda: MLP((1, 5, 4), 2, (8, 8), nn.Tanh), torch.randn(3, 1, 5, 4), (2,)),
    "conv encoder": (lambda: ConvEncoder((2, 8, 8), 5), torch.randn(3, 2, 8, 8), (5,)),
    "conv encoder, odd sides": (lambda: ConvEncoder((1, 7, 9), (2, 3), (4, 4, 4)), torch.randn(3, 1, 7, 9), (2, 3)),
    "conv decoder": (lambda: ConvDecoder(4, (2, 8, 8)), torch.randn(3, 4), (2, 8, 8)),
    "conv decoder, odd sides": (lambda: ConvDecoder((2, 2), (1, 7, 9), (4, 4, 4)), torch.randn(3, 2, 2), (1, 7, 9)),
    "lstm encoder": (lambda: SequenceEncoder(6, 4), SENTENCES, (4,)),
    "gru encoder": (lambda: SequenceEncoder(6, (2, 2), cell="gru", num_layers=2), SENTENCES, (2, 2)),
    "two-way encoder": (lambda: SequenceEncoder(6, 4, bidirectional=True), SENTENCES, (4,)),
    "lstm decoder": (sentence_decoder, torch.randn(3, 4), (5, 6)),
    "lstm decoder, words dropped": (lambda: sentence_decoder(word_dropout=0.5).train(), torch.randn(3, 4), (5, 6)),
    "gru decoder": (lambda: sentence_decoder(cell="gru", num_layers=2), torch.randn(3, 4), (5, 6)),
}
every_net = pytest.mark.parametrize("name", CASES)


@every_net
def test_gives_the_shape_that_its_docstring_says(name: str) -> None:
    make, x, out = CASES[name]
    assert make()(x).shape == (3, *out)


@every_net
def test_particles_in_front_are_the_same_as_one_by_one(name: str) -> None:
    make, x, _ = CASES[name]
    net = make()
    particles = torch.stack([x.flip(-1) if x.dtype.is_floating_point else x.flip(0), x])
    if "decoder" not in name:  # a decoder is given the same rows of data for every particle; an encoder any
        torch.testing.assert_close(net(particles), torch.stack([net(row) for row in particles]))
        torch.testing.assert_close(net(x[0]), net(x)[0])
    if "dropped" in name:
        net.eval()
    deep = particles.unsqueeze(1).expand(2, 4, *x.shape)
    torch.testing.assert_close(net(deep)[:, 1], torch.stack([net(row) for row in particles]))


@every_net
def test_every_parameter_gets_a_gradient(name: str) -> None:
    make, x, _ = CASES[name]
    net = make()
    out = net(x)
    torch.where(torch.isfinite(out), out, 0.0).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_sentence_means_the_same_however_far_it_is_padded(cell: str, bidirectional: bool) -> None:
    encoder = SequenceEncoder(6, 4, cell=cell, bidirectional=bidirectional)
    torch.testing.assert_close(encoder(SENTENCES[:1]), encoder(SENTENCES[:1, :3]))
    decoder = SequenceDecoder(4, 6, cell=cell)
    z = torch.randn(1, 4)
    torch.testing.assert_close(decoder.log_prob(z, SENTENCES[:1]), decoder.log_prob(z, SENTENCES[:1, :3]))


@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_of_all_sentences_sum_to_one(cell: str) -> None:
    """All sentences of up to three words over two words; those cut off at three count as they stand."""
    decoder = SequenceDecoder(2, 4, cell=cell).double()
    done = [(*words, 1) for n in range(3) for words in itertools.product((2, 3), repeat=n)]
    cut = list(itertools.product((2, 3), repeat=3))
    rows = torch.tensor([[*words, *([0] * (3 - len(words)))] for words in done + cut])
    z = torch.randn(5, 1, 2, dtype=torch.float64)
    total = decoder.log_prob(z, rows).logsumexp(-1)
    torch.testing.assert_close(total, torch.zeros(5, dtype=torch.float64))


@pytest.mark.parametrize("cell", CELLS)
def test_teacher_forcing_is_the_free_run_with_given_words(cell: str) -> None:
    decoder = SequenceDecoder(4, 6, cell=cell, num_layers=2)
    z, words = torch.randn(3, 4), SENTENCES
    state, last, steps = decoder.start(z), None, []
    for position in range(words.shape[1]):
        log_p, state = decoder.step(z, last, state)
        steps.append(log_p)
        last = words[:, position]
    torch.testing.assert_close(decoder(z, words), torch.stack(steps, 1))


def test_the_code_is_read_at_the_start_and_at_every_step() -> None:
    decoder = SequenceDecoder(4, 6)
    z, words = torch.randn(1, 4), SENTENCES[:1]
    before = decoder(z, words)
    nn.init.zeros_(decoder.first_state.weight)
    at_steps = decoder(z, words)
    assert not torch.allclose(before[..., 1:], at_steps[..., 1:])
    assert not torch.allclose(at_steps[..., 1:], decoder(-z, words)[..., 1:])


def test_word_dropout_hides_words_in_training_only_and_scores_all_of_them() -> None:
    decoder = SequenceDecoder(4, 6, word_dropout=1.0)
    z, words = torch.zeros(1, 4), SENTENCES[:1]
    other = torch.tensor([[4, 3, 1, 0, 0]])
    # everything hidden: what follows the first word does not depend on it
    torch.testing.assert_close(decoder(z, words)[:, 1:], decoder(z, other)[:, 1:])
    assert decoder.log_prob(z, words) != decoder.log_prob(z, other)
    decoder.eval()
    assert not torch.allclose(decoder(z, words)[:, 1, 1:], decoder(z, other)[:, 1, 1:])


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: MLP(0, 3), "in_shape"),
        (lambda: MLP(3, (2, -1)), "out_shape"),
        (lambda: MLP(3, 2, (4, 0)), "hidden"),
        (lambda: ConvEncoder((8, 8), 3), "in_shape"),
        (lambda: ConvDecoder(3, (8, 8)), "out_shape"),
        (lambda: ConvEncoder((1, 8, 8), 3, ()), "channels"),
        (lambda: SequenceEncoder(6, 3, cell="rnn"), "cell"),
        (lambda: SequenceDecoder(3, 6, cell="rnn"), "cell"),
        (lambda: SequenceDecoder(3, 6, word_dropout=1.5), "word_dropout"),
        (lambda: SequenceDecoder(3, 0), "vocabulary_size"),
    ],
)
def test_an_impossible_size_names_its_option(make, option: str) -> None:
    with pytest.raises(OptionError, match=f"^{option}: "):
        make()


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (MLP((1, 8, 8), 2), torch.zeros(3, 8, 8)),
        (ConvEncoder((1, 8, 8), 2), torch.zeros(3, 1, 28, 28)),
        (ConvDecoder(5, (1, 8, 8)), torch.zeros(3, 4)),
    ],
)
def test_an_input_of_another_shape_is_told_with_both(net: nn.Module, x: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"expected a tensor of shape \[\*, .*got \("):
        net(x)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([[5, 1], [9, 1]], r"row 1, position 0: expected a word from 2 to 5.*got 9"),
        ([[5, 1], [0, 0]], "row 1 is empty"),
        ([[5, 1], [0, 1]], "row 1 has the word 1 at position 1, after its end"),
        ([[5, 1, 0], [1, 5, 1]], "row 1 has the word 5 at position 1, after its end"),
        ([[5.0, 1.0]], "whole numbers"),
    ],
)
@pytest.mark.parametrize("read", [SequenceEncoder(6, 4), lambda words: SequenceDecoder(4, 6)(torch.zeros(4), words)])
def test_words_that_are_no_sentence_name_the_row(read, words: list, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(torch.tensor(words))
