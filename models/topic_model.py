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

import pyro.distributions as dist
import torch
from torch import Tensor, nn

import pyro_vae as pv

TOPICS, WORDS, LENGTH, CONCENTRATION = 5, 30, 60, 0.3


class Counts(pv.vae.likelihoods.Elementwise):
    """p(x | z): how often each word is among ``length`` words, from log-probabilities ``[*lead, words]``."""

    def __init__(self, words: int, length: int):
        super().__init__(words)
        self.length = length

    def distribution(self, *parameters: Tensor):
        """The multinomial, its coefficient included, so that bounds are those of log p(x)."""
        return dist.Multinomial(self.length, logits=parameters[0], validate_args=False)

    def check_values(self, x: Tensor) -> tuple[Tensor, str]:
        """Whole numbers from 0, which add up to the length in every row."""
        wrong = (x < 0) | (x != x.round()) | (x.sum(-1, keepdim=True) != self.length)
        return wrong, f"counts of words that add up to {self.length} in the row"


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


def build(
    topics: int = TOPICS, concentration: float = CONCENTRATION, hidden: int = 64, size: int | None = None
) -> pv.VAE:
    """The pair; ``size`` documents in all, where it is trained on batches."""
    latent, likelihood = pv.vae.latents.Dirichlet(topics, concentration=concentration), Counts(WORDS, LENGTH)
    encoder = Frequencies(WORDS, latent.num_parameters, hidden)
    return pv.VAE(encoder, Topics(topics, WORDS), latent, likelihood, size=size)


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
