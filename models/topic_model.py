"""A topic model as an autoencoder: documents are mixed from topics with Dirichlet weights; the topics are found again.

A document is a bag of 60 words out of 30. Its topics' weights come from a Dirichlet, its words from the mixed topics:

.. math:: \\pi \\sim \\text{Dirichlet}(\\alpha), \\qquad x \\sim \\text{Multinomial}\\Bigl(60, \\sum_k \\pi_k
          \\beta_k\\Bigr), \\qquad q(\\pi \\mid x) = \\text{Dirichlet}(\\operatorname{softplus} f_\\phi(x))

which is latent Dirichlet allocation with the words' assignments summed out. The topics :math:`\\beta_k` are the
decoder, a table of K distributions over words; the encoder is a small net of the word frequencies. The documents that
ship are made by the model itself with five known topics, so what is learned can be held to them, up to their order.

Source: D. M. Blei, A. Y. Ng, M. I. Jordan, "Latent Dirichlet allocation", JMLR 3 (2003); A. Srivastava, C. Sutton,
"Autoencoding variational inference for topic models", ICLR 2017; pathwise gradients of the Dirichlet: M. Figurnov,
S. Mohamed, A. Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyro.distributions as dist
import torch
from torch import Tensor, nn

import pyro_vae as pv

if TYPE_CHECKING:
    from pyro_vae.datasets import Rows
    from pyro_vae.vae import Vocabulary

TOPICS, WORDS, LENGTH, CONCENTRATION = 5, 30, 60, 0.3
training = {"epochs": 150, "batch_size": 250, "learning_rate": 0.02}


class Counts(pv.vae.likelihoods.Elementwise):
    """p(x | z): how often each word is in a document, from log-probabilities ``[*lead, words]``.

    A document has as many words as it has; those that are made up have ``length``.
    """

    def __init__(self, words: int, length: int):
        super().__init__(words)
        self.length = length

    def distribution(self, *parameters: Tensor):
        """The multinomial, its coefficient included, so that bounds are those of log p(x)."""
        return dist.Multinomial(self.length, logits=parameters[0], validate_args=False)

    def check_values(self, x: Tensor) -> tuple[Tensor, str]:
        """Whole numbers from 0, not all of them 0."""
        wrong = (x < 0) | (x != x.round()) | (x.sum(-1, keepdim=True) <= 0)
        return wrong, "counts of words, at least one in the row"


class Topics(nn.Module):
    """The decoder: weights ``[*lead, K]`` to the log-probabilities of the words ``[*lead, V]``."""

    def __init__(self, topics: int, words: int):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(topics, words))

    def forward(self, weights: Tensor) -> Tensor:
        """The mixed topics."""
        return (weights @ self.logits.softmax(-1)).log()


class Frequencies(nn.Module):
    """The encoder: counts to a net's numbers, by way of the words' frequencies relative to uniform ones."""

    def __init__(self, words: int, out: int, hidden: int):
        super().__init__()
        self.net = pv.nets.MLP(words, out, (hidden,))

    def forward(self, x: Tensor) -> Tensor:
        """``[N, V]`` -> ``[N, out]``."""
        return self.net(x / x.sum(-1, keepdim=True) * x.shape[-1] - 1)


def truth() -> Tensor:
    """The five topics, ``[5, 30]``: each has six words of its own (80 %), and shares the rest."""
    own = torch.arange(WORDS) // (WORDS // TOPICS) == torch.arange(TOPICS).unsqueeze(1)
    share = WORDS // TOPICS
    return torch.where(own, 0.8 / share, 0.2 / (WORDS - share)).to(torch.get_default_dtype())


def documents(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """``n`` documents as counts ``[n, 30]``, and their topics' weights ``[n, 5]``."""
    generator = torch.Generator().manual_seed(seed)
    # torch's Dirichlet takes no generator: weights are normalised Gammas.
    gammas = torch._standard_gamma(torch.full((n, TOPICS), CONCENTRATION, dtype=torch.float64), generator=generator)
    weights = (gammas / gammas.sum(-1, keepdim=True)).to(torch.get_default_dtype())
    words = torch.multinomial(weights @ truth(), LENGTH, replacement=True, generator=generator)
    return torch.zeros(n, WORDS).scatter_add_(1, words, torch.ones(words.shape)).to(weights.dtype), weights


def load() -> dict[str, Tensor]:
    """1000 documents as counts, ``x`` ``[1000, 30]``."""
    return {"x": documents(1000, seed=0)[0]}


def from_rows(rows: Rows) -> dict[str, Tensor]:
    """The documents of one's own: of sentences, how often each word is in them; tables have counts already."""
    if rows.vocabulary is None:
        return {"x": rows.x}
    words = len(rows.vocabulary)
    counts = torch.nn.functional.one_hot(rows.x, words).sum(-2)[:, words - len(rows.vocabulary.words) :]
    return {"x": counts.to(torch.get_default_dtype())}


def build(
    topics: int = TOPICS,
    concentration: float = CONCENTRATION,
    hidden: int = 64,
    features: int = WORDS,
    vocabulary: Vocabulary | None = None,
    size: int | None = None,
) -> pv.VAE:
    """The pair, for ``features`` words, or those of a ``vocabulary``; ``size`` documents in all, if in batches."""
    words = features if vocabulary is None else len(vocabulary.words)
    latent, likelihood = pv.vae.latents.Dirichlet(topics, concentration=concentration), Counts(words, LENGTH)
    encoder = Frequencies(words, latent.num_parameters, hidden)
    return pv.VAE(encoder, Topics(topics, words), latent, likelihood, size=size)


def topics(vae: pv.VAE) -> Tensor:
    """What was learned, ``[K, 30]``: each topic's distribution over the words."""
    return vae.decoder.get_parameter("logits").detach().softmax(-1)


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    x = load()["x"]
    vae = build(size=len(x))
    batches = DataLoader(TensorDataset(x), batch_size=250, shuffle=True)
    pv.fit(vae.model, vae.guide, batches, epochs=150, num_particles=1, learning_rate=0.02, seed=0)
    print(vae.log_evidence(x))
    print("The six likeliest words of each topic, which should be 0 to 5, 6 to 11 ...:")
    print(topics(vae).topk(6).indices.sort(-1).values.tolist())
