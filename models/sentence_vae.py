"""An LSTM autoencoder of sentences, on text whose entropy is known to the last digit.

A small grammar writes about the sea, the farm or the kitchen: *the [adjective] noun verb*, and then nothing, an adverb,
or *the noun*. Most words belong to one subject, some to two, and a sentence never changes its subject. Encoder and
decoder are recurrent nets:

.. math:: z \\sim N(0, I), \\qquad p(w \\mid z) = \\prod_t p_\\theta(w_t \\mid w_{<t}, z), \\qquad
          q(z \\mid w) = N(\\mu_\\phi(w), \\operatorname{diag} \\sigma_\\phi(w)^2)

The probability of a sentence under the grammar comes from the forward algorithm, its entropy H from listing them all.
So no model's mean log-likelihood, and no bound on it, lies above -H on fresh text. A decoder that reads its own words
reaches -H without any z; then the best bound has q(z | w) = p(z), and the KL collapses to 0. What holds it open: free
bits (``pv.fit(..., free_bits=3.0)``), or hiding words from the decoder (``build(word_dropout=0.6)``). Whether a code
is worth something is measured by the grammar's own parser, on the sentences between two sentences.

Source: S. R. Bowman, L. Vilnis, O. Vinyals, A. M. Dai, R. Jozefowicz, S. Bengio, "Generating sentences from a
continuous space", CoNLL 2016; free bits: D. P. Kingma et al., "Improving variational inference with inverse
autoregressive flow", NeurIPS 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyro_vae as pv

if TYPE_CHECKING:
    from torch import Tensor

    from pyro_vae.vae import Grammar, Vocabulary

training = {"epochs": 80, "learning_rate": 3e-3, "estimator": "analytic-kl", "free_bits": 3.0}
LONGEST = 7  # the adjective, the object and the END included
SUBJECTS = {
    "sea": {
        "adjective": ("wet", "blue", "old"),
        "noun": ("sailor", "whale", "boat", "gull"),
        "verb": ("sees", "follows", "rocks", "calls"),
        "adverb": ("slowly", "below", "again"),
    },
    "farm": {
        "adjective": ("muddy", "brown", "old"),
        "noun": ("farmer", "horse", "cow", "hen"),
        "verb": ("sees", "feeds", "chases", "calls"),
        "adverb": ("slowly", "outside", "early"),
    },
    "kitchen": {
        "adjective": ("hot", "brown", "clean"),
        "noun": ("cook", "pan", "oven", "spoon"),
        "verb": ("heats", "stirs", "rocks", "cools"),
        "adverb": ("quickly", "again", "early"),
    },
}


def grammar() -> Grammar:
    """The three subjects, alike in probability."""
    rules: dict[str, list[tuple[float, str, str | None]]] = {}
    for subject, words in SUBJECTS.items():
        first, describe, act, more, whom = (
            f"{subject}: {part}" for part in ("first", "describe", "act", "more", "whom")
        )
        nouns, verbs = words["noun"], words["verb"]
        rules[first] = [(1.0, "the", describe)]
        rules[describe] = [(0.5 / len(words["adjective"]), word, f"{subject}: noun") for word in words["adjective"]]
        rules[describe] += [(0.5 / len(nouns), word, act) for word in nouns]
        rules[f"{subject}: noun"] = [(1 / len(nouns), word, act) for word in nouns]
        rules[act] = [(0.4 / len(verbs), word, None) for word in verbs]
        rules[act] += [(0.3 / len(verbs), word, more) for word in verbs]
        rules[act] += [(0.3 / len(verbs), word, whom) for word in verbs]
        rules[more] = [(1 / len(words["adverb"]), word, None) for word in words["adverb"]]
        rules[whom] = [(1.0, "the", f"{subject}: object")]
        rules[f"{subject}: object"] = [(1 / len(nouns), word, None) for word in nouns]
    return pv.vae.Grammar(rules, {f"{subject}: first": 1 / len(SUBJECTS) for subject in SUBJECTS})


def vocabulary() -> Vocabulary:
    """Numbers for the grammar's words."""
    return pv.vae.Vocabulary(grammar().words)


def text(n: int, seed: int) -> Tensor:
    """``n`` sentences as numbers ``[n, 7]``; give another seed than 0 for text that was not trained on."""
    return vocabulary().encode(grammar().sample(n, seed), LONGEST)


def load() -> dict[str, Tensor]:
    """2000 sentences ``x`` ``[2000, 7]``: whole numbers that :func:`vocabulary` explains."""
    return {"x": text(2000, seed=0)}


def build(
    latents: int = 8,
    hidden: int = 64,
    embedding: int = 32,
    word_dropout: float = 0.0,
    vocabulary: Vocabulary | None = None,
    max_length: int = LONGEST,
    size: int | None = None,
) -> pv.VAE:
    """The pair, with LSTMs of ``hidden`` units; ``size`` rows in all, where it is trained on batches.

    ``vocabulary`` and ``max_length``, of sentences with their end, are the grammar's; text of another kind has its own.
    """
    words = len(pv.vae.Vocabulary(grammar().words) if vocabulary is None else vocabulary)
    latent, likelihood = pv.vae.latents.Gaussian(latents), pv.vae.likelihoods.Words(words, max_length)
    nets: Any = {"embedding_size": embedding, "hidden_size": hidden}
    encoder = pv.nets.SequenceEncoder(words, latent.num_parameters, **nets)
    decoder = pv.nets.SequenceDecoder(latent.code_size, words, word_dropout=word_dropout, **nets)
    return pv.VAE(encoder, decoder, latent, likelihood, size=size)


if __name__ == "__main__":
    from torch.utils.data import DataLoader, TensorDataset

    x = load()["x"]
    vae = build(size=len(x))
    batches = DataLoader(TensorDataset(x), batch_size=128, shuffle=True)
    options = {"estimator": pv.AnalyticKL(), "num_particles": 1, "learning_rate": 3e-3, "seed": 0}
    pv.fit(vae.model, vae.guide, batches, epochs=80, free_bits=3.0, **options)
    print(f"{vae.log_evidence(text(1000, seed=1))}; nothing lies above {-grammar().entropy:.4f} but by chance.")
    between = vocabulary().decode(vae.interpolate(x[:1], x[1:2], 8).squeeze(1))
    print("\n".join(f"{'parses' if grammar().accepts(words) else '  does not'}: {words}" for words in between))
