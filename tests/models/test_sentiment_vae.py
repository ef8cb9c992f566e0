"""``sentiment_vae``: what can be known of a label, the bound by hand, and what unlabelled sentences are worth."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import kl_divergence

import pyro_vae as pv
from tests.models.modules import module
from tests.models.test_vaes import known

program = module("sentiment_vae")


def test_one_sentence_in_twenty_has_its_label_and_it_is_the_right_one() -> None:
    data, (x, y) = program.load(), program.labelled_text(600, seed=0)
    given = data["y"] >= 0
    assert torch.equal(data["x"], x)
    assert given.sum() == 30
    assert torch.equal(data["y"][given], y[given])
    assert (data["y"][~given] == -1).all()


def test_the_best_labels_are_right_as_often_as_counting_strays_says() -> None:
    """2000 sentences, 4.5 standard deviations: a false alarm in 7e-6 of seeds."""
    x, y = program.labelled_text(2000, seed=1)
    best, p = program.best_labels(program.vocabulary().decode(x)), known("sentiment_vae")["best_accuracy"]["value"]
    assert abs((torch.from_numpy(best) == y).double().mean().item() - p) < 4.5 * math.sqrt(p * (1 - p) / 2000)


def test_the_grammars_mean_log_likelihood_is_minus_the_entropy() -> None:
    """400 sentences, 4.5 standard errors: a false alarm in 7e-6 of seeds."""
    log_p = program.grammar().log_prob(program.grammar().sample(400, seed=2))
    assert abs(log_p.mean() - known("sentiment_vae")["log_likelihood"]["value"]) < 4.5 * log_p.std() / 20


def test_the_bound_is_the_sum_over_labels_where_they_are_unknown_and_stands_on_those_that_are_known() -> None:
    """KLs in closed form, words by 500 draws on each side: within 6 standard errors of both, all but never wrong."""
    torch.manual_seed(0)
    vae = program.build()
    x, y = program.labelled_text(4, seed=3)
    y = torch.where(torch.arange(4) < 2, y, -1)
    with torch.no_grad():
        found = pv.TraceELBO(pv.AnalyticKL(), num_particles=500).estimate(vae.model, vae.guide, x, y).bound.item()
        q = vae.predict(x)
        expected, variance = 0.0, 0.0
        for label in range(2):
            one = torch.eye(2)[label].expand(4, 2)
            code = vae._code(x, one)
            z = code.sample((500,))
            log_x = vae.decode(torch.cat([one.expand(500, 4, 2), z], -1)).log_prob(x)
            weight = torch.where(y >= 0, (y == label).float(), q[:, label])
            kl = kl_divergence(code, vae.latent.prior().expand((4,)))
            entropy = torch.where(y >= 0, 0.0, -q[:, label].log())
            expected += (weight * (log_x.mean(0) - kl + entropy - math.log(2))).sum().item()
            expected += vae.alpha * ((y == label) * q[:, label].log()).sum().item()
            variance += (weight**2 * log_x.var(0) / 250).sum().item()
    assert abs(found - expected) < 6 * math.sqrt(variance)


def test_predict_gives_probabilities_of_both_labels() -> None:
    vae, x = program.build(), program.load()["x"][:7]
    assert vae.predict(x).shape == (7, 2)
    torch.testing.assert_close(vae.predict(x).sum(-1), torch.ones(7))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_unlabelled_sentences_are_worth_ten_points_of_accuracy(seed: int) -> None:
    """On 2000 fresh sentences, against the same classifier trained on the 30 labelled ones alone, and the best."""
    found = program.accuracies(seed)
    assert found["semi-supervised"] > found["supervised"] + 0.1
    assert found["semi-supervised"] < found["best"] + 0.01
