"""Peers are measured on the same model: NumPyro's programs have our density, and the hand-written VAE our bound."""

from __future__ import annotations

import importlib.util

import numpy as np
import pyro
import pytest
import torch

import pyro_vae as pv
from tests.benchmarks.contenders import given, networks, pyro_models

needs_numpyro = pytest.mark.skipif(importlib.util.find_spec("numpyro") is None, reason="numpyro is not installed")
SITES = {
    "eight_schools_noncentered": {"mu": (), "tau": (), "z": (8,)},
    "logistic_regression": {"beta": (31,)},
}


@needs_numpyro
@pytest.mark.slow  # JAX compiles every operation by itself
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("program", SITES)
def test_numpyro_has_the_same_log_joint(program: str) -> None:
    import jax
    from numpyro.infer.util import log_density

    from tests.benchmarks.contenders import numpyro_models

    loaded, random = pv.load_program(program), np.random.default_rng(0)
    arrays = {name: value.numpy() for name, value in loaded.data.items()}
    with jax.default_device(jax.devices("cpu")[0]):
        for _ in range(5):
            values = {name: np.abs(random.normal(size=size)).astype("f") for name, size in SITES[program].items()}
            theirs, _ = log_density(getattr(numpyro_models, program), (), arrays, values)
            conditioned = pyro.condition(loaded.model, {name: torch.as_tensor(v) for name, v in values.items()})
            ours = pyro.poutine.trace(conditioned).get_trace(**loaded.data).log_prob_sum()
            assert float(theirs) == pytest.approx(float(ours), rel=1e-5)


def test_the_subsampled_regression_stands_for_all_rows() -> None:
    data = {name: torch.from_numpy(value) for name, value in given.regression(40, 3).items()}
    beta = torch.tensor([0.3, -0.5, 1.0])

    def joint(model, **arguments) -> float:
        run = pyro.poutine.trace(pyro.condition(model, {"beta": beta})).get_trace(**arguments)
        return float(run.log_prob_sum())

    whole = joint(pv.load_program("logistic_regression").model, **data)
    assert joint(pyro_models.subsampled_regression, **data, batch=40) == pytest.approx(whole, rel=1e-5)
    # The mean over 400 batches has a standard error of 0.19 here: 1 is five of them; the seed is fixed.
    parts = [joint(pyro_models.subsampled_regression, **data, batch=10) for _ in range(400)]
    assert np.mean(parts) == pytest.approx(whole, abs=1.0)


def test_the_hand_written_vae_has_our_bound() -> None:
    encoder, decoder = networks.Encoder(6, 5, 2), networks.Decoder(6, 5, 2)
    model, guide = pyro_models.vae(encoder, decoder)
    x = torch.from_numpy(given.digits(7, 6))
    elbo = pv.TraceELBO(pv.AnalyticKL(), num_particles=1)
    # The same standard normals are drawn, in the same order.
    torch.manual_seed(3)
    ours = elbo.estimate(model, guide, x).loss()
    torch.manual_seed(3)
    theirs = networks.HandWritten(encoder, decoder)(x)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
