"""From a fit to its draws: the fit's own values, whatever happened to the param store since."""

from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from pyro_vae import fit
from pyro_vae.training import History
from tests.training.programs import GuideModule, Y, exact, guide, model, rows_model

QUICK = {"steps": 200, "stop": None, "seed": 0}


@pytest.mark.parametrize(
    "make", [lambda: guide, GuideModule, lambda: "auto_normal"], ids=["function", "module", "name"]
)
def test_draws_are_the_fits_even_after_the_store_was_cleared_and_the_guide_trained_on(make):
    result = fit(model, make(), Y, **QUICK)
    before = result.posterior(draws=500)
    pyro.clear_param_store()
    fit(model, result.guide, Y + 30, **QUICK)
    after = result.posterior(draws=500)
    assert (before["posterior"]["z"] == after["posterior"]["z"]).all()
    assert float(before["posterior"]["z"].mean()) == pytest.approx(exact()[0], abs=0.2)


def test_draws_say_how_they_were_made():
    result = fit(model, "auto_normal", Y, **QUICK)
    tree = result.posterior(draws=10, attrs={"program": "mine"})
    assert tree.attrs["guide"] == "auto_normal"
    assert tree.attrs["estimator"] == "Reparameterized()"
    assert tree.attrs["steps"] == 200
    assert tree.attrs["bound"] == result.bound
    assert tree.attrs["program"] == "mine"


def test_a_fit_on_minibatches_draws_with_its_whole_dataset():
    loader = DataLoader(TensorDataset(Y), batch_size=4)
    result = fit(lambda batch: rows_model(batch, len(Y)), lambda batch: guide(batch), loader, **QUICK)
    tree = result.posterior(draws=50)
    assert tree["observed_data"]["y"].shape == (len(Y),)
    assert tree["posterior"]["z"].shape == (1, 50)
    assert result.posterior(draws=50, data=Y[:2])["observed_data"]["y"].shape == (2,)


def test_a_fit_reads_well():
    result = fit(model, "auto_normal", Y, **QUICK)
    assert repr(result).startswith(f"Fit(auto_normal: bound {result.bound:.4f} +- ")


def test_on_a_device_that_was_asked_for():
    result = fit(model, "auto_normal", Y, device="cpu", **QUICK)
    assert {value.device.type for value in result.values.values()} == {"cpu"}


def test_the_plain_elbo_of_every_step_is_recorded_whatever_is_maximised():
    plain = fit(model, guide, Y, **QUICK).history
    assert (plain.elbo == plain.bound).all()
    pyro.clear_param_store()
    iwae = fit(model, guide, Y, estimator="iwae", **QUICK).history
    assert (iwae.elbo < iwae.bound).all()  # Jensen, draw by draw


def test_with_an_elbo_of_pyros_the_plain_elbo_is_not_known():
    history = fit(model, guide, Y, estimator=pyro.infer.Trace_ELBO(num_particles=4), **QUICK).history
    assert np.isnan(history.elbo).all()
    assert np.isfinite(history.bound).all()


@pytest.mark.parametrize("rows", [[], [(-3.0, 1.0, 0.1, 0.5, -4.0)]])
def test_a_history_is_its_rows(rows):
    assert History.from_rows(rows).rows().tolist() == [list(row) for row in rows]


def test_a_history_that_was_saved_before_the_elbo_was_recorded_is_read():
    history = History.from_rows([(-3.0, 1.0, 0.1, 0.5), (-2.0, 1.0, 0.1, 0.9)])
    assert history.bound.tolist() == [-3.0, -2.0]
    assert np.isnan(history.elbo).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_on_an_accelerator():
    result = fit(model, GuideModule(), Y, device="cuda", **QUICK)
    assert {value.device.type for value in result.values.values()} == {"cuda"}
    assert float(result.posterior(draws=500)["posterior"]["z"].mean()) == pytest.approx(exact()[0], abs=0.2)
