"""``categorical_vae``, ``gaussian_mixture_vae``, ``topic_model``, ``stick_breaking_vae``: the truth is found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import linear_sum_assignment
from torch.utils.data import DataLoader

import pyro_vae as pv
from tests.models.modules import module
from tests.models.test_vaes import known


def trained(program: Any, vae: pv.VAE, learning_rate: float, steps: int, **options: Any) -> tuple[torch.Tensor, pv.Fit]:
    """Fit on the program's rows, in batches of 250; gives the rows and the fit."""
    x = program.load()["x"]
    vae.size = len(x)
    batches = DataLoader(x, batch_size=250, shuffle=True)
    options = {"num_particles": 1, "epochs": steps // 4, "learning_rate": learning_rate, "seed": 0, **options}
    return x, pv.fit(vae.model, vae.guide, batches, **options)


def in_order(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The rows of ``found`` in the order of those of ``truth`` that they are nearest to."""
    cost = torch.cdist(truth.double(), found.double(), p=1).numpy()
    return found[linear_sum_assignment(cost)[1]]


def test_the_programs_own_log_likelihoods_are_the_ones_derived_apart() -> None:
    categorical, mixture, sticks = map(module, ("categorical_vae", "gaussian_mixture_vae", "stick_breaking_vae"))
    found = {
        "categorical_vae": categorical.log_likelihood(categorical.truth(), categorical.load()["x"]),
        "gaussian_mixture_vae": mixture.true_log_likelihood(mixture.load()["x"]),
        "stick_breaking_vae": sticks.log_likelihood(sticks.truth(), sticks.NOISE, sticks.load()["x"]),
    }
    for name, rows in found.items():
        assert rows.mean().item() == pytest.approx(known(name)["log_likelihood"]["value"], abs=2e-3), name


def test_categorical_vaes_encoder_can_be_the_posterior_and_every_weight_is_then_the_evidence() -> None:
    program = module("categorical_vae")
    vae, x, p = program.build(), program.load()["x"], program.truth()
    with torch.no_grad():
        vae.decoder.layers[0].weight.copy_(p.logit().T)
        vae.decoder.layers[0].bias.zero_()
        vae.encoder.layers[0].weight.copy_(p.logit())
        vae.encoder.layers[0].bias.copy_((1 - p).log().sum(-1))
    found = vae.log_evidence(x, K=2)
    assert found.value == pytest.approx(known("categorical_vae")["log_likelihood"]["value"], abs=1e-4)
    assert found.standard_error < 1e-5


@pytest.mark.slow
def test_categorical_vae_finds_the_prototypes_and_its_summed_bound_is_below_the_log_likelihood() -> None:
    program = module("categorical_vae")
    torch.manual_seed(0)
    vae = program.build()
    x, fit = trained(program, vae, 0.05, 300)
    prototypes = program.prototypes(vae)
    exact = program.log_likelihood(prototypes, x).mean().item()
    assert exact - 0.05 < fit.bound / len(x) < exact + 1e-4  # of whole epochs, with the classes summed over: no noise
    assert exact > known("categorical_vae")["log_likelihood"]["value"]  # 96 probabilities are fitted to these rows
    assert (in_order(prototypes, program.truth()) - program.truth()).abs().max() < 0.1


def test_gaussian_mixture_vaes_closed_form_is_what_many_importance_weights_come_to() -> None:
    """20 rows, 20 000 weights each, at parameters not trained; 4.5 standard errors and 0.003 for their bias."""
    program = module("gaussian_mixture_vae")
    torch.manual_seed(1)
    vae, x = program.build(), program.rows(20, seed=3)[0] / 3
    with torch.no_grad():  # the components start with equal shares and scales of one
        for parameter in (vae.learned_prior.raw_scale, vae.learned_prior.logits):
            parameter.copy_(torch.randn(parameter.shape))
        vae.decoder.layers[0].weight.mul_(2)
    found = vae.log_evidence(x, K=20_000)
    with torch.no_grad():
        exact = program.exact(vae).log_prob(x).mean().item()
    assert abs(found.value - exact) < 4.5 * found.standard_error + 0.003


@pytest.mark.slow
def test_gaussian_mixture_vae_finds_the_clusters_and_its_bound_is_below_the_log_likelihood() -> None:
    program = module("gaussian_mixture_vae")
    torch.manual_seed(0)
    vae = program.build()
    trained(program, vae, 0.01, 1200)
    fresh, clusters = program.rows(1000, seed=1)
    with torch.no_grad():
        exact = program.exact(vae).log_prob(fresh).mean().item()
    found = vae.log_evidence(fresh, K=16)
    assert exact - 0.05 < found.value < exact + 3 * found.standard_error
    # On fresh rows nothing is above what made them, but by chance; what is learned comes within .05 of it.
    short = vae.log_evidence(fresh, K=16).rows - program.true_log_likelihood(fresh)
    assert -0.05 < short.mean() < 3 * short.std() / np.sqrt(len(fresh))
    table = torch.zeros(3, 3).index_put_((program.clusters(vae, fresh), clusters), torch.tensor(1.0), accumulate=True)
    agree = table.numpy()[linear_sum_assignment(-table.numpy())].sum() / len(fresh)
    assert agree > 0.97


def test_topic_models_likelihood_is_the_multinomial_and_names_a_row_that_is_no_document() -> None:
    program = module("topic_model")
    vae, x = program.build(), program.load()["x"]
    weights = torch.full((3, 5), 0.2)
    log_p = vae.decode(weights.log()).log_prob(x[:3])
    probabilities = program.topics(vae).double().mean(0)
    expected = stats.multinomial.logpmf(x[:3].numpy(), 60, (probabilities / probabilities.sum()).numpy())
    np.testing.assert_allclose(log_p.detach().numpy(), expected, rtol=1e-4)
    wrong = x.clone()
    wrong[7, 2] += 0.5
    with pytest.raises(pv.DataError, match=r"row 7, entry \[2\]: expected counts of words"):
        vae.check_data(wrong)


@pytest.mark.slow
def test_topic_model_finds_the_topics_and_the_weights_of_fresh_documents() -> None:
    program = module("topic_model")
    torch.manual_seed(0)
    vae = program.build()
    x, _ = trained(program, vae, 0.02, 400)
    topics, truth = program.topics(vae), program.truth()
    half_differences = (in_order(topics, truth) - truth).abs().sum(-1) / 2
    assert half_differences.max() < 0.1  # total variation; between two true topics it is .77
    limits = known("topic_model")
    assert limits["without_latents"]["value"] + 10 < vae.log_evidence(x, K=64).value < limits["ceiling"]["value"]
    fresh, weights = program.documents(500, seed=1)
    with torch.no_grad():
        q = vae.encode(fresh).sample((100,)).exp().mean(0)
    order = linear_sum_assignment(torch.cdist(truth, topics, p=1).numpy())[1]
    # Sixty words tell a weight to about sqrt(pi (1 - pi) / 60), .04 on the mean over these weights.
    assert (q[:, order] - weights).abs().mean() < 0.05


@pytest.mark.slow
def test_stick_breaking_vae_finds_the_profiles_and_its_bound_is_below_the_log_likelihood() -> None:
    program = module("stick_breaking_vae")
    torch.manual_seed(0)
    vae = program.build()
    x, _ = trained(program, vae, 0.01, 1200)
    profiles, noise = program.learned(vae)
    exact = program.log_likelihood(profiles, noise, x).mean().item()
    found = vae.log_evidence(x, K=64)
    assert exact - 0.1 < found.value < exact + 3 * found.standard_error
    assert (in_order(profiles, program.truth()) - program.truth()).abs().mean() < 0.05
    assert noise == pytest.approx(program.NOISE, rel=0.1)
    assert abs(exact - known("stick_breaking_vae")["log_likelihood"]["value"]) < 0.3
