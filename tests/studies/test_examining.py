"""``examine``: every number against an exact one, collapse said in words, and a VAE that is left as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.utils.data import DataLoader

import pyro_vae as pv
from pyro_vae.datasets import Rows
from pyro_vae.errors import DataError, OptionError
from pyro_vae.vae.positive import unpositive
from tests.models.modules import module
from tests.vae.parts import LATENTS, LIKELIHOODS, SENTENCES, UNIT, small_vae

QUICK = {"gap_rows": 0, "nuts_rows": 0, "num_particles": 8, "seed": 0}


def at_the_maximum(latents: int) -> tuple[pv.VAE, Tensor, Tensor]:
    """``linear_vae`` at its maximum likelihood in the PCA orientation, its rows, and ln(l_i / s^2) / 2."""
    program = pv.load_program("linear_vae", latents=latents)
    vae, x = program.vae, program.data["x"]
    values, vectors = torch.linalg.eigh(torch.cov(x.double().T, correction=0))
    values, vectors = values.flip(0), vectors.flip(1)
    noise, large, mean = values[latents:].mean(), values[:latents], x.double().mean(0)
    W = vectors[:, :latents] * (large - noise).sqrt()
    V = W.T / large[:, None]
    sds = [unpositive(math.sqrt(float(noise / each))) for each in large]
    with torch.no_grad():
        decoder, encoder = vae.decoder.get_submodule("layers.0"), vae.encoder.get_submodule("layers.0")
        decoder.weight.copy_(W)
        decoder.bias.copy_(mean)
        encoder.weight.copy_(torch.cat([V, torch.zeros_like(V)]))
        encoder.bias.copy_(torch.cat([-V @ mean, torch.tensor(sds, dtype=V.dtype)]))
        vae.likelihood.raw_scale.fill_(unpositive(math.sqrt(float(noise))))
    return vae, x, 0.5 * (large / noise).log()


def exact_log_p(vae: pv.VAE, x: Tensor) -> Tensor:
    """Of the linear VAE, row by row, in closed form."""
    layer = vae.decoder.get_submodule("layers.0")
    W, noise = layer.weight.detach().double(), vae.likelihood.scale.detach().double() ** 2
    covariance = W @ W.T + noise * torch.eye(len(W), dtype=W.dtype)
    return MultivariateNormal(layer.bias.detach().double(), covariance).log_prob(x.double())


@pytest.mark.parametrize("latents", [2, 10])
def test_the_numbers_of_a_linear_vae_are_those_of_probabilistic_pca(latents: int) -> None:
    vae, x, exact = at_the_maximum(latents)
    found = pv.examine(vae, x, rows=len(x), **QUICK)
    table = found.summary()
    np.testing.assert_allclose(table["kl"], exact, rtol=2e-4)
    assert found.content.units.count == latents
    assert table["active"].all()
    assert found.collapse.level == "none"
    log_p = exact_log_p(vae, x).mean().item()
    # At the posterior every weight is the same: the bound has no error, and the ELBO only that of its reconstruction.
    assert found.evidence.iwae == pytest.approx(log_p, abs=1e-3)
    assert found.evidence.elbo == pytest.approx(log_p, abs=0.05)
    # The codes have covariance 1 in all; what they say of a row, against that of one normal, is the KL and less.
    assert found.content.surgery.information < exact.sum()
    assert found.content.surgery.information < np.log(len(x))


@pytest.mark.slow
def test_nuts_on_single_rows_agrees_with_the_encoder_the_bound_and_the_exact_evidence() -> None:
    vae, x, _ = at_the_maximum(2)
    found = pv.examine(vae, x, rows=20, gap_rows=8, nuts_rows=2, num_particles=16, draws=400, warmup=200, seed=0)
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:20].sort().values]
    assert [check.row for check in found.checks] == [0, 1]
    for check, exact in zip(found.checks, exact_log_p(vae, x).tolist(), strict=False):
        assert check.level == "trusted"
        assert check.agrees
        assert abs(check.evidence - exact) < 4 * check.evidence_error + 0.005  # a false alarm in 6e-5 of seeds
        assert check.iwae == pytest.approx(exact, abs=2e-3)
    assert [finding.level for finding in found.findings if finding.about in ("the encoder", "the evidence")] == [
        "trusted",
        "trusted",
    ]
    assert abs(found.evidence.gap) < 0.02  # the encoder is the posterior
    assert found.rows()["agrees"].all()


@pytest.mark.slow
def test_a_wrong_encoder_is_found_by_nuts_and_by_the_gap() -> None:
    vae, x, _ = at_the_maximum(2)
    with torch.no_grad():
        vae.encoder.get_submodule("layers.0").bias[0] += 0.6  # far beyond the posterior's sd
    found = pv.examine(vae, x, rows=20, gap_rows=8, nuts_rows=1, num_particles=16, draws=400, warmup=200, seed=0)
    encoder = next(finding for finding in found.findings if finding.about == "the encoder")
    assert found.checks[0].level in ("untrusted", "reweight")
    assert encoder.level == found.checks[0].level
    # KL to the posterior of a shift by .6: .36 / (2 sd^2), all of it the net's
    sd = found.checks[0].baseline["posterior"]["z"].std(("chain", "draw")).to_numpy()[0]
    assert found.evidence.gap == pytest.approx(0.18 / sd**2, rel=0.1)
    assert "A larger encoder" in encoder.advice


@pytest.mark.slow
def test_the_amortisation_gap_is_positive_and_shrinks_as_the_encoder_grows() -> None:
    program = module("per_datapoint")
    x = program.load()["x"][:100]
    exact = program.log_likelihood(x).mean().item()
    gaps = []
    for hidden in ((), (8,), (64,)):
        vae = program.fitted(x, "mlp", hidden, steps=400)
        found = pv.examine(vae, x, **{**QUICK, "gap_rows": 100, "num_particles": 2000}).evidence
        assert found.gap > 4 * found.gap_error > 0
        assert found.elbo + found.gap < exact + 0.02  # both are means over the same rows; the ELBO's draws add .01
        gaps.append(found.gap)
    assert gaps[0] > 1.5 * gaps[1] > 1.5**2 * gaps[2]


def test_a_bound_of_too_few_draws_is_found_out_by_the_optimised_elbo() -> None:
    """An encoder that was never trained, of a decoder that is right: with eight draws its weights say little."""
    program = module("per_datapoint")
    torch.manual_seed(0)
    found = pv.examine(program.build("mlp"), program.load()["x"], rows=20, **{**QUICK, "gap_rows": 20})
    evidence = next(finding for finding in found.findings if finding.about == "the evidence")
    assert found.evidence.short > 1
    assert evidence.level == "reweight"
    assert "is a bound too, is higher by" in evidence.reason


REMEDIES = {
    "none": ({}, {}, 15),
    "free bits": ({}, {"free_bits": 3.0}, 15),
    "word dropout": ({"word_dropout": 0.75}, {}, 40),
}


@pytest.mark.slow
@pytest.mark.parametrize("remedy", REMEDIES)
def test_collapse_of_a_sentence_vae_is_said_in_words_and_not_where_it_was_held_open(remedy: str) -> None:
    program, (sizes, weights, epochs) = module("sentence_vae"), REMEDIES[remedy]
    x, fresh = program.load()["x"], program.text(300, seed=1)
    torch.manual_seed(0)
    vae = program.build(size=len(x), **sizes)
    options = {"estimator": pv.AnalyticKL(), "num_particles": 1, "learning_rate": 3e-3, "seed": 0, "progress": False}
    watched = pv.Validation(fresh, patience=None, terms=True)
    batches = DataLoader(x, batch_size=128, shuffle=True)
    fit = pv.fit(vae.model, vae.guide, batches, epochs=epochs, validation=watched, **options, **weights)
    found = pv.examine(vae, program.text(300, seed=2), fit=fit, vocabulary=program.vocabulary(), **QUICK)
    if remedy == "none":
        assert found.collapse.level == "whole"
        assert found.verdict.startswith("the code: untrusted. Posterior collapse: the latents carry 0.0")
        assert "free bits" in found.verdict
        assert found.content.terms.kl[-1].sum() < 0.05 < found.content.terms.kl[0].sum()
    else:
        assert not found.collapse.collapsed
        assert "Posterior collapse" not in found.verdict
        assert found.content.terms.kl[-1].sum() > 0.5
    assert len(found.content.pictures.interpolations[0]) == 8


@pytest.mark.parametrize("name", LATENTS)
def test_every_family_can_be_examined(name: str) -> None:
    found = pv.examine(small_vae(LATENTS[name].make()), UNIT, **QUICK)
    assert len(found.findings) == 4
    assert np.isfinite(found.summary()["kl"]).all()
    assert ("traversals" in found.content.pictures.missing) == (found.content.pictures.traversals is None)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_rows_of_every_kind_are_shown(name: str) -> None:
    case = LIKELIHOODS[name]
    shown = pv.examine(small_vae(likelihood=case.make()), case.x, **QUICK).content.pictures
    kind = "sentences" if name == "words" else "images" if case.x.dim() == 4 else "arrays"
    assert shown.kind == kind
    assert len(shown.originals) == len(shown.reconstructions) == len(case.x)
    if kind == "images":
        assert shown.traversals.shape == (3, 9, 2, 3, 1)
    if kind == "sentences":
        assert shown.originals == ["5 3", "2 2 4 2", "", "2 3 4 5 2 3"]


def test_rows_know_their_labels_and_words() -> None:
    words = pv.vae.Vocabulary(["a", "b", "c", "d"])
    rows = Rows(SENTENCES, "sentences", vocabulary=words, labels=torch.tensor([0, 1, 1, -1]), label_names=("x", "y"))
    content = pv.examine(small_vae(likelihood=LIKELIHOODS["words"].make()), rows, **QUICK).content
    assert content.pictures.originals == words.decode(SENTENCES)
    assert content.labels.tolist() == ["x", "y", "y", "unknown"]


def test_the_same_seed_gives_the_same_and_nothing_is_left_changed() -> None:
    vae = small_vae()
    vae.encoder.eval()
    next(vae.decoder.parameters()).requires_grad_(False)
    modes = [part.training for part in vae.modules()]
    learning = [leaf.requires_grad for leaf in vae.parameters()]
    values = [leaf.clone() for leaf in vae.parameters()]
    state = torch.get_rng_state()
    options = {**QUICK, "gap_rows": 2}
    one, two = (pv.examine(vae, UNIT.repeat(5, 1), rows=10, **options) for _ in range(2))
    assert one.verdict == two.verdict
    assert one.summary().equals(two.summary())
    assert [part.training for part in vae.modules()] == modes
    assert [leaf.requires_grad for leaf in vae.parameters()] == learning
    assert all(map(torch.equal, vae.parameters(), values))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_be_measured_is_said() -> None:
    found = pv.examine(small_vae(LATENTS["bernoulli"].make()), UNIT, **{**QUICK, "nuts_rows": 1})
    assert "its latents are discrete, and NUTS needs a gradient" in found.verdict
    network = pv.load_program("sigmoid_belief_network")
    found = pv.examine(network.vae, network.data["x"], rows=20, **{**QUICK, "gap_rows": 2, "nuts_rows": 1})
    assert "The amortisation gap was not measured: its encoder has a form of its own" in found.verdict


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"rows": 1}, OptionError, "rows: expected a whole number from 2, got 1"),
        ({"nuts_rows": -1}, OptionError, "nuts_rows: expected a whole number from 0, got -1"),
        ({"num_particles": 2.5}, OptionError, "num_particles: expected a whole number from 1, got 2.5"),
        ({"labels": [1, 2]}, DataError, r"labels: expected one for each of the 4 rows, got an array of \(2,\)"),
        ({"image": (2, 2)}, OptionError, r"image: expected \(height, width\) of 6 pixels in all, got \(2, 2\)"),
    ],
)
def test_options_that_cannot_be_are_refused(options, error, said: str) -> None:
    with pytest.raises(error, match=said):
        pv.examine(small_vae(), UNIT, **options)


def test_what_is_no_vae_and_what_are_no_rows_is_refused() -> None:
    with pytest.raises(OptionError, match=r"vae: expected a pv.VAE, got Linear"):
        pv.examine(torch.nn.Linear(2, 2), UNIT)
    with pytest.raises(DataError, match=r"data: expected a tensor of rows, .* got str"):
        pv.examine(small_vae(), ("abc",))
    with pytest.raises(DataError, match="at least two rows, got 1"):
        pv.examine(small_vae(), UNIT[:1])
    with pytest.raises(DataError, match=r"x: row 0.*numbers from 0 to 1"):
        pv.examine(small_vae(), UNIT + 5)
