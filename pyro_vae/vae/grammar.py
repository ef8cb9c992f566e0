"""``Grammar``: text from a small probabilistic grammar, whose log-likelihood and entropy are known exactly."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pyro_vae.errors import OptionError

Rule = tuple[float, str, str | None]
MOST_SENTENCES = 1_000_000


class Grammar:
    r"""A regular grammar: in a state, a rule is drawn, which writes a word and names the next state, or ends.

    It is a hidden Markov model of words, so what a bound can be at best is known: the probability of a sentence is
    :math:`\alpha_t(s') = \sum_s \alpha_{t-1}(s)\, p(w_t, s' \mid s)` run to its end (the forward algorithm), and no
    model of such text has a mean log-likelihood above minus :attr:`entropy`.

    Args:
        rules: of each state, ``(probability, word, next state)``; the next state is None where the sentence ends.
        start: the probability of each first state; several are a mixture.

    Raises:
        OptionError: probabilities that do not add up to 1, or a next state that has no rules; names the state.

    Source: Rabiner, "A tutorial on hidden Markov models", Proceedings of the IEEE 77, 1989, section III.A.

    >>> grammar = Grammar(
    ...     {
    ...         "who": [(0.5, "cats", "does"), (0.5, "dogs", "does")],
    ...         "does": [(0.5, "sleep", None), (0.5, "and", "who")],
    ...     },
    ...     {"who": 1.0},
    ... )
    >>> grammar.sample(2, seed=1)
    ['cats and cats sleep', 'dogs sleep']
    >>> np.exp(grammar.log_prob(["dogs sleep", "cats and cats sleep", "dogs and"])).tolist()
    [0.25, 0.0625, 0.0]
    >>> grammar.accepts("dogs and cats sleep"), grammar.accepts("cats dogs sleep")
    (True, False)
    """

    def __init__(self, rules: Mapping[str, Sequence[Rule]], start: Mapping[str, float]):
        self.rules = {state: tuple(choices) for state, choices in rules.items()}
        self.start = dict(start)
        _check_sum("start", self.start.values())
        for state, choices in self.rules.items():
            _check_sum(f"state '{state}'", (probability for probability, _, _ in choices))
        for state, where in [(state, "start") for state in start] + [
            (after, f"state '{state}'") for state, choices in self.rules.items() for _, _, after in choices if after
        ]:
            if state not in self.rules:
                raise OptionError(f"{where}: expected next states with rules, got '{state}', which has none.")

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in alphabetical order."""
        return tuple(sorted({word for choices in self.rules.values() for _, word, _ in choices}))

    def sample(self, n: int, seed: int) -> list[str]:
        """``n`` independent sentences."""
        return [sentence for sentence, _ in self.sample_with_start(n, seed)]

    def sample_with_start(self, n: int, seed: int) -> list[tuple[str, str]]:
        """``n`` independent sentences, each with the state that it began in."""
        rng = np.random.default_rng(seed)
        states, weights = list(self.start), list(self.start.values())
        drawn = []
        for first in rng.choice(len(states), size=n, p=weights):
            state, words = states[first], []
            while state is not None:
                choices = self.rules[state]
                _, word, state = choices[rng.choice(len(choices), p=[rule[0] for rule in choices])]
                words.append(word)
            drawn.append((" ".join(words), states[first]))
        return drawn

    def log_prob(self, sentences: Iterable[str], start: str | None = None) -> np.ndarray:
        """log p of each sentence, ``[N]`` in nats; -inf for what the grammar cannot write.

        ``start`` gives it under that first state alone.
        """
        first = self.start if start is None else {start: 1.0}
        with np.errstate(divide="ignore"):
            return np.log([self._forward(sentence.split(), first) for sentence in sentences])

    def accepts(self, sentence: str) -> bool:
        """Whether the grammar can write the sentence: whether it parses."""
        return self._forward(sentence.split(), self.start) > 0

    def _forward(self, words: Sequence[str], start: Mapping[str, float]) -> float:
        alpha: dict[str | None, float] = {**start}
        for word in words:
            after: dict[str | None, float] = defaultdict(float)
            for state, weight in alpha.items():
                for probability, written, to in self.rules[state] if state is not None else ():
                    if written == word:
                        after[to] += weight * probability
            alpha = after
        return alpha.get(None, 0.0)

    def sentences(self) -> dict[str, float]:
        """Every sentence with its probability.

        Raises :class:`~pyro_vae.errors.OptionError` for a grammar with endless or more than a million ways to write.
        """
        found: dict[str, float] = defaultdict(float)
        paths = [(weight, "", state) for state, weight in self.start.items()]
        for _ in range(len(self.rules) + 1):
            longer = []
            for weight, text, state in paths:
                for probability, word, to in self.rules[state]:
                    whole = f"{text} {word}".strip()
                    if to is None:
                        found[whole] += weight * probability
                    else:
                        longer.append((weight * probability, whole, to))
            paths = longer
            if not paths:
                return dict(found)
            if len(paths) > MOST_SENTENCES:
                break
        raise OptionError("This grammar comes back to a state, or has too many sentences: they cannot all be listed.")

    @property
    def entropy(self) -> float:
        """H = -E log p of one sentence, in nats, by listing all sentences; raises as :meth:`sentences` does."""
        return -sum(p * math.log(p) for p in self.sentences().values() if p > 0)


def _check_sum(what: str, probabilities: Iterable[float]) -> None:
    values = list(probabilities)
    if min(values, default=-1.0) < 0 or abs(sum(values) - 1) > 1e-9:
        raise OptionError(f"{what}: expected probabilities that add up to 1, got {values}.")
