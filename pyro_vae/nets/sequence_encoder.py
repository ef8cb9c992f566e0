"""``SequenceEncoder``: a recurrent net that reads sentences of different lengths."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import as_shape, check_positive, on_rows
from pyro_vae.nets.tokens import PAD, check_words, lengths

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class SequenceEncoder(nn.Module):
    """An LSTM or GRU over embedded words, and one linear layer on its last states: sentences to vectors.

    Sentences are packed, so a sentence's result does not depend on how far it is padded.

    Args:
        vocabulary_size: the number of words, with ``PAD`` and ``END``: words are 0 to ``vocabulary_size`` - 1.
        out_shape: the shape of one output.
        embedding_size: of a word.
        hidden_size: of the recurrent state.
        cell: ``"lstm"`` or ``"gru"``.
        num_layers: of the recurrent net.
        bidirectional: read each sentence from its end too.

    Shapes: words ``[*lead, T]`` (int64) -> ``[*lead, *out_shape]``.

    Raises:
        OptionError: naming the option.
        DataError: words that are not whole numbers in that range, or an empty sentence; names the row.

    Source: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; Cho et al., "Learning
    phrase representations using RNN encoder-decoder", EMNLP 2014.

    >>> import torch
    >>> SequenceEncoder(10, 4)(torch.tensor([[5, 3, 1, 0], [2, 2, 2, 1]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        vocabulary_size: int,
        out_shape: int | Sequence[int],
        *,
        embedding_size: int = 64,
        hidden_size: int = 128,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
    ):
        super().__init__()
        check_positive(vocabulary_size=vocabulary_size, embedding_size=embedding_size, hidden_size=hidden_size)
        check_positive(num_layers=num_layers)
        self.vocabulary_size, self.out_shape = vocabulary_size, as_shape("out_shape", out_shape)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PAD)
        self.recurrent = cell_class(cell)(
            embedding_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional
        )
        self.directions = 2 if bidirectional else 1
        self.head = nn.Linear(self.directions * hidden_size, self.out_shape.numel())

    def forward(self, words: Tensor) -> Tensor:
        """``[*lead, T]`` -> ``[*lead, *out_shape]``."""
        check_words(type(self).__name__, words, self.vocabulary_size)
        return on_rows(self._rows, words, 1)

    def _rows(self, words: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            self.embedding(words), lengths(words).cpu(), batch_first=True, enforce_sorted=False
        )
        state = self.recurrent(packed)[1]
        hidden = state[0] if isinstance(state, tuple) else state
        last = hidden[-self.directions :].transpose(0, 1).flatten(1)
        return self.head(last).reshape(-1, *self.out_shape)


def cell_class(cell: str) -> type[nn.LSTM] | type[nn.GRU]:
    """The recurrent module of a name; raises :class:`~pyro_vae.errors.OptionError` for another."""
    if cell not in CELLS:
        raise OptionError(f"cell: expected 'lstm' or 'gru', got {cell!r}.")
    return CELLS[cell]
