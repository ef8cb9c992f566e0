"""``Grammar``: its forward algorithm, its parser and its entropy, held to the list of all its sentences."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

import pyro_vae as pv

# "a b" can be written from both first states, and "a" is followed by two states.
RULES = {
    "s": [(0.5, "a", "t"), (0.3, "a", "u"), (0.2, "b", None)],
    "t": [(1.0, "b", None)],
    "u": [(0.4, "b", None), (0.6, "c", "t")],
    "r": [(1.0, "a", "t")],
}


def grammar() -> pv.vae.Grammar:
    return pv.vae.Grammar(RULES, {"s": 0.75, "r": 0.25})


def test_the_list_of_sentences_is_the_one_made_by_hand() -> None:
    by_hand = {"a b": 0.75 * (0.5 + 0.3 * 0.4) + 0.25, "b": 0.75 * 0.2, "a c b": 0.75 * 0.3 * 0.6}
    listed = grammar().sentences()
    assert listed.keys() == by_hand.keys()
    assert all(listed[text] == pytest.approx(p) for text, p in by_hand.items())
    assert grammar().entropy == pytest.approx(-sum(p * math.log(p) for p in by_hand.values()))


def test_the_forward_algorithm_gives_the_probabilities_of_the_list_and_zero_elsewhere() -> None:
    listed = grammar().sentences()
    np.testing.assert_allclose(np.exp(grammar().log_prob(listed)), list(listed.values()), rtol=1e-12)
    assert np.all(np.isneginf(grammar().log_prob(["a", "b b", "c", "", "a b b", "zebra"])))
    assert [grammar().accepts(text) for text in ("a c b", "a c", "")] == [True, False, False]
    # Under one first state alone, and the mixture of both is the whole.
    parts = [np.exp(grammar().log_prob(listed, start)) * p for start, p in grammar().start.items()]
    np.testing.assert_allclose(sum(parts), list(listed.values()), rtol=1e-12)


def test_draws_have_the_frequencies_of_the_list() -> None:
    """Three counts of 20 000 within 4.5 standard deviations: a false alarm in 2e-5 of seeds."""
    n, listed = 20_000, grammar().sentences()
    found = Counter(grammar().sample(n, seed=3))
    assert found.keys() == listed.keys()
    for text, p in listed.items():
        assert abs(found[text] - n * p) < 4.5 * math.sqrt(n * p * (1 - p)), text
    assert grammar().sample(5, seed=3) == [text for text, _ in grammar().sample_with_start(5, seed=3)]


def test_what_is_no_grammar_is_named() -> None:
    with pytest.raises(pv.OptionError, match=r"state 't': expected probabilities that add up to 1, got \[0.5\]"):
        pv.vae.Grammar({**RULES, "t": [(0.5, "b", None)]}, {"s": 1.0})
    with pytest.raises(pv.OptionError, match="state 't': expected next states with rules, got 'v'"):
        pv.vae.Grammar({**RULES, "t": [(1.0, "b", "v")]}, {"s": 1.0})
    with pytest.raises(pv.OptionError, match="start: expected next states with rules, got 'x'"):
        pv.vae.Grammar(RULES, {"x": 1.0})


def test_a_grammar_that_never_ends_says_so() -> None:
    endless = pv.vae.Grammar({"s": [(0.5, "a", "s"), (0.5, "b", None)]}, {"s": 1.0})
    assert endless.log_prob(["a a b"])[0] == pytest.approx(3 * math.log(0.5))
    with pytest.raises(pv.OptionError, match="comes back to a state"):
        endless.sentences()
