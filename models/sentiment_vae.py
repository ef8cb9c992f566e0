"""Few labels and many sentences: a semi-supervised autoencoder of praise and blame.

*the cook was A , B and C*: in praise the three adjectives come from one list of a hundred words, in blame from another;
one in ten strays into the wrong list. The subject is of one of three kinds, whatever the label. One sentence in twenty
has its label y; the others have y = -1, unknown. Beside the label each sentence has a continuous code:

.. math:: y \\sim \\text{Categorical}(\\tfrac12, \\tfrac12), \\qquad z \\sim N(0, I), \\qquad
          w_t \\sim \\text{Categorical}(\\operatorname{softmax} f_\\theta(y, z)_t), \\qquad
          q(y, z \\mid w) = q_\\phi(y \\mid w)\\, q_\\phi(z \\mid w, y)

Where y is known, q(y | w) stands on it; where it is not, the two labels are summed over. The label's net would then
learn from unlabelled sentences alone, so the model scores it on the known labels too, :math:`\\alpha \\log q_\\phi(y
\\mid w)`, at a site that is called ``label``. The words are drawn independently given y and z: a decoder that reads its
own words would know the label from the first adjective, and leave y alone.

Thirty labelled sentences show a quarter of the adjectives. The others get their label from the company they keep, which
a classifier that sees the labelled sentences alone cannot know. What could be known at best is
:func:`grammar`'s posterior (:func:`best_labels`).

Source: D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, "Semi-supervised learning with deep generative models",
NeurIPS 2014 (model M2, and its equation 9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.poutine import mask, scale
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import one_hot

import pyro_vae as pv

if TYPE_CHECKING:
    from pyro_vae.vae import Grammar, Vocabulary

LABELS = ("blame", "praise")
SUBJECTS = {
    "people": ("cook", "waiter", "host"),
    "food": ("soup", "bread", "cake"),
    "place": ("hall", "garden", "door"),
}
ADJECTIVES, STRAY, LENGTH, LABELLED = 100, 0.1, 9, 0.05
CERTAIN = 30.0
training = {"epochs": 60, "learning_rate": 0.02, "estimator": "analytic-kl"}


def grammar() -> Grammar:
    """Six first states, ``"blame food"`` and so on, alike in probability."""
    rules: dict[str, list[tuple[float, str, str | None]]] = {}
    lists = {label: [f"{label}{number}" for number in range(ADJECTIVES)] for label in LABELS}
    for label, other in (LABELS, LABELS[::-1]):
        words = [((1 - STRAY) / ADJECTIVES, word) for word in lists[label]]
        words += [(STRAY / ADJECTIVES, word) for word in lists[other]]
        rules[f"{label} 1"] = [(p, word, f"{label} ,") for p, word in words]
        rules[f"{label} ,"] = [(1.0, ",", f"{label} 2")]
        rules[f"{label} 2"] = [(p, word, f"{label} and") for p, word in words]
        rules[f"{label} and"] = [(1.0, "and", f"{label} 3")]
        rules[f"{label} 3"] = [(p, word, None) for p, word in words]
        rules[f"{label} was"] = [(1.0, "was", f"{label} 1")]
        for subject, nouns in SUBJECTS.items():
            rules[f"{label} {subject}"] = [(1.0, "the", f"{label} {subject} noun")]
            rules[f"{label} {subject} noun"] = [(1 / len(nouns), noun, f"{label} was") for noun in nouns]
    first = [f"{label} {subject}" for label in LABELS for subject in SUBJECTS]
    return pv.vae.Grammar(rules, {state: 1 / len(first) for state in first})


def vocabulary() -> Vocabulary:
    """Numbers for the grammar's words."""
    return pv.vae.Vocabulary(grammar().words)


def labelled_text(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """``n`` sentences as numbers ``[n, 9]``, and the label of each ``[n]``: 0 for blame, 1 for praise."""
    drawn = grammar().sample_with_start(n, seed)
    words = vocabulary().encode([sentence for sentence, _ in drawn], LENGTH)
    return words, torch.tensor([LABELS.index(start.split()[0]) for _, start in drawn])


def load(n: int = 600, seed: int = 0) -> dict[str, Tensor]:
    """600 sentences ``x`` ``[600, 9]`` and their labels ``y`` ``[600]``; beyond the first 5 % they are -1, unknown."""
    x, y = labelled_text(n, seed)
    return {"x": x, "y": torch.where(torch.arange(n) < LABELLED * n, y, -1)}


def best_labels(sentences: list[str]) -> np.ndarray:
    """The likeliest label of each sentence under the grammar, ``[N]``: no classifier is right more often."""
    text = grammar()
    scores = [
        np.logaddexp.reduce([text.log_prob(sentences, f"{label} {subject}") for subject in SUBJECTS])
        for label in LABELS
    ]
    return np.argmax(scores, 0)


class LabelAndCode(TorchDistribution):
    """A one-hot label with a normal code that may depend on it, side by side ``[2 + D]``."""

    arg_constraints: Any = {}  # type: ignore[assignment]
    support: Any = constraints.real_vector  # type: ignore[assignment]

    def __init__(self, label: Any, code: Any, size: int):
        self.label, self.code = label, code
        super().__init__(label.batch_shape, torch.Size((label.event_shape[0] + size,)), validate_args=False)

    def sample(self, sample_shape=()) -> Tensor:
        """``[*sample_shape, *batch, 2 + D]``."""
        y = self.label.sample(sample_shape)
        return torch.cat([y, self.code(y).sample()], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of label and code."""
        classes = self.label.event_shape[0]
        y, z = value[..., :classes], value[..., classes:]
        return self.label.log_prob(y) + self.code(y).log_prob(z)

    @property
    def mean(self) -> Tensor:
        """For a picture: the likelier label, and the code's mean given it."""
        y = one_hot(self.label.logits.argmax(-1), self.label.event_shape[0]).to(self.label.logits)
        return torch.cat([y, self.code(y).mean], -1)


class SentimentVAE(pv.VAE):
    """A VAE with a label: ``model`` and ``guide`` take ``y`` too, ``predict`` gives q(y | w).

    ``alpha`` is the weight of the label's net on the known labels.
    """

    def __init__(self, latents: int, hidden: int, alpha: float, size: int | None):
        words = len(vocabulary())
        latent = pv.vae.latents.Gaussian(latents)
        likelihood = pv.vae.likelihoods.Categorical(LENGTH, words)
        encoder = pv.nets.MLP(words + len(LABELS), latent.num_parameters, (hidden,))
        decoder = pv.nets.MLP(len(LABELS) + latents, likelihood.raw_shape, hidden=())
        super().__init__(encoder, decoder, latent, likelihood, size=size, name="sentiment")
        self.classifier = pv.nets.MLP(words, len(LABELS), hidden=())
        self.words, self.alpha = words, alpha

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """p(y) p(z) p(w | y, z), and the known labels' score."""
        with self._rows(x):
            label = pyro.sample("y", self._label())
            z = pyro.sample("z", self.latent.prior())
            pyro.sample("x", self.decode(_beside(label, z)), obs=x)
            if y is not None:
                given = one_hot(y.clamp(min=0), len(LABELS)).to(z.dtype)
                with mask(mask=cast(torch.BoolTensor, y >= 0)), scale(scale=self.alpha):
                    pyro.sample("label", dist.OneHotCategorical(logits=self.classifier(self._bag(x))), obs=given)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """q(y | w) q(z | w, y): the known labels stand, the others are summed over."""
        with self._rows(x):
            logits = self.classifier(self._bag(x))
            if y is not None:
                known = CERTAIN * (2.0 * one_hot(y.clamp(min=0), len(LABELS)) - 1)
                logits = torch.where((y >= 0).unsqueeze(-1), known.to(logits.dtype), logits)
            enumerate: Any = {"enumerate": "parallel"}
            label = pyro.sample("y", dist.OneHotCategorical(logits=logits), infer=enumerate)
            pyro.sample("z", self._code(x, label))

    def predict(self, x: Tensor) -> Tensor:
        """q(y | w), ``[N, 2]``: the probabilities of blame and of praise."""
        self.look_at(x)
        with self._evaluating():
            return self.classifier(self._bag(x)).softmax(-1)

    def prior(self) -> LabelAndCode:
        """p(y) p(z) side by side."""
        return LabelAndCode(self._label(), lambda y: self.latent.prior().expand(y.shape[:-1]), self.latent.code_size)

    def encode(self, x: Tensor) -> LabelAndCode:
        """q(y | w) q(z | w, y) side by side."""
        label = dist.OneHotCategorical(logits=self.classifier(self._bag(x)))
        return LabelAndCode(label, lambda y: self._code(x, y), self.latent.code_size)

    def decode(self, z: Tensor) -> Any:
        """p(w | y, z) of labels and codes side by side."""
        return self.likelihood.given(self.decoder, z)

    def _label(self) -> Any:
        return dist.OneHotCategorical(logits=self.latent.zero.expand(len(LABELS)))

    def _code(self, x: Tensor, label: Tensor) -> Any:
        return self.latent.posterior(self.encoder(_beside(self._bag(x), label)))

    def _bag(self, x: Tensor) -> Tensor:
        """Which words a sentence has, ``[N, V]``."""
        return one_hot(x, self.words).sum(-2).clamp(max=1).to(self.latent.zero.dtype)


def _beside(left: Tensor, right: Tensor) -> Tensor:
    lead = torch.broadcast_shapes(left.shape[:-1], right.shape[:-1])
    return torch.cat([left.expand(*lead, -1), right.expand(*lead, -1)], -1)


def build(latents: int = 2, hidden: int = 32, alpha: float = 5.0, size: int | None = None) -> SentimentVAE:
    """The pair; ``size`` sentences in all, where it is trained on batches."""
    return SentimentVAE(latents, hidden, alpha, size)


def accuracies(seed: int, steps: int = 300) -> dict[str, float]:
    """On 2000 fresh sentences: of the VAE, of its classifier trained on the 5 % alone, and the best there is."""
    data, (x, y) = load(seed=seed), labelled_text(2000, seed + 1000)
    torch.manual_seed(seed)
    vae, alone = build(), build()
    options = {"num_particles": 1, "steps": steps, "stop": None, "learning_rate": 0.02, "seed": seed}
    pv.fit(vae.model, vae.guide, data, estimator=pv.AnalyticKL(), progress=False, **options)
    known = data["y"] >= 0
    bag, labels = alone._bag(data["x"][known]), data["y"][known]
    optimiser = torch.optim.Adam(alone.classifier.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(alone.classifier(bag), labels).backward()
        optimiser.step()
    best = torch.from_numpy(best_labels(vocabulary().decode(x)))
    guesses = {"semi-supervised": vae.predict(x).argmax(-1), "supervised": alone.predict(x).argmax(-1), "best": best}
    return {name: (guess == y).double().mean().item() for name, guess in guesses.items()}


if __name__ == "__main__":
    for seed in range(5):
        found = accuracies(seed)
        print(f"seed {seed}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in found.items()))
