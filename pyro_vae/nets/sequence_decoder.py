"""``SequenceDecoder``: a recurrent net that writes sentences, each word given the code and the words before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_event, check_positive
from pyro_vae.nets.sequence_encoder import cell_class
from pyro_vae.nets.tokens import PAD, check_words

State = tuple[Tensor, ...]


class SequenceDecoder(nn.Module):
    r"""An autoregressive net, :math:`p(w \mid z) = \prod_t p(w_t \mid w_{<t}, z)`, over the words of a sentence.

    The code z makes the first state, and is read again at every step beside the last word. Called with sentences it
    is teacher-forced: step t reads the true word t - 1. :func:`~pyro_vae.nets.greedy`,
    :func:`~pyro_vae.nets.sampled` and :func:`~pyro_vae.nets.beam_search` let it run on its own words.

    Args:
        code_size: D, the length of a code.
        vocabulary_size: V, the number of words, with ``PAD`` (never written) and ``END``.
        embedding_size: of a word.
        hidden_size: of the recurrent state.
        cell: ``"lstm"`` or ``"gru"``.
        num_layers: of the recurrent net.
        word_dropout: the probability with which a word that is read in training is hidden: what is hidden, the decoder
            has to learn from the code. Words that are scored are never hidden.

    Shapes: codes ``[*lead, D]`` and words ``[*batch, T]`` (int64), which broadcast in their leading dims, give
    log-probabilities ``[*lead, T, V]``.

    Raises:
        OptionError: naming the option.
        DataError: codes of another length, or words outside the vocabulary; names the row.

    Source: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio, "Generating sentences from a continuous space", CoNLL
    2016.

    >>> decoder = SequenceDecoder(4, 10)
    >>> decoder(torch.zeros(16, 2, 4), torch.tensor([[5, 3, 1, 0], [2, 2, 2, 1]])).shape
    torch.Size([16, 2, 4, 10])
    """

    def __init__(
        self,
        code_size: int,
        vocabulary_size: int,
        *,
        embedding_size: int = 64,
        hidden_size: int = 128,
        cell: str = "lstm",
        num_layers: int = 1,
        word_dropout: float = 0.0,
    ):
        super().__init__()
        check_positive(code_size=code_size, vocabulary_size=vocabulary_size, embedding_size=embedding_size)
        check_positive(hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= word_dropout <= 1:
            raise OptionError(f"word_dropout: expected a probability, got {word_dropout!r}.")
        self.code_size, self.vocabulary_size, self.word_dropout = code_size, vocabulary_size, word_dropout
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PAD)
        self.start_word = nn.Parameter(torch.zeros(embedding_size))
        self.hidden_word = nn.Parameter(torch.zeros(embedding_size)) if word_dropout else None
        self.recurrent = cell_class(cell)(embedding_size + code_size, hidden_size, num_layers, batch_first=True)
        self.num_states = 2 if cell == "lstm" else 1
        self.first_state = nn.Linear(code_size, self.num_states * num_layers * hidden_size)
        self.head = nn.Linear(hidden_size, vocabulary_size - 1)  # PAD is no word that can be written

    def forward(self, z: Tensor, words: Tensor) -> Tensor:
        """Log-probabilities of each word given the true ones before it, ``[*lead, T, V]``."""
        check_event(self, z, (self.code_size,))
        check_words(type(self).__name__, words, self.vocabulary_size)
        lead = torch.broadcast_shapes(z.shape[:-1], words.shape[:-1])
        steps = words.shape[-1]
        z = z.expand(*lead, -1).reshape(lead.numel(), -1)
        seen = self._read(words[..., :-1].expand(*lead, -1)).reshape(len(z), steps - 1, -1)
        first = self.start_word.expand(len(z), 1, -1)
        inputs = torch.cat([torch.cat([first, seen], 1), z.unsqueeze(1).expand(-1, steps, -1)], -1)
        out = self._run(inputs, self.start(z))[0]
        return self._log_probs(out).reshape(*lead, steps, -1)

    def log_prob(self, z: Tensor, words: Tensor) -> Tensor:
        """log p(words | z) of whole sentences, their padding left out, ``[*lead]``."""
        log_p = self(z, words)
        real = words != PAD
        chosen = torch.where(real, words, 1).expand(log_p.shape[:-1]).unsqueeze(-1)
        return torch.where(real, log_p.gather(-1, chosen).squeeze(-1), 0.0).sum(-1)

    def start(self, z: Tensor) -> State:
        """The state before the first word, of codes ``[rows, D]``."""
        states = self.first_state(z).unflatten(-1, (self.num_states, self.recurrent.num_layers, -1))
        return tuple(state.transpose(0, 1).contiguous() for state in states.unbind(1))

    def step(self, z: Tensor, last: Tensor | None, state: State) -> tuple[Tensor, State]:
        """One step of a free run: log-probabilities ``[rows, V]`` of the next word, and the state after ``last``.

        ``last`` ``[rows]`` is the word before, None at the start.
        """
        read = self.start_word.expand(len(z), -1) if last is None else self.embedding(last)
        out, after = self._run(torch.cat([read, z], -1).unsqueeze(1), state)
        return self._log_probs(out.squeeze(1)), after

    def _run(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        out, after = self.recurrent(inputs, state if self.num_states == 2 else state[0])
        return out, after if isinstance(after, tuple) else (after,)

    def _read(self, words: Tensor) -> Tensor:
        """Embedded words; in training some are hidden."""
        embedded = self.embedding(words)
        if self.hidden_word is None or not self.training:
            return embedded
        hidden = torch.rand(words.shape, device=words.device) < self.word_dropout
        return torch.where(hidden.unsqueeze(-1), self.hidden_word, embedded)

    def _log_probs(self, out: Tensor) -> Tensor:
        return pad(self.head(out).log_softmax(-1), (1, 0), value=-torch.inf)
