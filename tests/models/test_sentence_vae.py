"""``sentence_vae``: the grammar's entropy bounds every bound, the KL collapses, and two remedies hold it open."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import kl_divergence
from torch.utils.data import DataLoader

import pyro_vae as pv
from tests.models.modules import module
from tests.models.test_vaes import known

program = module("sentence_vae")


def test_the_listed_entropy_is_the_one_of_the_chain_rule() -> None:
    grammar = program.grammar()
    assert -grammar.entropy == pytest.approx(known("sentence_vae")["log_likelihood"]["value"], abs=1e-9)
    assert sum(grammar.sentences().values()) == pytest.approx(1, abs=1e-12)
    assert len(grammar.sentences()) == 3 * 4 * 4 * 4 * (1 + 3 + 4)


def test_its_text_parses_and_has_the_entropy_of_the_grammar() -> None:
    """The mean of 2000 log-probabilities within 4.5 standard errors: a false alarm in 7e-6 of seeds."""
    x = program.load()["x"]
    sentences = program.vocabulary().decode(x)
    assert all(map(program.grammar().accepts, sentences))
    log_p = program.grammar().log_prob(sentences)
    assert abs(log_p.mean() + program.grammar().entropy) < 4.5 * log_p.std() / np.sqrt(len(x))


def test_the_parser_refuses_a_change_of_subject_and_a_missing_word() -> None:
    accepts = program.grammar().accepts
    assert accepts("the old whale sees the sailor")
    assert not accepts("the old whale sees the cow")
    assert not accepts("the whale the sailor")
    assert not accepts("whale sees")


REMEDIES = {"none": ({}, {}), "free bits": ({}, {"free_bits": 4.0}), "word dropout": ({"word_dropout": 0.75}, {})}


@pytest.mark.slow
@pytest.mark.parametrize("remedy", REMEDIES)
def test_the_kl_collapses_unless_it_is_held_and_no_bound_beats_the_entropy(remedy: str) -> None:
    """On 1000 fresh sentences, beside the forward algorithm's log p of the same: a false alarm in 1e-3 of seeds."""
    sizes, weights = REMEDIES[remedy]
    x, fresh = program.load()["x"], program.text(1000, seed=1)
    vae = program.build(size=len(x), **sizes)
    options = {"estimator": pv.AnalyticKL(), "num_particles": 1, "learning_rate": 3e-3, "seed": 0}
    pv.fit(vae.model, vae.guide, DataLoader(x, batch_size=128, shuffle=True), epochs=40, **options, **weights)

    found = vae.log_evidence(fresh, K=64)
    assert found.value < -program.grammar().entropy + 3 * found.population_error
    short = found.rows.numpy() - program.grammar().log_prob(program.vocabulary().decode(fresh))
    assert short.mean() < 3 * short.std() / np.sqrt(len(fresh))
    assert short.mean() > -0.6  # and the model has learned the language: an untrained one is 17 nats short

    vae.eval()
    with torch.no_grad():
        kl = kl_divergence(vae.encode(fresh), vae.prior().expand((len(fresh),))).mean().item()
    if remedy == "none":
        assert kl < 0.1
        return
    assert kl > 1.0
    between = vae.interpolate(fresh[:50], fresh[50:100], steps=8)
    sentences = program.vocabulary().decode(between)
    assert np.mean([program.grammar().accepts(sentence) for sentence in sentences]) > 0.9
    assert len(set(sentences)) > 20  # not the one likeliest sentence, which parses too
